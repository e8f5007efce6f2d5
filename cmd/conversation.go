package cmd

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"ferry/pkg/client"
	"ferry/pkg/config"
	"ferry/pkg/session"
	"ferry/pkg/text"
	"ferry/pkg/wire"
)

// openConversation takes the conversation of the flags, and waits where another ferry has it. The caller closes its
// handle.
func (s *settings) openConversation(ctx context.Context, o conversationOptions) (*client.Conversation, error) {
	if s.noStore {
		return nil, usagef("leave one of the two away", "--no-store keeps nothing, so there is no conversation to go on with")
	}
	store, homeless := s.sessions() // without a home the store is one that can keep nothing
	name, err := o.choose(store, s.Clock.Now())
	if err != nil {
		return nil, err
	}
	if idle := s.values.SessionIdle; !session.IdleAdvised(idle) {
		s.note("a session's token lives %s without use; 5m to 10m is advised", text.Brief(idle))
	}
	handle, err := store.Open(ctx, name, s.Clock.Now(), s.values.SessionIdle)
	c := &client.Conversation{Handle: handle, Clock: s.Clock, Note: s.note}
	if homeless != nil && errors.Is(err, session.ErrUnavailable) {
		c.Warn(homeless)
	}
	if err = c.Tolerate(err); err != nil {
		return nil, err
	}
	if kept := handle.Session(); o.fresh && (len(kept.Turns) > 0 || kept.Pending != "") {
		handle.Close()
		return nil, usagef("ferry config session rm "+text.ShellWord(name)+" removes it", "the conversation %s exists", name)
	}
	if o.fresh && o.name == "" {
		s.note("the conversation is %s", name)
	}
	return c, nil
}

// choose works out which conversation is meant.
func (o conversationOptions) choose(store session.Store, now time.Time) (string, error) {
	switch {
	case o.last && (o.name != "" || o.fresh):
		return "", usagef("", "--continue goes on with the last conversation; --session and --new name another")
	case o.name != "":
		return o.name, nil
	case o.fresh:
		return session.NewName(now), nil
	}
	name, err := store.Last()
	if errors.Is(err, session.ErrNotFound) {
		return "", usagef("--session NAME begins one", "there is no conversation to go on with")
	}
	return name, err
}

// conversationNodes are those that a conversation began with; once it has an answer, a call may name none or the same.
func (s *settings) conversationNodes(c *client.Conversation) ([]string, error) {
	names := s.values.Nodes
	if kept := c.Handle.Session(); len(kept.Turns) > 0 {
		names = config.SplitNodes(kept.Nodes)
		if s.values.Given("node") && !slices.Equal(s.values.Nodes, names) {
			return nil, usagef("leave -n away, or begin another with --new", "the conversation %s is with node %s",
				kept.Name, strings.Join(names, ", "))
		}
	}
	c.Nodes = config.JoinNodes(names)
	return names, nil
}

// pendingPrompt is the prompt that got no answer, with its files.
func pendingPrompt(c *client.Conversation) (string, []*wire.File, error) {
	kept := c.Handle.Session()
	if kept.Pending == "" {
		return "", nil, usagef("", "every prompt of the conversation %s has its answer", kept.Name)
	}
	files, err := c.Files(kept.PendingFiles)
	return kept.Pending, files, err
}

package cmd

import (
	"cmp"
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

// openConversation opens the conversation that the flags select. It waits while another ferry process uses it. The
// caller closes its handle.
func (s *settings) openConversation(ctx context.Context, o conversationOptions) (*client.Conversation, error) {
	if s.noStore {
		return nil, usagef("leave out one of the two", "--no-store saves nothing, so there is no conversation to continue")
	}
	store, noHome := s.sessions() // without a home directory the store keeps nothing
	name, err := o.choose(store, s.Clock.Now())
	if err != nil {
		return nil, err
	}
	if idle := s.values.SessionIdle; !session.IdleAdvised(idle) {
		s.note("a session token expires after %s without use; 5m to 10m is recommended", text.Brief(idle))
	}
	handle, err := store.Open(ctx, name, s.Clock.Now(), s.values.SessionIdle)
	c := &client.Conversation{Handle: handle, Clock: s.Clock, Note: s.note}
	if noHome != nil && errors.Is(err, session.ErrUnavailable) {
		c.Warn(noHome)
	}
	if err = c.WarnIfUnavailable(err); err != nil {
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

// choose returns the name of the conversation that the flags select.
func (o conversationOptions) choose(store session.Store, now time.Time) (string, error) {
	switch {
	case o.last && (o.name != "" || o.fresh):
		return "", usagef("", "--continue continues the last conversation; --session and --new name another")
	case o.name != "":
		return o.name, nil
	case o.fresh:
		return session.NewName(now), nil
	}
	name, err := store.Last()
	if errors.Is(err, session.ErrNotFound) {
		return "", usagef("--session NAME begins one", "there is no conversation to continue")
	}
	return name, err
}

// resume returns the nodes that a conversation began with, and restores its --api and -m unless they are given again.
// After the first answer, a call must not name other nodes; before it, -n may.
func (s *settings) resume(c *client.Conversation) (names []string, err error) {
	kept := c.Handle.Session()
	names = config.SplitNodes(kept.Nodes)
	switch same := slices.Equal(s.values.Nodes, names); {
	case kept.Nodes == "", !same && s.given["node"] != "" && len(kept.Turns) == 0:
		names = s.values.Nodes
	case !same && s.values.Given("node"):
		hint := "leave out -n, or start another one with --new"
		if s.given["node"] == "" {
			hint = "unset FERRY_NODE, or start another one with --new"
		}
		return nil, usagef(hint, "the conversation %s is with node %s", kept.Name, strings.Join(names, ", "))
	default:
		s.api = cmp.Or(s.api, kept.API)
		if kept.Model != "" && s.given["model"] == "" {
			s.given["model"] = kept.Model
			s.values, err = config.Resolve(s.file, s.Lookup, s.given)
		}
	}
	c.Nodes, c.API, c.Model = config.JoinNodes(names), s.api, s.given["model"]
	return names, err
}

// pendingPrompt returns the prompt that got no answer, with its files.
func pendingPrompt(c *client.Conversation) (string, []*wire.File, error) {
	kept := c.Handle.Session()
	if kept.Pending == "" && len(kept.Turns) == 0 {
		return "", nil, usagef("ferry config session list shows them", "there is no conversation %s", kept.Name)
	}
	if kept.Pending == "" {
		return "", nil, usagef("", "every prompt of the conversation %s has an answer", kept.Name)
	}
	files, err := c.Files(kept.PendingFiles)
	return kept.Pending, files, err
}

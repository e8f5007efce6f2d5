package cmd

import (
	"context"
	"errors"
	"slices"
	"strings"

	"ferry/pkg/client"
	"ferry/pkg/config"
	"ferry/pkg/limit"
	"ferry/pkg/session"
	"ferry/pkg/wire"

	"github.com/spf13/pflag"
)

// talkOptions are the flags of a conversation.
type talkOptions struct {
	name   string
	last   bool
	fresh  bool
	resend bool
}

func addTalkFlags(f *pflag.FlagSet, o *talkOptions) {
	f.StringVar(&o.name, "session", "", "go on with the conversation `NAME`, or begin it")
	f.BoolVar(&o.last, "continue", false, "go on with the conversation that was used last")
	f.BoolVar(&o.fresh, "new", false, "begin a conversation, under a name that is made up or --session's")
	f.BoolVar(&o.resend, "resend", false, "send the conversation's last prompt again, which got no answer")
}

// wanted reports whether the call is part of a conversation.
func (o talkOptions) wanted() bool { return o.name != "" || o.last || o.fresh || o.resend }

// talk is the conversation that a call is part of. A nil talk is none.
type talk struct {
	app    *app
	handle *session.Handle
	warned bool
}

// openTalk takes the conversation of the flags, and waits where another ferry has it. The caller closes it.
func (a *app) openTalk(ctx context.Context, s *settings, o talkOptions) (*talk, error) {
	if !o.wanted() {
		return nil, nil
	}
	if s.noStore {
		return nil, usagef("leave one of the two away", "--no-store keeps nothing, so there is no conversation to go on with")
	}
	store, homeless := a.sessions() // without a home the store is one that can keep nothing
	name, err := a.talkName(store, o)
	if err != nil {
		return nil, err
	}
	if idle := s.values.SessionIdle(); !session.IdleAdvised(idle) {
		a.note("a session's token lives %s without use; 5m to 10m is advised", limit.Brief(idle))
	}
	handle, err := store.Open(ctx, name, a.Clock.Now(), s.values.SessionIdle())
	t := &talk{app: a, handle: handle}
	if homeless != nil && errors.Is(err, session.ErrUnavailable) {
		a.note("this conversation is not kept: %s", homeless)
		t.warned = true
	}
	if err = t.tolerate(err); err != nil {
		return nil, err
	}
	if kept := handle.Session(); o.fresh && (len(kept.Turns) > 0 || kept.Pending != "") {
		t.close()
		return nil, usagef("ferry config session rm "+shellWord(name)+" removes it", "the conversation %s exists", name)
	}
	if o.fresh && o.name == "" {
		a.note("the conversation is %s", name)
	}
	return t, nil
}

// talkName works out which conversation is meant.
func (a *app) talkName(store session.Store, o talkOptions) (string, error) {
	switch {
	case o.last && (o.name != "" || o.fresh):
		return "", usagef("", "--continue goes on with the last conversation; --session and --new name another")
	case o.name != "":
		return o.name, nil
	case o.fresh:
		return session.NewName(a.Clock.Now()), nil
	}
	name, err := store.Last()
	if errors.Is(err, session.ErrNotFound) {
		return "", usagef("--session NAME begins one", "there is no conversation to go on with")
	}
	return name, err
}

// tolerate turns an error of a folder that cannot be used into one warning: the answer matters more than its record.
func (t *talk) tolerate(err error) error {
	if !errors.Is(err, session.ErrUnavailable) {
		return err
	}
	if !t.warned {
		t.warned = true
		t.app.note("this conversation is not kept: %s", err)
	}
	return nil
}

func (t *talk) close() {
	if t != nil && t.handle != nil {
		t.handle.Close()
	}
}

// nodes are those that a conversation began with; once it has an answer, a call may name none or the same.
func (t *talk) nodes(s *settings) ([]string, error) {
	named := s.values.Nodes()
	if t == nil || len(t.handle.Session().Turns) == 0 {
		return named, nil
	}
	began := config.SplitNodes(t.handle.Session().Nodes)
	if s.values.Given("node") && !slices.Equal(named, began) {
		return nil, usagef("leave -n away, or begin another with --new", "the conversation %s is with node %s",
			t.handle.Session().Name, strings.Join(began, ", "))
	}
	return began, nil
}

// pending is the prompt that got no answer.
func (t *talk) pending() (string, error) {
	if prompt := t.handle.Session().Pending; prompt != "" {
		return prompt, nil
	}
	return "", usagef("", "every prompt of the conversation %s has its answer", t.handle.Session().Name)
}

// join makes the call a part of the conversation: its earlier turns, and its token where the node keeps it in place.
func (t *talk) join(c *crossing) {
	if t == nil {
		return
	}
	for _, turn := range t.handle.Session().Turns {
		if turn.Text != "" { // an answer that was empty is none to an API
			c.request.Turns = append(c.request.Turns, wire.Turn{Role: turn.Role, Text: turn.Text})
		}
	}
	t.stick(c)
}

// stick sends the conversation's token to a node that keeps it in place by it.
func (t *talk) stick(c *crossing) {
	if t != nil && c.sticky {
		c.node.Header = append(c.node.Header, client.Field{Name: "X-Ferry-Session", Value: t.handle.Session().Token})
	}
}

// asks keeps the prompt before it is sent.
func (t *talk) asks(prompt, node string) error {
	if t == nil {
		return nil
	}
	t.handle.Session().Nodes = node
	return t.tolerate(t.handle.Ask(prompt, t.app.Clock.Now()))
}

// mostKeptTurn is the most bytes of an answer that a conversation keeps.
const mostKeptTurn = 8 << 20

// answers keeps a whole answer. That it could not be kept is said and fails nothing: the answer has been shown.
func (t *talk) answers(c *crossing, result *client.Result) {
	if t == nil {
		return
	}
	model := result.Answer.Model
	if model == "" {
		model = c.request.Model
	}
	if len(result.Answer.Text) > mostKeptTurn {
		t.app.note("the answer is not kept: it is over %d MiB, which no node takes back", mostKeptTurn>>20)
		return
	}
	if err := t.tolerate(t.handle.Answer(result.Answer.Text, c.node.Name, model, t.app.Clock.Now())); err != nil {
		t.app.note("the answer is not kept: %s", err)
	}
}

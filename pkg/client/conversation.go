package client

import (
	"cmp"
	"context"
	"errors"

	"ferry/pkg/session"
	"ferry/pkg/wire"
)

// Conversation is the conversation of a call. The call's request already has the earlier turns.
type Conversation struct {
	Handle *session.Handle
	// Nodes, API and Model are stored in the conversation's file: which nodes were used, and how.
	Nodes, API, Model string
	Clock             Clock
	// Note tells the user what could not be stored.
	Note func(format string, args ...any)

	warned bool
}

// Turns returns the earlier turns in the form of a request, with their files. It leaves out turns without text, because
// APIs reject an empty answer.
func (c *Conversation) Turns() ([]wire.Turn, error) {
	var turns []wire.Turn
	for _, turn := range c.Handle.Session().Turns {
		if turn.Text == "" {
			continue
		}
		files, err := c.Files(turn.Files)
		if err != nil {
			return nil, err
		}
		turns = append(turns, wire.Turn{Role: turn.Role, Text: turn.Text, Files: files})
	}
	return turns, nil
}

// Files reads the content of stored files.
func (c *Conversation) Files(kept []session.File) (files []*wire.File, err error) {
	for _, f := range kept {
		content, err := c.Handle.Content(f)
		if err != nil {
			return nil, err
		}
		files = append(files, &wire.File{Name: f.Name, Type: f.Type, Data: content})
	}
	return files, nil
}

// WarnIfUnavailable turns the error of an unusable folder into one warning: the answer is more important than storing
// it.
func (c *Conversation) WarnIfUnavailable(err error) error {
	if !errors.Is(err, session.ErrUnavailable) {
		return err
	}
	c.Warn(err)
	return nil
}

// Warn tells the user once why the conversation is not stored.
func (c *Conversation) Warn(why error) {
	if !c.warned {
		c.warned = true
		c.Note("this conversation is not saved: %s", why)
	}
}

// maxKept is the maximum size in bytes of an answer that a conversation stores.
const maxKept = 8 << 20

// conversationStage stores the prompt before it is sent, and the answer if it is complete.
type conversationStage struct {
	*Conversation
	first Candidate // the prompt is not stored if this node cannot be used
	next  Doer
}

func (s *conversationStage) Do(ctx context.Context, call *Call) (*Result, error) {
	e, err := s.first.Endpoint(ctx)
	if err == nil && e.Budget != nil {
		err = e.Budget.Check(ctx, call.To(e))
	}
	if err != nil {
		return &Result{}, err
	}
	kept := s.Handle.Session()
	if kept.Pending != "" && kept.Pending != call.Request.Prompt {
		s.Note("this prompt replaces the last one, which got no answer")
	}
	kept.Nodes, kept.API, kept.Model = s.Nodes, s.API, s.Model
	var files []session.File
	for _, f := range call.Request.Files {
		files = append(files, session.NewFile(f.Name, f.Type, f.Data))
	}
	if err := s.WarnIfUnavailable(s.Handle.Ask(call.Request.Prompt, files, s.Clock.Now())); err != nil {
		return &Result{}, err
	}
	result, err := s.next.Do(ctx, call)
	switch {
	case !result.Complete:
	case len(result.Answer.Text) > maxKept:
		s.Note("the answer is not saved: it is over %d MiB, too large to send to a node again", maxKept>>20)
	default:
		model := cmp.Or(result.Answer.Model, result.Model)
		if failed := s.WarnIfUnavailable(s.Handle.Answer(result.Answer.Text, result.Node, model, s.Clock.Now())); failed != nil {
			s.Note("the answer is not saved: %s", failed) // not an error: the answer has been shown
		}
	}
	return result, err
}

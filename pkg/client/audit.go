package client

import (
	"cmp"
	"context"

	"ferry/pkg/audit"
)

// AuditLog is the log that records calls.
type AuditLog struct {
	audit.Log
	// Content says that prompts and answers are logged too.
	Content bool
	Session string // see audit.SessionID
	Clock   Clock
	// Outcome returns the class of a call's error and ferry's exit code.
	Outcome func(err error) (class string, exit int)
	// OnError is called with the reason why a line could not be written. The call does not fail because of it.
	OnError func(err error)
}

// auditStage writes one line for every call that sent a request or that the filter blocked.
type auditStage struct {
	*AuditLog
	next Doer
}

func (s *auditStage) Do(ctx context.Context, call *Call) (*Result, error) {
	began := s.Clock.Now()
	result, err := s.next.Do(ctx, call)
	if len(result.Attempts) == 0 && !IsBlocked(err) {
		return result, err
	}
	entry := s.entry(call, result, err)
	if entry.Time.IsZero() {
		entry.Time.Time = began
	}
	// The line is written even if a signal ended the call.
	if failed := s.Write(context.WithoutCancel(ctx), entry); failed != nil {
		s.OnError(failed)
	}
	return result, err
}

func (s *auditStage) entry(call *Call, result *Result, err error) audit.Entry {
	e := audit.Entry{
		Node: result.Node, API: string(result.API), Model: cmp.Or(result.Answer.Model, result.Model),
		Attempts: len(result.Attempts), Latency: audit.Millis(result.Latency), Session: s.Session,
	}
	e.Class, e.Exit = s.Outcome(err)
	if usage := result.Answer.Usage; usage != nil {
		e.Input, e.Output = &usage.Input, &usage.Output
	}
	for i, at := range result.Attempts {
		e.RequestID, e.Status = at.RequestID, at.Status
		e.Ambiguous = e.Ambiguous || at.Ambiguous
		if at.Reconnected {
			e.Reconnects++
		}
		if i == 0 {
			e.Time.Time = at.Started
		}
		if i < len(result.Attempts)-1 {
			e.Waits = append(e.Waits, audit.Millis(at.Wait))
		}
	}
	for _, f := range call.Request.Files {
		kept := audit.File{Type: f.Type, Bytes: len(f.Data)}
		if s.Content {
			kept.Name = f.Name
		}
		e.Files = append(e.Files, kept)
	}
	if s.Content && len(result.Attempts) > 0 {
		e.Prompt, e.Answer = call.Request.Prompt, result.Answer.Text
	}
	return e
}

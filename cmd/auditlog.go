package cmd

import (
	"context"
	"errors"
	"syscall"

	"ferry/pkg/audit"
	"ferry/pkg/client"
	"ferry/pkg/guard"
)

// auditing is the audit log of a call. A nil one is none.
type auditing struct {
	log     audit.Log
	content bool // prompts and answers too
}

// auditing gives the log that the file asks for, none for a call that is to leave no trace. Nothing is opened yet.
func (a *app) auditing(s *settings) *auditing {
	path := s.values.AuditFile()
	if path == "" || s.noStore {
		return nil
	}
	return &auditing{
		log:     audit.Log{Path: path, MaxSize: s.values.AuditMaxSize(), Redact: a.redacted},
		content: s.values.AuditsContent(),
	}
}

// record writes down what came of a call after which something was sent, or that the filter stopped before.
func (a *app) record(ctx context.Context, cross *crossing, conversation *talk, result *client.Result, failed error) {
	if cross.audit == nil || len(result.Attempts) == 0 {
		return
	}
	e := audit.Entry{
		Time: result.Attempts[0].Started, Node: cross.node.Name, API: string(cross.node.API), Model: cross.request.Model,
		Attempts: len(result.Attempts), Latency: result.Latency, Class: classOf(failed), Exit: auditedExit(failed),
		Session: conversation.id(),
	}
	if model := result.Answer.Model; model != "" {
		e.Model = model
	}
	if usage := result.Answer.Usage; usage != nil {
		e.Input, e.Output = &usage.Input, &usage.Output
	}
	for i, at := range result.Attempts {
		e.RequestID, e.Status = at.RequestID, at.Status
		e.Ambiguous = e.Ambiguous || at.Ambiguous
		if at.Reconnected {
			e.Reconnects++
		}
		if i < len(result.Attempts)-1 {
			e.Waits = append(e.Waits, at.Wait)
		}
	}
	if cross.audit.content {
		e.Prompt, e.Answer = cross.request.Prompt, result.Answer.Text
	}
	a.enterAudit(ctx, cross.audit, e)
}

// recordBlocked writes down a prompt that the filter stopped: who would have been asked, and none of its words.
func (a *app) recordBlocked(ctx context.Context, s *settings, name string, conversation *talk, blocked error) {
	log := a.auditing(s)
	var stopped *guard.BlockedError
	if log == nil || !errors.As(blocked, &stopped) {
		return
	}
	e := audit.Entry{
		Time: a.Clock.Now(), Node: name, Class: string(client.Blocked), Exit: exitBlocked, Session: conversation.id(),
	}
	if node, err := a.selectNode(s, name); err == nil {
		e.Node, e.API = node.Name, string(node.API)
		e.Model, _ = s.values.Model(node) // a node without one is named without one
	}
	a.enterAudit(ctx, log, e)
}

// stop ends a call before it is sent, and has the log say so where the filter did it. A dry run would not have sent.
func (a *app) stop(ctx context.Context, s *settings, name string, conversation *talk, err error, o callOptions) error {
	if !o.dryRun {
		a.recordBlocked(ctx, s, name, conversation, err)
	}
	return err
}

// enterAudit adds a line. That it cannot be added is said, whatever -q wants, and takes nobody's answer away. A signal
// that ended the call does not keep its line from being written.
func (a *app) enterAudit(ctx context.Context, log *auditing, e audit.Entry) {
	if err := log.log.Write(context.WithoutCancel(ctx), e); err != nil {
		a.say("ferry: this call is not in the audit log: " + err.Error())
	}
}

// id says in a log which conversation a call belongs to, without its name.
func (t *talk) id() string {
	if t == nil {
		return ""
	}
	return audit.SessionID(t.handle.Session().Name)
}

// classOf is the kind of failure, "" for none.
func classOf(failed error) string {
	var e *client.Error
	var missed *missedError
	var output *outputError
	switch {
	case errors.As(failed, &e):
		return string(e.Class)
	case errors.As(failed, &missed):
		return "missed"
	case errors.As(failed, &output):
		return string(client.Output)
	}
	return ""
}

// auditedExit is the exit code as a shell will see it, by a signal too.
func auditedExit(failed error) int {
	var stopped signalled
	if errors.As(failed, &stopped) {
		if number, ok := stopped.Signal.(syscall.Signal); ok {
			return 128 + int(number)
		}
	}
	code, _ := exitCode(failed)
	return code
}

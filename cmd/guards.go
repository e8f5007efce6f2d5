package cmd

import (
	"errors"
	"io"
	"path/filepath"
	"syscall"

	"ferry/pkg/audit"
	"ferry/pkg/client"
	"ferry/pkg/guard"
	"ferry/pkg/state"
)

// loadFilter reads the lists of blocked words, at each use: they may be changed meanwhile. Without a usable list nothing
// is sent, also where only answers are looked at. It is nil where the file asks for none.
func (a *app) loadFilter(s *settings, o callOptions) (*client.Filter, error) {
	f := &client.Filter{
		Prompts: s.values.FiltersPrompts, Answers: s.values.FiltersAnswers,
		Raw: o.output == "raw", Thinking: o.thinking || o.output != "text",
	}
	if !f.Prompts && !f.Answers {
		return nil, nil
	}
	if path := s.values.FilterFile; path != "" {
		source, err := state.OpenTrusted(path)
		var refused *state.Error
		if errors.As(err, &refused) && refused.Err == nil {
			return nil, err
		}
		list, err := guard.LoadFilter(path, func() (io.ReadCloser, error) { return source, errors.Unwrap(err) })
		if err != nil {
			return nil, err
		}
		f.Lists = append(f.Lists, list)
	}
	if words := s.values.FilterWords; len(words) > 0 {
		list, err := guard.NewFilter("filter.words in "+filepath.Base(s.file.Path), words)
		if err != nil {
			return nil, err
		}
		f.Lists = append(f.Lists, list)
	}
	return f, nil
}

// auditLog is the log that the file asks for; nil for a call that is to leave no trace. Nothing is opened yet.
func (a *app) auditLog(s *settings, conversation *client.Conversation) *client.AuditLog {
	path := s.values.AuditFile
	if path == "" || s.noStore {
		return nil
	}
	log := &client.AuditLog{
		Log:     audit.Log{Path: path, MaxSize: s.values.AuditMaxSize, Redact: a.redacted},
		Content: s.values.AuditsContent,
		Clock:   a.Clock,
		Outcome: func(err error) (string, int) { return classOf(err), auditedExit(err) },
		OnError: func(err error) { a.say("ferry: this call is not in the audit log: " + err.Error()) },
	}
	if conversation != nil {
		log.Session = audit.SessionID(conversation.Handle.Session().Name)
	}
	return log
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

package cmd

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"path/filepath"
	"slices"

	"ferry/pkg/client"
	"ferry/pkg/guard"
	"ferry/pkg/session"
	"ferry/pkg/state"
	"ferry/pkg/wire"
)

// contentFilter holds texts to the lists of blocked words. A nil one lets everything pass.
type contentFilter struct {
	lists            []*guard.Filter
	prompts, answers bool
}

// loadFilter reads the lists, at each use: they may be changed meanwhile. Without a usable list nothing is sent, also
// where only answers are looked at.
func (a *app) loadFilter(s *settings) (*contentFilter, error) {
	f := &contentFilter{prompts: s.values.FiltersPrompts(), answers: s.values.FiltersAnswers()}
	if !f.prompts && !f.answers {
		return nil, nil
	}
	if path := s.values.FilterFile(); path != "" {
		source, err := state.OpenTrusted(path)
		var refused *state.Error
		if errors.As(err, &refused) && refused.Err == nil {
			return nil, err
		}
		list, err := guard.LoadFilter(path, func() (io.ReadCloser, error) { return source, errors.Unwrap(err) })
		if err != nil {
			return nil, err
		}
		f.lists = append(f.lists, list)
	}
	if words := s.values.FilterWords(); len(words) > 0 {
		list, err := guard.NewFilter("filter.words in "+filepath.Base(s.file.Path), words)
		if err != nil {
			return nil, err
		}
		f.lists = append(f.lists, list)
	}
	return f, nil
}

// check holds a text to every list.
func (f *contentFilter) check(text, where string) error {
	for _, list := range f.lists {
		if err := list.Check(text, where); err != nil {
			return err
		}
	}
	return nil
}

// checkPrompt looks at the words that would leave: the prompt with its files, the system prompt, and the person's own
// earlier prompts, which go along. What the model said comes from there and is not looked at again.
func (f *contentFilter) checkPrompt(prompt, system string, conversation *talk) error {
	if f == nil || !f.prompts {
		return nil
	}
	if err := f.check(prompt, "prompt"); err != nil {
		return err
	}
	if err := f.check(system, "system prompt"); err != nil {
		return err
	}
	if conversation == nil {
		return nil
	}
	for _, turn := range conversation.handle.Session().Turns {
		if turn.Role != session.User {
			continue
		}
		if err := f.check(turn.Text, "conversation"); err != nil {
			return err
		}
	}
	return nil
}

// checkExtras looks at the rest of a request that is text of somebody's.
func (f *contentFilter) checkExtras(r wire.Request) error {
	if f == nil || !f.prompts {
		return nil
	}
	texts := slices.AppendSeq(slices.Clone(r.Stop), jsonTexts(r.Schema))
	for _, value := range r.Params {
		texts = slices.AppendSeq(texts, jsonTexts(value))
	}
	for _, text := range texts {
		if err := f.check(text, "request"); err != nil {
			return err
		}
	}
	return nil
}

// hold withholds an answer that has a blocked word, and gives the error of the call: failed where there is none. It
// looks at all that would be shown of it: the text, with raw the body, and what a failure quotes of a status 200.
func (f *contentFilter) hold(c *crossing, result *client.Result, failed error, raw bool) error {
	if f == nil || !f.answers || len(result.Attempts) == 0 {
		return failed
	}
	err := f.check(result.Answer.Text, "answer")
	if raw || failed != nil && result.Attempts[len(result.Attempts)-1].HTTPStatus == http.StatusOK {
		for text := range jsonTexts(result.Body) {
			if err = cmp.Or(err, f.check(text, "answer")); err != nil {
				break
			}
		}
	}
	if err != nil {
		return withheld(c, result, err)
	}
	return failed
}

// withheld is the failure of a call whose answer is not shown. Nothing of it is left to be printed or kept.
func withheld(c *crossing, result *client.Result, blocked error) error {
	result.Answer.Text, result.Body = "", nil
	var match *guard.BlockedError
	if errors.As(blocked, &match) {
		blocked = match // and not what another wrote around it
	}
	return &client.Error{
		Class: client.Blocked, Status: http.StatusOK, Node: c.node.Name, Attempts: len(result.Attempts), Err: blocked,
	}
}

// namesOnly are the keys of a reply whose values are words of the API and not of the model.
var namesOnly = map[string]bool{
	"type": true, "role": true, "id": true, "model": true, "object": true, "stop_reason": true, "finish_reason": true,
}

// jsonTexts are the texts in a JSON value, unescaped, one at a time; what is no JSON is one text.
func jsonTexts(body []byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		if !json.Valid(body) {
			if len(body) > 0 {
				yield(string(body))
			}
			return
		}
		name := "" // of the member whose value comes
		for i := 0; i < len(body); i++ {
			switch body[i] {
			case '[', '{', ',':
				name = ""
			case '"':
				from := i
				for i++; body[i] != '"'; i++ {
					if body[i] == '\\' {
						i++
					}
				}
				raw := body[from : i+1]
				if behind := bytes.TrimLeft(body[i+1:], " \t\r\n"); len(behind) > 0 && behind[0] == ':' {
					name = string(raw[1 : len(raw)-1])
				} else if text := ""; !namesOnly[name] && json.Unmarshal(raw, &text) == nil && !yield(text) {
					return
				}
			}
		}
	}
}

// eventTexts are the texts in the bytes of an event stream, or of the whole answer that came instead of one.
func eventTexts(b []byte) iter.Seq[string] {
	if json.Valid(b) {
		return jsonTexts(b)
	}
	return func(yield func(string) bool) {
		for line := range bytes.FieldsFuncSeq(b, func(r rune) bool { return r == '\n' || r == '\r' }) {
			if data, ok := bytes.CutPrefix(line, []byte("data:")); ok {
				for text := range jsonTexts(bytes.TrimSpace(data)) {
					if !yield(text) {
						return
					}
				}
			}
		}
	}
}

func isBlocked(err error) bool {
	var blocked *guard.BlockedError
	return errors.As(err, &blocked)
}

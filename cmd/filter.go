package cmd

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path/filepath"

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
	texts := append(jsonTexts(r.Schema), r.Stop...)
	for _, value := range r.Params {
		texts = append(texts, jsonTexts(value)...)
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
	texts := []string{result.Answer.Text}
	quoted := failed != nil && result.Attempts[len(result.Attempts)-1].HTTPStatus == http.StatusOK
	if raw || quoted {
		texts = append(texts, jsonTexts(result.Body)...)
	}
	if quoted {
		texts = append(texts, c.node.API.Partial(result.Body))
	}
	for _, text := range texts {
		if err := f.check(text, "answer"); err != nil {
			return withheld(c, result, err)
		}
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

// jsonTexts are the texts in a JSON value, unescaped; what is no JSON is one text.
func jsonTexts(body []byte) []string {
	var value any
	if len(body) == 0 {
		return nil
	}
	if err := json.Unmarshal(body, &value); err != nil {
		return []string{string(body)}
	}
	var texts []string
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			texts = append(texts, v)
		case []any:
			for _, item := range v {
				walk(item)
			}
		case map[string]any:
			for key, item := range v {
				if _, plain := item.(string); !plain || !namesOnly[key] {
					walk(item)
				}
			}
		}
	}
	walk(value)
	return texts
}

// eventTexts are the texts in the bytes of an event stream, or of the whole answer that came instead of one.
func eventTexts(b []byte) []string {
	if json.Valid(b) {
		return jsonTexts(b)
	}
	var texts []string
	for _, line := range bytes.FieldsFunc(b, func(r rune) bool { return r == '\n' || r == '\r' }) {
		if data, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			texts = append(texts, jsonTexts(bytes.TrimSpace(data))...)
		}
	}
	return texts
}

func isBlocked(err error) bool {
	var blocked *guard.BlockedError
	return errors.As(err, &blocked)
}

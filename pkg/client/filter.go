package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"slices"
	"strings"

	"ferry/pkg/guard"
	"ferry/pkg/session"
	"ferry/pkg/wire"
)

// Filter checks text against the lists of blocked words.
type Filter struct {
	Lists            []*guard.Filter
	Prompts, Answers bool // what is checked
	// Raw says that the command shows the bytes of a reply; Thinking says that it shows the reasoning.
	Raw, Thinking bool
	// Nodes are the system prompts and params that nodes add to each request.
	Nodes []wire.Request
}

// promptFilter refuses a call whose request contains a blocked word.
type promptFilter struct {
	*Filter
	first Candidate // the node that would have been used
	next  Doer
}

func (s *promptFilter) Do(ctx context.Context, call *Call) (*Result, error) {
	if err := s.CheckRequest(call.Request); err != nil {
		result := &Result{Node: s.first.Name, API: s.first.API, Model: cmp.Or(call.Request.Model, s.first.Model)}
		return result, &Error{Class: Blocked, Err: err}
	}
	return s.next.Do(ctx, call)
}

// answerFilter withholds an answer that contains a blocked word, and stops a stream before the word.
type answerFilter struct {
	*Filter
	next Doer
}

func (s *answerFilter) Do(ctx context.Context, call *Call) (*Result, error) {
	switch {
	case !s.Answers:
		return s.next.Do(ctx, call)
	case call.Sink == nil:
		result, err := s.next.Do(ctx, call)
		return result, s.withhold(result, err)
	}
	filtered := *call
	sink := s.sink(call.Sink)
	filtered.Sink = sink
	result, err := s.next.Do(ctx, &filtered)
	interrupted := isClass(err, Cancelled)
	err = s.withhold(result, err)
	if ended := sink.end(err == nil); ended != nil && (err == nil || IsBlocked(ended)) {
		err = ended
	}
	if IsBlocked(err) && !interrupted {
		err = withheld(result, err)
	}
	return result, err
}

// check checks text against every list.
func (f *Filter) check(text, where string) error {
	for _, list := range f.Lists {
		if err := list.Check(text, where); err != nil {
			return err
		}
	}
	return nil
}

// checkAll checks texts until one has a blocked word.
func (f *Filter) checkAll(texts iter.Seq[string], where string) error {
	for text := range texts {
		if err := f.check(text, where); err != nil {
			return err
		}
	}
	return nil
}

// CheckRequest checks the text that would be sent: the prompt with its text files, the system prompt, the earlier
// prompts of the conversation, and all other text of the request. It does not check images, PDFs, or earlier answers of
// the model. The error is a *guard.BlockedError.
func (f *Filter) CheckRequest(r wire.Request) error {
	if f == nil || !f.Prompts {
		return nil
	}
	for _, own := range f.Nodes {
		if err := f.checkRequest(own); err != nil {
			return err
		}
	}
	return f.checkRequest(r)
}

func (f *Filter) checkRequest(r wire.Request) error {
	err := cmp.Or(f.check(r.Prompt, "prompt"), f.check(r.System, "system prompt"))
	for _, turn := range r.Turns {
		if turn.Role == session.User {
			err = cmp.Or(err, f.check(turn.Text, "conversation"))
		}
	}
	texts := slices.AppendSeq(slices.Clone(r.Stop), jsonTexts(r.Schema, isOwnName))
	for name, value := range r.Params {
		texts = slices.AppendSeq(append(texts, name), jsonTexts(value, isOwnName))
	}
	return cmp.Or(err, f.checkAll(slices.Values(texts), "request"))
}

// withhold removes an answer that contains a blocked word, and returns the error of the call; failed if there is no
// such word. It checks everything that would be shown: the text, and the body if Raw is set or the call failed with
// status 200.
func (f *Filter) withhold(result *Result, failed error) error {
	if len(result.Attempts) == 0 {
		return failed
	}
	err := f.check(result.Answer.Text, "answer")
	if err == nil && (f.Raw || failed != nil && result.last().HTTPStatus == http.StatusOK) {
		err = f.checkEvents(result.Body)
	}
	if err != nil {
		return withheld(result, err)
	}
	return failed
}

// withheld returns the error of a call whose answer is withheld. It removes the answer, so that it cannot be printed or
// stored.
func withheld(result *Result, blocked error) error {
	result.Answer.Text, result.Body, result.Complete = "", nil, false
	if match, ok := errors.AsType[*guard.BlockedError](blocked); ok {
		blocked = match // without what other code wrapped around it
	}
	return &Error{Class: Blocked, Status: http.StatusOK, Node: result.Node, Attempts: len(result.Attempts), Err: blocked}
}

// namesOnly are the keys of a reply whose values come from the API and not from the model.
var namesOnly = map[string]bool{
	"type": true, "role": true, "id": true, "model": true, "object": true, "stop_reason": true, "finish_reason": true,
}

// schemaWords are the keywords of JSON schema (draft 2020-12).
const schemaWords = " $anchor $comment $defs $id $ref $schema additionalProperties allOf anyOf const contains default definitions " +
	"dependentRequired deprecated description else enum examples exclusiveMaximum exclusiveMinimum format if items maxItems " +
	"maxLength maxProperties maximum minItems minLength minProperties minimum multipleOf not oneOf pattern patternProperties " +
	"prefixItems properties propertyNames readOnly required then title type uniqueItems writeOnly "

// isOwnName reports whether a name in a schema or parameter was chosen by the user.
func isOwnName(name string) bool {
	return strings.ContainsRune(name, ' ') || !strings.Contains(schemaWords, " "+name+" ")
}

// jsonTexts returns the unescaped strings in a JSON value one at a time, and the member names for which wanted returns
// true. If body is not JSON, it is returned as one string.
func jsonTexts(body []byte, wanted func(name string) bool) iter.Seq[string] {
	return func(yield func(string) bool) {
		if !json.Valid(body) {
			if len(body) > 0 {
				yield(string(body))
			}
			return
		}
		name := "" // name of the next value
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
				var text string
				_ = json.Unmarshal(body[from:i+1], &text) // a string in valid JSON is valid
				show := !namesOnly[name] || wanted != nil
				if bytes.HasPrefix(bytes.TrimLeft(body[i+1:], " \t\r\n"), []byte(":")) {
					name, show = text, wanted != nil && wanted(text)
				}
				if show && !yield(text) {
					return
				}
			}
		}
	}
}

// checkEvents checks the strings in an event stream, in JSON lines or in a complete answer. It checks anything else as
// one string.
func (f *Filter) checkEvents(b []byte) error {
	if json.Valid(b) {
		return f.checkAll(jsonTexts(b, nil), "answer")
	}
	events := false
	for line := range bytes.FieldsFuncSeq(b, func(r rune) bool { return r == '\n' || r == '\r' }) {
		data, ok := bytes.CutPrefix(line, []byte("data:"))
		if !ok && line[0] != '{' {
			continue
		}
		events = true
		if err := f.checkAll(jsonTexts(bytes.TrimSpace(data), nil), "answer"); err != nil {
			return err
		}
	}
	if events {
		return nil
	}
	return f.check(string(b), "answer")
}

// IsBlocked reports whether the content filter blocked a call.
func IsBlocked(err error) bool { return errors.As(err, new(*guard.BlockedError)) }

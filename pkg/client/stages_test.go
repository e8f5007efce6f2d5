package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ferry/pkg/audit"
	"ferry/pkg/guard"
	"ferry/pkg/limit"
	"ferry/pkg/session"
	"ferry/pkg/text"
	"ferry/pkg/wire"
)

// through makes the trial's call through more stages, with a failover over one node.
func (tr *trial) through(t *testing.T, stages Stages, sink Sink) (*Result, error) {
	t.Helper()
	order := newOrder(t)
	order.add(tr, "")
	stages.Env, stages.Failover = tr.Env, &order.Failover
	call := tr.call(sink, AsAnswer)
	call.Endpoint = nil
	return Chain(stages).Do(t.Context(), call)
}

func blocking(t *testing.T, words ...string) *Filter {
	t.Helper()
	list := must(guard.NewFilter("words", words))(t)
	return &Filter{Lists: []*guard.Filter{list}, Prompts: true, Answers: true}
}

// TestFilterOfPrompts checks which parts of a request are filtered before it is sent.
func TestFilterOfPrompts(t *testing.T) {
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	for _, test := range []struct {
		name    string
		request wire.Request
		where   string // "" if it is sent
	}{
		{"nothing", wire.Request{Prompt: "an apple"}, ""},
		{"prompt", wire.Request{Prompt: "a Banana"}, "prompt"},
		{"system prompt", wire.Request{Prompt: "x", System: "banana"}, "system prompt"},
		{"earlier prompt", wire.Request{Prompt: "x", Turns: []wire.Turn{{Role: session.User, Text: "banana"}}}, "conversation"},
		{"earlier answer", wire.Request{Prompt: "x", Turns: []wire.Turn{{Role: session.Assistant, Text: "banana"}}}, ""},
		{"stop", wire.Request{Prompt: "x", Stop: []string{"banana"}}, "request"},
		{"a schema's text", wire.Request{Prompt: "x", Schema: raw(`{"description":"a \u0062anana"}`)}, "request"},
		{"a schema's own name", wire.Request{Prompt: "x", Schema: raw(`{"properties":{"banana":{}}}`)}, "request"},
		{"a parameter", wire.Request{Prompt: "x", Params: map[string]json.RawMessage{"k": raw(`["banana"]`)}}, "request"},
		{"a parameter's name", wire.Request{Prompt: "x", Params: map[string]json.RawMessage{"banana": raw(`1`)}}, "request"},
	} {
		err := blocking(t, "banana").CheckRequest(test.request)
		var blocked *guard.BlockedError
		where := ""
		if errors.As(err, &blocked) {
			where = blocked.Where
		}
		errorIf(t, where != test.where, "%s: blocked in %q, want %q", test.name, where, test.where)
	}
	tr, server := newServed(t, answer)
	tr.request.Prompt = "banana"
	if _, err := tr.through(t, Stages{Filter: blocking(t, "banana")}, nil); !isClass(err, Blocked) || server.count() != 0 {
		t.Errorf("a blocked prompt: got %v and %d requests, want a block and none", err, server.count())
	}
	if _, err := tr.through(t, Stages{Filter: blocking(t, "properties")}, nil); err != nil {
		t.Errorf("a word that is not there: %v", err)
	}
}

// TestFilterOfAnswers checks that nothing of a blocked answer is kept, and that a stream is shown up to the word.
func TestFilterOfAnswers(t *testing.T) {
	thought := "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hello\"}}]}\n\n" +
		"data: {\"choices\":[{\"delta\":{\"content\":\"fine\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"
	for _, test := range []struct {
		name          string
		reply         reply
		api           wire.API
		word          string
		streams       bool
		raw, thinking bool
		blocked       bool
		words, bytes  string // expected in the sink
	}{
		{name: "whole", reply: answer, word: "hello", blocked: true},
		{name: "whole, another word", reply: answer, word: "help"},
		{name: "an error's words", reply: reply{status: 400, body: `{"error":"hello"}`}, word: "hello"},
		{name: "an error's words in a 200", reply: body(`{"status":400,"error":"hello"}`), word: "hello", blocked: true},
		{name: "page", reply: body(`<html>hello`), word: "hello", blocked: true},
		{name: "streamed", reply: events(piece, rest), word: "hello", streams: true, blocked: true},
		{name: "streamed, another word", reply: events(piece, rest), word: "help", streams: true, words: "hello"},
		{name: "raw", reply: events(piece, rest), word: "hello", streams: true, raw: true, blocked: true},
		{name: "raw, another word", reply: events(piece, rest), word: "help", streams: true, raw: true, words: "hello", bytes: piece + rest},
		{name: "raw, cut", reply: events(piece), word: "zz", streams: true, raw: true, words: "hel", bytes: piece},
		{name: "reasoning", reply: events(thought), api: wire.Chat, word: "hello", streams: true, thinking: true, blocked: true, words: "fine"},
		{name: "reasoning, raw", reply: events(thought), api: wire.Chat, word: "hello", streams: true, thinking: true, raw: true, blocked: true},
		{name: "reasoning that is not shown", reply: events(thought), api: wire.Chat, word: "hello", streams: true, words: "fine"},
		{name: "behind the end", reply: events(piece, rest, ": hello\n\n"), word: "hello", streams: true, raw: true, blocked: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			tr := newTrial(t, serve(t, test.reply).URL)
			tr.Rule.Attempts = 1
			if test.api != "" {
				tr.Endpoint.API, tr.request.Model = test.api, "m"
			}
			filter := blocking(t, test.word)
			filter.Raw, filter.Thinking = test.raw, test.thinking
			told := &listener{}
			result, err := tr.through(t, Stages{Filter: filter}, sinkIf(test.streams, told))
			errorIf(t, isClass(err, Blocked) != test.blocked, "got %v, want blocked: %t", err, test.blocked)
			if test.blocked && (result.Answer.Text != "" || result.Body != nil || result.Complete) {
				t.Errorf("of a blocked answer is left %+v, %q", result.Answer, result.Body)
			}
			if got := told.words.String(); got != test.words {
				t.Errorf("the sink got the text %q, want %q", got, test.words)
			}
			if got := told.raw.String(); test.raw && got != test.bytes {
				t.Errorf("the sink got the bytes %q, want %q", got, test.bytes)
			}
		})
	}
}

// TestBudgetStage checks the charged tokens, and that nothing is sent after the budget is used up.
func TestBudgetStage(t *testing.T) {
	tr, server := newServed(t, status(500), body(`{"choices":[{"message":{"content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":30,"completion_tokens":50}}`))
	tr.Endpoint.API, tr.request.Model = wire.Chat, "m"
	folder := t.TempDir()
	ledger := limit.NewLedger(folder, "https://h.test", "n", 200, limit.NewClock())
	var told []error
	tr.Budget = &Budget{Ledger: ledger, Degraded: func(why error) { told = append(told, why) }, OnError: func(err error) { told = append(told, err) }}
	for i, want := range []int64{0, 80, 160} {
		_, err := tr.through(t, Stages{}, nil)
		rows, failed := limit.Usage(folder)
		var used int64
		for _, r := range rows {
			used += r.Input + r.Output
		}
		if used != want || failed != nil || (err == nil) != (i > 0) {
			t.Fatalf("call %d: got %v, %d tokens used, %v; want %d", i+1, err, used, failed, want)
		}
	}
	reservation := must(ledger.Reserve(t.Context(), 40, time.Minute))(t)
	if _, err := tr.through(t, Stages{}, nil); !errors.As(err, new(*limit.SpentError)) || server.count() != 3 {
		t.Errorf("got %v after %d requests, want a spent budget after 3", err, server.count())
	}
	check(t, reservation.Release())
	if err := tr.Budget.Check(t.Context(), tr.call(nil, AsAnswer)); err != nil || len(told) > 0 {
		t.Errorf("got %v, told %v", err, told)
	}
	tr.Budget.NoFolder = errors.New("no home")
	if _, err := tr.through(t, Stages{}, nil); err == nil || text.Hint(err) == "" || server.count() != 3 {
		t.Errorf("without a folder: got %v after %d requests, want a refusal with a hint", err, server.count())
	}
	tr.Budget.Unchecked = true
	if _, err := tr.through(t, Stages{}, nil); err != nil || len(told) != 2 {
		t.Errorf("unchecked: got %v, told %v", err, told)
	}
}

// TestEstimateInput checks that all text which a request sends counts: each part has 400 bytes, so 100 tokens.
func TestEstimateInput(t *testing.T) {
	part := strings.Repeat("x", 398)
	quoted := []byte(`"` + part + `"`)
	got := EstimateInput(wire.Request{
		System: part + "..", Prompt: part + "..", Turns: []wire.Turn{{Text: part + ".."}}, Schema: quoted,
		Params: map[string]json.RawMessage{"tools": quoted}, Files: []*wire.File{{Name: "a.txt", Data: quoted}},
	})
	if got < 600 || got > 650 {
		t.Errorf("got %d tokens, want 600 and a few for the name of the file", got)
	}
}

// TestRequestWithoutTokens checks that a request with a reported usage of 0 tokens is counted as a request.
func TestRequestWithoutTokens(t *testing.T) {
	tr, _ := newServed(t, body(`{"choices":[{"message":{"content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":0,"completion_tokens":0}}`))
	tr.Endpoint.API, tr.request.Model = wire.Chat, "m"
	folder := t.TempDir()
	tr.Budget = &Budget{Ledger: limit.NewLedger(folder, "https://h.test", "n", 200, limit.NewClock())}
	if _, err := tr.through(t, Stages{}, nil); err != nil {
		t.Fatal(err)
	}
	if rows, err := limit.Usage(folder); err != nil || len(rows) != 1 || rows[0].Requests != 1 || rows[0].Input+rows[0].Output != 0 {
		t.Errorf("got %+v, %v, want one request without tokens", rows, err)
	}
}

// TestConversationAndAudit checks that an answered prompt becomes a turn of the conversation and a line of the log.
func TestConversationAndAudit(t *testing.T) {
	tr := newTrial(t, serve(t, status(503), answer).URL)
	folder := t.TempDir()
	store := session.Store{Dir: filepath.Join(folder, "sessions")}
	handle := must(store.Open(t.Context(), "trip", time.Now(), time.Hour))(t)
	defer handle.Close()
	var notes []string
	conversation := &Conversation{Handle: handle, Nodes: "n", Clock: tr.Env.Clock, Note: func(format string, args ...any) {
		notes = append(notes, fmt.Sprintf(format, args...))
	}}
	kept := audit.Log{Path: filepath.Join(folder, "audit"), MaxSize: 1 << 20, Redact: new(guard.Redactor).String}
	log := &AuditLog{Log: kept, Content: true, Session: "s", Clock: tr.Env.Clock,
		Outcome: func(error) (string, int) { return "", 0 }, OnError: func(err error) { notes = append(notes, err.Error()) }}
	stages := Stages{Conversation: conversation, Audit: log, Output: CheckBatchSchema}
	if _, err := tr.through(t, stages, nil); err != nil || len(notes) > 0 {
		t.Fatalf("got %v, %v", err, notes)
	}
	want := []wire.Turn{{Role: session.User, Text: "hi"}, {Role: session.Assistant, Text: "hello"}}
	if turns, err := conversation.Turns(); err != nil || fmt.Sprint(turns) != fmt.Sprint(want) {
		t.Errorf("got the turns %v, %v, want %v", turns, err, want)
	}
	line, err := os.ReadFile(log.Path)
	for _, part := range []string{`"node":"1"`, `"attempts":2`, `"waits_ms":[1000]`, `"status":200`, `"session":"s"`, `"prompt":"hi"`, `"answer":"hello"`} {
		if err != nil || !strings.Contains(string(line), part) {
			t.Errorf("the log has %s, %v; want %s in it", line, err, part)
		}
	}
	conversation.Warn(errors.New("read only"))
	if err := conversation.WarnIfUnavailable(fmt.Errorf("x: %w", session.ErrUnavailable)); err != nil || len(notes) != 1 {
		t.Errorf("got %v and the notes %q, want one", err, notes)
	}
}

// TestSchemaStage checks that an answer is validated against the schema that was sent.
func TestSchemaStage(t *testing.T) {
	for content, ok := range map[string]bool{`{"a":1}`: true, `{"b":1}`: false, `hello`: false} {
		answer, _ := json.Marshal(content)
		tr := newTrial(t, serve(t, body(`{"choices":[{"message":{"content":`+string(answer)+`},"finish_reason":"stop"}]}`)).URL)
		tr.Endpoint.API, tr.request.Model = wire.Chat, "m"
		tr.request.Schema = json.RawMessage(`{"type":"object","required":["a"]}`)
		if _, err := tr.through(t, Stages{Output: CheckBatchSchema}, nil); (err == nil) != ok || err != nil && !isClass(err, NotAnAnswer) {
			t.Errorf("%s: got %v, want success: %t", content, err, ok)
		}
	}
}

package client

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ferry/pkg/retry"
	"ferry/pkg/wire"
)

func TestParseItem(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"hello", `3 "hello" "" 0`},
		{" hello\t\r", `3 " hello\t" "" 0`},
		{"\ufeffhello", `3 "\ufeffhello" "" 0`}, // it is a byte order mark only at the start of the file
		{"[1]", `3 "[1]" "" 0`},
		{`{"prompt":"p"}`, `3 "p" "" 0`},
		{`  {"id":"a","prompt":"p","model":"m","max_tokens":5,"system":null}` + "\r", `a "p" "m" 5`},
		{`{"id":7,"prompt":"p"}`, `7 "p" "" 0`},
		{`{"id":-7,"prompt":"p"}`, `-7 "p" "" 0`},
		{`{"id":null,"prompt":"p"}`, `3 "p" "" 0`},
		{"", "blank"},
		{" \t\r", "blank"},
		{`{`, "line 3: invalid JSON object: it is cut"},
		{`{"prompt":"p"} x`, "line 3: there is data after the object"},
		{`{"prompt":"p","promt":"q"}`, `line 3: invalid JSON object: unknown field "promt"`},
		{`{prompt: "p"}`, "line 3: invalid JSON object: syntax error at byte 2"},
		{`{"prompt":5}`, "line 3: invalid JSON object: prompt cannot be a number"},
		{`{"id":"a"}`, "line 3: the object has no prompt"},
		{`{"prompt":" "}`, "line 3: the prompt is empty"},
		{`{"prompt":"\u0000"}`, "line 3: the prompt has a NUL byte"},
		{`{"prompt":"p","max_tokens":0}`, "line 3: max_tokens must be a whole number from 1 to 2147483647"},
		{`{"prompt":"p","max_tokens":9223372036854775807}`, "line 3: max_tokens must be a whole number from 1 to 2147483647"},
		{`{"prompt":"p","max_tokens":1.5}`, "line 3: invalid JSON object: max_tokens cannot be a number 1.5"},
		{`{"prompt":"p","id":1.5}`, "line 3: the id must be a string or a whole number"},
		{`{"prompt":"p","id":["a"]}`, "line 3: the id must be a string or a whole number"},
		{`{"prompt":"p","id":""}`, "line 3: the id must have 1 to 512 bytes"},
		{`{"prompt":"p","id":"` + strings.Repeat("x", 513) + `"}`, "line 3: the id must have 1 to 512 bytes"},
		{"caf\xe9", "line 3: is not UTF-8"},
		{"a\x00b", "line 3: has a NUL byte"},
	} {
		item := parseItem(3, []byte(c.line))
		got := fmt.Sprintf("%s %q %q %d", item.ID, item.Prompt, item.Model, item.MaxTokens)
		switch {
		case item.fault != "":
			got = fmt.Sprintf("line %d: %s", item.Line, item.fault)
		case item.Line == 0:
			got = "blank"
		}
		errorIf(t, got != c.want, "%q: %s, want %s", c.line, got, c.want)
	}
	if item := parseItem(1, []byte("\ufeff{\"prompt\":\"p\"}")); item.fault != "" || item.Prompt != "p" {
		t.Errorf("with a byte order mark: %+v", item)
	}
}

func FuzzParseItem(f *testing.F) {
	f.Add([]byte("hello"))
	f.Add([]byte(`{"id":"a","prompt":"p","max_tokens":5}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		item := parseItem(2, line)
		bad := strings.TrimSpace(item.Prompt) == "" || item.ID == "" || len(item.ID) > maxID
		if item.fault == "" && item.Line != 0 && bad {
			t.Errorf("%q became %+v", line, item)
		}
	})
}

func TestLineReader(t *testing.T) {
	long := strings.Repeat("x", 200_000)
	in := newLineReader(strings.NewReader("a\n\n"+long+"\n"+long+long+"\nlast"), 200_001)
	for i, want := range []string{"a", "", long, "long", "last"} {
		line, err := in.next()
		got, ended := strings.CutSuffix(string(line), "\n")
		if errors.Is(err, errLineTooLong) {
			got, ended, err = "long", true, nil
		}
		if got != want || err != nil || ended != (want != "last") || in.number != i+1 {
			t.Errorf("line %d: %d bytes, %t, %v", i+1, len(got), ended, err)
		}
	}
	if _, err := in.next(); err != io.EOF {
		t.Errorf("after the last line: %v", err)
	}
}

// TestOpenBatchInput checks which files can be the input, and that a stream can be read twice.
func TestOpenBatchInput(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	for _, path := range []string{in, out} {
		check(t, os.WriteFile(path, []byte("one\n"), 0o600))
	}
	for _, path := range []string{in, "-"} {
		opened := must(OpenBatchInput(path, out, strings.NewReader("one\n")))(t)
		for range 2 {
			text, err := io.ReadAll(io.NewSectionReader(opened.file, 0, 100))
			errorIf(t, string(text) != "one\n" || err != nil, "%s reads as %q, %v", path, text, err)
		}
		opened.Close()
	}
	for path, want := range map[string]string{
		dir: "it is a folder", out: "the batch writes " + out + ", which is its input", filepath.Join(dir, "none"): "no such file",
	} {
		if _, err := OpenBatchInput(path, out, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", path, err, want)
		}
	}
	if _, err := OpenBatchInput("-", filepath.Join(dir, "none", "out"), strings.NewReader("")); err == nil {
		t.Error("an input was kept in a folder that is not there")
	}
}

// TestBatchRequest checks which values an item can override.
func TestBatchRequest(t *testing.T) {
	warm, own := 0.5, "own"
	b := &BatchRequest{
		Request: wire.Request{System: "all", Temperature: &warm}, Endpoint: &Endpoint{Model: "m", MaxTokens: 7}, Timeout: time.Minute, Clock: &fakeClock{},
	}
	if call := b.Call(Item{Prompt: "p", System: &own, Model: "n"}); call.Request.System != "own" || call.Request.Model != "n" || call.Timeout != time.Minute {
		t.Errorf("got %+v", call)
	}
	none := ""
	b.Endpoint.System = "the node's"
	for _, item := range []struct {
		system *string
		want   string
	}{{nil, "all"}, {&own, "own"}, {&none, ""}} {
		if got := b.Call(Item{Prompt: "p", System: item.system}).To(b.Endpoint).Request.System; got != item.want {
			t.Errorf("got the system prompt %q, want %q", got, item.want)
		}
	}
	if b.System = ""; b.Call(Item{}).To(b.Endpoint).Request.System != "the node's" {
		t.Error("the node's system prompt is not sent where nothing else is said")
	}
	b.System = "all"
	if price := b.Price(Item{Prompt: "four words are here"}); price.Input < 4 || price.Output != 7 || price.Files != 0 {
		t.Errorf("got a price of %+v", price)
	}
	b.Endpoint.Rule.Attempts, b.Others = 3, []*Endpoint{{Model: "n", MaxTokens: 500, Rule: retry.Rule{Attempts: 2}}}
	price := b.Price(Item{Prompt: "four words are here"})
	if in := price.MaxInput; price.Output != 7 || price.MaxOutput != 500 || price.All != 3*(price.Input+7)+2*(in+500) {
		t.Errorf("got a price of %+v at two nodes, want all attempts at both", price)
	}
	b.Others = nil
	if got := b.Settings(); got["--system"] != "all" || got["--temperature"] != "0.5" || got["--top-p"] != "" || got["--model"] != "m" {
		t.Errorf("got the settings %v", got)
	}
}

// TestAttachedTime checks that a call's time starts after its files are read: the wait for memory does not count.
func TestAttachedTime(t *testing.T) {
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "f"), bytes.Repeat([]byte("text "), smallBody), 0o600))
	synctest.Test(t, func(t *testing.T) {
		clock := &fakeClock{}
		clock.stop()
		b := &BatchRequest{Dir: dir, Endpoint: &Endpoint{}, Timeout: time.Minute, Clock: clock}
		memory := NewMemory()
		var others []*MemoryShare
		for _, size := range []int{sharedMemory, 2 * sharedMemory} {
			share := memory.Share()
			check(t, share.acquire(t.Context(), size))
			others = append(others, share)
		}
		item := Item{Prompt: "p", Files: []string{"f"}}
		call, read := b.Call(item), make(chan error)
		go func() { read <- b.Attach(t.Context(), item, call, memory.Share()) }()
		synctest.Wait()
		check(t, clock.Sleep(t.Context(), time.Hour))
		others[0].Release()
		if err := <-read; err != nil || !call.Deadline.Equal(clock.Now().Add(time.Minute)) {
			t.Errorf("the call ends %s after its files are read, want 1m0s; %v", call.Deadline.Sub(clock.Now()), err)
		}
	})
}

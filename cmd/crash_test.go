package cmd_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ferry/cmd"
	"ferry/pkg/demo"
)

// crashing is a part of ferry's surroundings that panics.
type crashing struct{ cmd.Env }

func (crashing) Write([]byte) (int, error) { panic("a fault of the program") }
func (c crashing) Now() time.Time          { return time.Now() }
func (crashing) Sleep(_ context.Context, d time.Duration) error {
	if d > 0 {
		panic("a fault of the program")
	}
	return nil
}

// TestCrash lets ferry panic before and after it has sent a request, in its own goroutine and in those of a batch and a
// bench. It is never exit code 2, and one line says whether something was sent.
func TestCrash(t *testing.T) {
	var asked atomic.Int32
	node := demo.New(demo.Options{})
	defer node.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		node.ServeHTTP(w, r)
	}))
	defer server.Close()
	dir := t.TempDir()
	in := filepath.Join(dir, "in.txt")
	write(t, in, "one\ntwo\n")
	const mayBe, nothing = "the request may have been carried out", "nothing was sent"
	tests := []struct {
		name   string
		args   []string
		change func(*cmd.Env)
		want   string
		sent   int32
	}{
		{"before", []string{"ask", "-n", server.URL, "hello"}, func(e *cmd.Env) { e.Random, e.Clock = nil, nil }, nothing, 0},
		{"after", []string{"ask", "-n", server.URL, "hello"}, func(e *cmd.Env) { e.Stdout = crashing{} }, mayBe, 1},
		{"while it waits", []string{"ask", "-n", server.URL + "?status=429", "hello"}, func(e *cmd.Env) { e.Clock = crashing{} }, mayBe, 1},
		{"stream", []string{"stream", "-n", server.URL, "hello"}, func(e *cmd.Env) { e.Stdout = crashing{} }, mayBe, 1},
		{
			"batch", []string{"ask", "--batch", in, "--out", filepath.Join(dir, "out.jsonl"), "-c", "1", "-n", server.URL + "?status=429"},
			func(e *cmd.Env) { e.Clock = crashing{} }, mayBe, 1,
		},
		{
			"bench", []string{"bench", "-r", "1", "--warmup", "0", "--attempts", "2", server.URL + "?status=429"},
			func(e *cmd.Env) { e.Clock = crashing{} }, "no success in 1 request: ferry crashed: a fault of the program", 1,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			asked.Store(0)
			var out, said bytes.Buffer
			env := cmd.SystemEnv()
			env.Stdin, env.Stdout, env.Stderr, env.Program = nil, &out, &said, nil
			vars := map[string]string{"HOME": t.TempDir(), "FERRY_KEY": "some-key"}
			env.Lookup = func(name string) (string, bool) { value, ok := vars[name]; return value, ok }
			tt.change(&env)
			if code := cmd.Run(t.Context(), tt.args, env); code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			text := said.String()
			if !strings.Contains(text, "ferry crashed: ") || !strings.Contains(text, "goroutine ") || strings.Count(text, tt.want) != 1 {
				t.Errorf("stderr: %s\nwant %q once, and where it was", text, tt.want)
			}
			if asked.Load() != tt.sent {
				t.Errorf("%d requests, want %d", asked.Load(), tt.sent)
			}
		})
	}
}

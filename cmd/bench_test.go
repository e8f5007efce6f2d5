package cmd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ferry/cmd"
	"ferry/pkg/demo"
)

// runVirtual runs a whole command in virtual time: the demo nodes take as long as they say, and nobody waits for it.
func runVirtual(t *testing.T, args ...string) (code int, stdout, stderr string, took time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var out, errs bytes.Buffer
		env := testEnv(nil, &out, &errs)
		env.Clock = cmd.SystemEnv().Clock
		env.SchedulingDelay = nil // this machine's, which is no part of the story
		began := time.Now()
		code = cmd.Run(context.Background(), args, env)
		stdout, stderr, took = out.String(), errs.String(), time.Since(began)
	})
	return code, stdout, stderr, took
}

// TestBenchOfTheDemo is the comparison that ferry comes from: 82 %, 98 % and 95 %, with means near 3200, 800 and 1200 ms.
func TestBenchOfTheDemo(t *testing.T) {
	code, stdout, stderr, took := runVirtual(t,
		"bench", "-r", "100", "-c", "25", "-o", "json", "demo/direct", "demo/hongkong", "demo/singapore")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	var report struct {
		Nodes []struct {
			Node      string
			Success   float64 `json:"success_rate"`
			Latency   struct{ Mean float64 }
			LatencyMS struct{ Mean float64 }    `json:"latency_ms"`
			Versus    *struct{ Verdict string } `json:"vs_reference"`
		}
	}
	check(t, json.Unmarshal([]byte(stdout), &report))
	want := []struct {
		node          string
		success, mean float64
	}{{"demo/direct", 0.82, 3200}, {"demo/hongkong", 0.98, 800}, {"demo/singapore", 0.95, 1200}}
	if len(report.Nodes) != len(want) {
		t.Fatalf("%d nodes: %s", len(report.Nodes), stdout)
	}
	for i, w := range want {
		got := report.Nodes[i]
		if got.Node != w.node || got.Success != w.success || got.LatencyMS.Mean < 0.93*w.mean || got.LatencyMS.Mean > 1.07*w.mean {
			t.Errorf("%+v, want %+v", got, w)
		}
		if i > 0 && (got.Versus == nil || got.Versus.Verdict != "faster") {
			t.Errorf("%s against direct: %+v", got.Node, got.Versus)
		}
	}
	if took > 30*time.Second {
		t.Errorf("it takes %s, and make demo is to take less than a minute with all else", took)
	}
}

// TestGoldenBench holds the whole output of small runs to golden files: in virtual time every run is the same.
func TestGoldenBench(t *testing.T) {
	for name, args := range map[string][]string{
		"text":      {"-o", "text", "demo/direct", "demo/hongkong", "demo/singapore"},
		"markdown":  {"-o", "markdown", "demo/direct", "demo/hongkong", "demo/singapore"},
		"zh":        {"-o", "markdown", "--lang", "zh", "demo/direct", "demo/hongkong", "demo/singapore"},
		"stream":    {"--stream", "demo:?latency=300ms&pace=20ms", "demo:?latency=400ms&pace=30ms"},
		"open-loop": {"--rate", "2", "-d", "30s", "-c", "1", "demo:?latency=400ms", "demo:?latency=700ms"},
		"csv":       {"-o", "csv", "demo/hongkong", "demo/singapore"},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"bench", "--seed", "1"}, args...)
			code, stdout, stderr, _ := runVirtual(t, args...)
			if code != 0 {
				t.Fatalf("exit code %d: %s", code, stderr)
			}
			golden(t, filepath.Join("..", "testdata", "golden", "bench", name+".txt"), stdout+"\n"+stderr)
		})
	}
}

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

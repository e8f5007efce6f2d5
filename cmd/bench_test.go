package cmd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"ferry/cmd"
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

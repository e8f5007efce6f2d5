package report

import (
	"strings"
	"testing"
	"time"

	"ferry/pkg/bench"
	"ferry/pkg/term"
)

func TestProgress(t *testing.T) {
	all := []bench.Progress{
		{Node: bench.Node{Name: "hk"}, Done: 5, Total: 20, OK: 4, Mean: 120 * time.Millisecond, Recent: []float64{100, 140},
			InFlight: 2, Oldest: 12400 * time.Millisecond},
		{Node: bench.Node{Name: "sg", Connection: bench.Reused}, Done: 3, InFlight: 1, Oldest: time.Millisecond},
		{Node: bench.Node{Name: "de"}, Total: 20, Ended: "max tokens"},
	}
	want := "after 10s: hk 5/20, 4 ok, mean 120 ms; sg (reused) 3, 0 ok; de 0/20, 0 ok"
	if got := ProgressLine(all, 10*time.Second); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	headings := ProgressTable(all, 10*time.Second, term.Facts{Plain: true, Width: 80}, Chinese, strings.ToUpper)[0]
	if got := strings.Join(strings.Fields(headings), " "); got != "节点 完成 成功 平均 等待中 最近 剩余" {
		t.Errorf("got the headings %q", got)
	}
	lines := ProgressTable(all, 10*time.Second, term.Facts{Plain: true, Width: 80}, English, strings.ToUpper)
	for i, words := range [][]string{
		{"node", "done", "ok", "mean", "waiting", "latest", "left"}, {"HK", "5/20", "80%", "120 ms", "2 for 12 s", "▁█", "30s"},
		{"SG (REUSED)", "3", "0%", "1"}, {"DE", "0/20", "–", "ended"},
	} {
		if i >= len(lines) || strings.Join(strings.Fields(lines[i]), " ") == "" {
			t.Fatalf("got %d lines, want 4: %q", len(lines), lines)
		}
		rest := lines[i]
		for _, word := range words {
			_, after, found := strings.Cut(rest, word)
			if !found {
				t.Errorf("line %d: got %q, want %q in it", i, lines[i], words)
				break
			}
			rest = after
		}
	}
}

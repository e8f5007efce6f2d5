package bench

import (
	"testing"

	"ferry/pkg/text"
)

func TestMixable(t *testing.T) {
	// file is a run with samples of its first series in some rounds.
	file := func(change func(*Header), rounds ...int) *Run {
		run := &Run{Header: savedHeader()}
		run.Header.ID = "another"
		change(&run.Header)
		for _, n := range run.Header.Nodes {
			run.Series = append(run.Series, newSeries(n))
		}
		for _, round := range rounds {
			run.Series[0].add(record{Round: round, Attempts: 1, Latency: 1})
		}
		return run
	}
	const hint = "only runs of the same request, asked in the same way, can be merged"
	for name, test := range map[string]struct {
		change     func(*Header)
		rounds     []int
		want, hint string
	}{
		"a place":      {func(h *Header) { h.Vantage = "北京" }, []int{1, 2}, "", ""},
		"the rest":     {func(h *Header) { h.Seed, h.Requests, h.Warmup, h.Reference = 8, 9, 0, "hongkong" }, []int{1, 2}, "", ""},
		"a label":      {func(h *Header) { h.Nodes[0].Label = "" }, nil, "", ""},
		"other nodes":  {func(h *Header) { h.Nodes = []Node{{Name: "qwen", API: "chat", Connection: Cold}} }, []int{1}, "", ""},
		"a connection": {func(h *Header) { h.Nodes[0].Connection = Reused; h.ID = "6f1d20" }, []int{1, 2}, "", ""},
		"a half":       {func(h *Header) { h.ID = "6f1d20" }, []int{4, 0, 7}, "", ""},
		"a round twice, as of two warm-ups that were refused": {func(h *Header) { h.ID = "6f1d20" }, []int{0, 0}, "", ""},

		"schema":   {func(h *Header) { h.Schema = 2 }, nil, "their versions are 1 and 2", hint},
		"prompt":   {func(h *Header) { h.PromptSHA256 = "aa" }, nil, "their prompts differ", hint},
		"tokens":   {func(h *Header) { h.MaxTokens = 4096 }, nil, "max_tokens is 100 and 4096", hint},
		"stream":   {func(h *Header) { h.Stream = false }, nil, "only one of them streamed", hint},
		"attempts": {func(h *Header) { h.Attempts = 1 }, nil, "a request had up to 3 and up to 1 attempts", hint},
		"loop":     {func(h *Header) { h.Rate = 2 }, nil, "only one of them sent at a fixed rate", hint},
		"host":     {func(h *Header) { h.Nodes[1].Host = "hk2.example.com" }, nil, "the host of hongkong is hk.example.com and hk2.example.com", hint},
		"API":      {func(h *Header) { h.Nodes[2].API = "chat" }, nil, "the API of hongkong is messages and chat", hint},
		"model":    {func(h *Header) { h.Nodes[0].Model = "" }, nil, "the model of direct is claude-haiku-5-5 and none", hint},

		"the same attempts": {func(h *Header) { h.ID = "6f1d20" }, []int{9, 0, 2}, "both hold round 2 of direct (cold) of the same run", "name each run once"},
	} {
		first := file(func(h *Header) { h.ID = "6f1d20" }, 3, 2, 1)
		middle := file(func(h *Header) { h.ID = "third"; h.Nodes = h.Nodes[:1] }, 1, 2, 3)
		err := Mixable([]*Run{first, middle, file(test.change, test.rounds...)}, []string{"a", "b", "c"})
		if test.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err == nil || err.Error() != "a and c cannot be merged: "+test.want || text.Hint(err) != test.hint {
			t.Errorf("%s: got %v (%s), want %s (%s)", name, err, text.Hint(err), test.want, test.hint)
		}
	}
	fast, faster := file(func(h *Header) { h.Rate = 2 }), file(func(h *Header) { h.Rate = 2.5; h.ID = "x" })
	if err := Mixable([]*Run{fast, faster}, []string{"a", "b"}); err == nil || err.Error() != "a and b cannot be merged: they sent at 2 and 2.5 requests per second" {
		t.Errorf("rates: %v", err)
	}
	if err := Mixable(nil, nil); err != nil {
		t.Errorf("no runs: %v", err)
	}
	if err := Mixable([]*Run{fast}, []string{"a"}); err != nil {
		t.Errorf("one run: %v", err)
	}
}

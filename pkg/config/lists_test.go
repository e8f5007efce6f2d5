package config

import (
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"ferry/pkg/guard"
)

// TestGuarded reads the filter, the patterns and the audit log, with paths relative to the file.
func TestGuarded(t *testing.T) {
	f := mustParse(t, `
filter: {file: sub/words.txt, words: [a b, 'c"d', "香"], on: [answer]}
redact:
  - "工号\\d+"
  - x{2,3}
audit: {file: ~/log/audit.jsonl, content: redacted, max_size: 2MB}
`)
	v := mustResolve(t, f, vars("HOME", "/home/u"), nil)
	got := []any{v.FilterFile, v.FilterWords, v.FiltersPrompts, v.FiltersAnswers, v.Redact, v.AuditFile, v.AuditsContent, v.AuditMaxSize}
	want := []any{filepath.FromSlash("/etc/x/sub/words.txt"), []string{"a b", `c"d`, "香"}, false, true, []string{`工号\d+`, "x{2,3}"},
		filepath.FromSlash("/home/u/log/audit.jsonl"), true, int64(2e6)}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	v = mustResolve(t, &File{}, nil, nil)
	if v.FiltersPrompts || v.FiltersAnswers || v.FilterFile+v.AuditFile != "" || v.Redact != nil || v.AuditMaxSize != 10<<20 {
		t.Error("something is on that nobody asked for")
	}
	v = mustResolve(t, mustParse(t, "filter: {words: [a]}"), nil, nil)
	if !v.FiltersPrompts || v.FiltersAnswers {
		t.Error("without on the filter looks at something else than the prompt")
	}
}

// Two pins. The second begins like a credential of another provider, as any hash may.
const (
	pinA = "sha256//r5BzNgBmJT0dPH9ioULu/yXUu3Bii2BWFF/IeQhKJlU="
	pinB = "sha256//AKIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
)

func TestPinsParse(t *testing.T) {
	node := func(pins string) string { return "nodes:\n  a:\n    url: https://h\n    pins: " + pins + "\n" }
	for name, src := range map[string]string{
		"one text":           node(pinA + "," + pinB),
		"a list on one line": node(`["` + pinA + `", "` + pinB + `"]`),
		"a list of lines":    node("\n      - " + pinA + "\n      # the backup\n      - " + pinB),
	} {
		f := mustParse(t, src)
		n := f.node("a")
		n.read(n.setValue)
		if got := guard.JoinPins(n.Pins, " "); got != pinA+" "+pinB {
			t.Errorf("%s: %s", name, got)
		}
		v := must(Resolve(f, nil, nil))(t)
		if got, ok := Get(List(v), "nodes.a.pins"); !ok || got != pinA+","+pinB {
			t.Errorf("%s: get gives %q", name, got)
		}
		if !strings.HasPrefix(n.Origin("pins"), "config.yaml:") {
			t.Errorf("%s: said in %s", name, n.Origin("pins"))
		}
	}
	n := mustSelect(t, mustResolve(t, mustParse(t, node(pinA)), nil, nil), "a")
	if len(n.Pins) != 1 {
		t.Errorf("one pin: got %v", n.Pins)
	}
}

func TestSplitNodes(t *testing.T) {
	tests := []struct {
		text string
		want []string
	}{
		{"direct", []string{"direct"}},
		{"hongkong, singapore,qwen", []string{"hongkong", "singapore", "qwen"}},
		{"https://a/api,b,http://127.0.0.1:1", []string{"https://a/api", "b", "http://127.0.0.1:1"}},
		{"demo:?status=429,503,200", []string{"demo:?status=429,503,200"}},
		{"demo:?status=429,503\nhongkong", []string{"demo:?status=429,503", "hongkong"}},
		{"demo:?status=429,503,demo/hongkong,a", []string{"demo:?status=429,503", "demo/hongkong", "a"}},
		{"https://h?x=1,2,https://i,j", []string{"https://h?x=1,2", "https://i", "j"}},
		{"demo:?stall,demo", []string{"demo:?stall", "demo"}},
		{"a,,b", []string{"a", "", "b"}},
	}
	for _, tt := range tests {
		got := SplitNodes(tt.text)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%q: got %q, want %q", tt.text, got, tt.want)
		}
		if again := SplitNodes(JoinNodes(got)); !slices.Equal(again, got) {
			t.Errorf("%q: joined and split again %q", tt.text, again)
		}
	}
	if got := JoinNodes([]string{"a", "b"}); got != "a,b" {
		t.Errorf("joined with commas: %q", got)
	}
}

// A list and comma-separated text mean the same.
func TestNodeListInFile(t *testing.T) {
	for _, src := range []string{"node: [a, b]\n", "node:\n  - a\n  - b\n", "node: a,b\n", "node: \"a, b\"\n"} {
		f := mustParse(t, src)
		v := mustResolve(t, f, nil, nil)
		if got := v.Nodes; !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("%q: got %q", src, got)
		}
		if shown, _ := Get(List(v), "node"); shown != "a,b" {
			t.Errorf("%q: shown as %q", src, shown)
		}
	}
}

func FuzzSplitNodes(f *testing.F) {
	f.Add("a,b")
	f.Add("demo:?status=429,503\nhttps://h?x,demo/slow")
	f.Fuzz(func(t *testing.T, text string) {
		names := SplitNodes(text)
		if keys[0].checkText(text) != nil {
			return
		}
		if again := SplitNodes(JoinNodes(names)); !slices.Equal(again, names) {
			t.Errorf("%q is %q, and joined %q", text, names, again)
		}
	})
}

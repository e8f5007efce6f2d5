package config

import (
	"slices"
	"testing"
)

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

// The file's list and its text of commas say the same, and an edit turns one into the other.
func TestNodeListInFile(t *testing.T) {
	for _, src := range []string{"node: [a, b]\n", "node:\n  - a\n  - b\n", "node: a,b\n", "node: \"a, b\"\n"} {
		f := mustParse(t, src)
		v := mustResolve(t, f, nil, nil)
		if got := v.Nodes; !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("%q: got %q", src, got)
		}
		if shown, _ := Get(List(v, f), "node"); shown != "a,b" {
			t.Errorf("%q: shown as %q", src, shown)
		}
	}
	for src, want := range map[string]string{
		"":                              "node: \"a,c\"\n",
		"node: [a, b] # mine\n":         "node: \"a,c\" # mine\n",
		"node: a # mine\ntimeout: 1s\n": "node: \"a,c\" # mine\ntimeout: 1s\n",
	} {
		out, err := Set([]byte(src), "node", "a,c")
		if err != nil || string(out) != want {
			t.Errorf("%q: got %q, %v", src, out, err)
		}
	}
	if _, err := Set(nil, "node", "a,a"); err == nil {
		t.Error("a node was taken twice")
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

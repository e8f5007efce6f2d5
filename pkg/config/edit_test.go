package config

import (
	_ "embed"
	"os"
	"strings"
	"testing"

	"ferry/pkg/text"
)

//go:embed testdata/commented.yaml
var commented string

const samePins = "nodes: {a: {url: https://h, pins: [\"" + pinA + "\", \"" + pinB + "\"]}}"

// edits are those that a diff cannot show well: in files of one line, with other line ends, and without a change.
var edits = []struct{ name, command, src, want string }{
	{"remarks alone", "set tls.min 1.2", "# hi", "# hi\ntls:\n  min: \"1.2\"\n"},
	{"byte order mark", "set timeout 5m", "\ufefftimeout: 1m\n", "\ufefftimeout: 5m\n"},
	{"byte order mark alone", "set timeout 5m", "\ufeff", "\ufefftimeout: 5m\n"},
	{"header with a dot", "set nodes.a.headers.X.Y v", "nodes: {a: {url: https://h}}",
		"nodes: {a: {url: https://h, headers: {X.Y: v}}}"},
	{"same value", "set timeout 10m", commented, commented},
	{"CRLF", "set node demo", "timeout: 1m\r\nproxy: none\r\n", "timeout: 1m\r\nproxy: none\r\nnode: demo\r\n"},
	{"CRLF in the middle", "set retry.attempts 2", "retry:\r\n  delay: 1s\r\nproxy: none\r\n",
		"retry:\r\n  delay: 1s\r\n  attempts: 2\r\nproxy: none\r\n"},
	{"no last line break", "set node demo", "timeout: 1m", "timeout: 1m\nnode: demo\n"},
	{"null in flow", "set retry.delay 1s", "{retry: , timeout: 1m}", "{retry: {delay: 1s} , timeout: 1m}"},
	{"empty flow", "set retry.delay 1s", "retry: { } # x", "retry: {delay: 1s } # x"},
	{"empty root", "set retry.delay 1s", "{}", "{retry: {delay: 1s}}"},
	{"trailing comma", "set retry.delay 1s", "retry: {attempts: 3,}", "retry: {attempts: 3, delay: 1s}"},
	{"JSON", "set retry.delay 1s", `{"retry":{"attempts":3}}`, `{"retry":{"attempts":3, delay: 1s}}`},
	{"pins for one text", "set nodes.a.pins " + pinB, "nodes: {a: {url: https://h, pins: '" + pinA + "'}}",
		"nodes: {a: {url: https://h, pins: [\"" + pinB + "\"]}}"},
	{"the same pins", "set nodes.a.pins " + pinA + "," + pinB, samePins, samePins},
	{"truth", "set nodes.a.insecure true", "nodes: {a: {url: http://h}}", "nodes: {a: {url: http://h, insecure: true}}"},
	{"a field of any form", `set nodes.a.params.x.y  {"b": [1.50, null, "é\u2028"], "a": {}} `, "nodes: {a: {url: http://h}}",
		`nodes: {a: {url: http://h, params: {x.y: {"a":{},"b":[1.50,null,"é\u2028"]}}}}`},
	{"a field that is a text", `set nodes.a.params.x say "no"`, "nodes: {a: {url: http://h, params: {x: 1}}}",
		`nodes: {a: {url: http://h, params: {x: "say \"no\""}}}`},
	{"behind a wide space", "set node demo", "{nodes: {a: {url: https://h, label: a　}}}",
		"{nodes: {a: {url: https://h, label: a　}}, node: demo}"},
	{"lines and marks", "set system a\n\"b\"\t\u200b\x7f", "", "system: \"a\\n\\\"b\\\"\\t\\u200b\\x7f\"\n"},
	{"in flow, first", "unset retry.attempts", "retry: {attempts: 3, delay: 1s}", "retry: {delay: 1s}"},
	{"in flow, middle", "unset retry.delay", "retry: {attempts: 3, delay: 1s, policy: script}",
		"retry: {attempts: 3, policy: script}"},
	{"the only key", "unset timeout", "timeout: 1m", ""},
	{"header in another case", "unset nodes.a.headers.x-b", "nodes: {a: {url: https://h, headers: {X-A: b, X-B: c}}}",
		"nodes: {a: {url: https://h, headers: {X-A: b}}}"},
	{"CRLF", "unset timeout", "timeout: 1m\r\nproxy: none\r\n", "proxy: none\r\n"},
	{"a text of two lines in flow", "unset nodes.a.label", "nodes: {a: {url: https://h, label: one\n  two}}",
		"nodes: {a: {url: https://h}}"},
	{"beside a map without braces", "unset nodes.a.params.x", "nodes: {a: {url: https://h, params: {x: [b: 1], y: 2}}}",
		"nodes: {a: {url: https://h, params: {y: 2}}}"},
}

// edited carries out a command: set KEY VALUE, or unset KEY.
func edited(command, src string) (string, error) {
	words := append(strings.SplitN(command, " ", 3), "")
	out, err := Set([]byte(src), words[1], words[2])
	if words[0] == "unset" {
		out, err = Unset([]byte(src), words[1])
	}
	return string(out), err
}

func TestEdit(t *testing.T) {
	for _, tt := range edits {
		if got, err := edited(tt.command, tt.src); err != nil || got != tt.want {
			t.Errorf("%s: %v\ngot  %q\nwant %q", tt.name, err, got, tt.want)
		}
	}
	for _, text := range strings.Split(string(must(os.ReadFile("testdata/edits.txt"))(t)), "\n=== ")[1:] {
		name, text, _ := strings.Cut(text, "\n")
		command, text, _ := strings.Cut(text, "\n")
		diff, failure, fails := strings.Cut(text, "=> ")
		part, isPart := strings.CutPrefix(diff, "@@\n")
		src, want := undiff(part)
		if isPart {
			if n := strings.Count(commented, src); n != 1 && !fails {
				t.Errorf("%s: the part is %d times in commented.yaml, want once", name, n)
			}
			src, want = commented, strings.Replace(commented, src, want, 1)
		}
		got, err := edited(command, src)
		if fails {
			message, hint, _ := strings.Cut(failure, "\n")
			wantEditError(t, name, err, message, strings.TrimSpace(hint))
		} else if err != nil || got != want {
			t.Errorf("%s: %v\ngot  %q\nwant %q", name, err, got, want)
		}
	}
}

// undiff returns the two texts of a diff.
func undiff(diff string) (before, after string) {
	for line := range strings.Lines(diff) {
		switch line[0] {
		case '-':
			before += line[1:]
		case '+':
			after += line[1:]
		default:
			line = strings.TrimPrefix(line, " ")
			before, after = before+line, after+line
		}
	}
	return before, after
}

func wantEditError(t *testing.T, name string, err error, want, hint string) {
	t.Helper()
	wantError(t, name, err, want)
	if got := text.Hint(err); got != hint {
		t.Errorf("%s: hint %q, want %q", name, got, hint)
	}
}

// TestEditErrors has the keys and values that edits.txt cannot show, or should not: API keys and line breaks.
func TestEditErrors(t *testing.T) {
	for _, tt := range []struct{ name, key, value, want, hint string }{
		{"secret for a key", canary + " x", "1s", "…: unknown key", ""},
		{"shape of a key", "nodes.q.label", "sk-ant-" + canary,
			"nodes.q.label: this looks like a key to an API, and is not shown", refHint},
		{"a key among pins", "nodes.q.pins", pinA + ",sk-ant-" + canary,
			"nodes.q.pins: this looks like a key to an API, and is not shown", refHint},
		{"line break", "nodes.q.label", "a\n" + canary, "nodes.q.label: has a line break or a control character", ""},
	} {
		_, err := Set([]byte(commented), tt.key, tt.value)
		wantEditError(t, tt.name, err, tt.want, tt.hint)
	}
}

func TestCheckKey(t *testing.T) {
	for _, key := range []string{"timeout", "model", "retry.delay", "nodes.a.url", "nodes.a.headers.X-Y"} {
		if err := CheckKey(key); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	wantError(t, "a group", CheckKey("retry"), "retry: is a group; use one of the keys in it")
	wantError(t, "a typo", CheckKey("timout"), "timout: unknown key; did you mean timeout?")
}

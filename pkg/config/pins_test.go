package config

import (
	"errors"
	"strings"
	"testing"

	"ferry/pkg/guard"
)

// Two pins; the second has what a credential of another provider begins with, as any hash may.
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
		n.read(n.own)
		if got := guard.JoinPins(n.Pins, " "); got != pinA+" "+pinB {
			t.Errorf("%s: %s", name, got)
		}
		v, err := Resolve(f, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := Get(List(v, f), "nodes.a.pins"); !ok || got != pinA+","+pinB {
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

func TestPinsErrors(t *testing.T) {
	node := func(pins string) string { return "nodes:\n  a: {url: https://h, pins: " + pins + "}\n" }
	list := func(pins string) string { return "nodes:\n  a:\n    url: https://h\n    pins:\n" + pins }
	const wantsPin = "a pin is sha256// and a hash in base64"
	tests := []struct{ name, src, want string }{
		{"wrong prefix", node("sha1//x"), "c.yaml:2:29: nodes.a.pins: " + wantsPin},
		{"the second of a list", list("      - " + pinA + "\n      - sha256/x\n"), "c.yaml:6:9: nodes.a.pins: " + wantsPin},
		{"bad base64", node(`"sha256//?"`), "c.yaml:2:29: nodes.a.pins: what follows sha256// is not base64"},
		{"too short", node("[sha256//AAAA]"), "c.yaml:2:30: nodes.a.pins: a pin's hash has 32 bytes; this one has 3"},
		{"nothing", node("") + "", "c.yaml:2:29: nodes.a.pins: has no value"},
		{"an empty list", node("[]"), "c.yaml:2:29: nodes.a.pins: has no value"},
		{"an empty item", node("[" + pinA + ", ~]"), "c.yaml:2:84: nodes.a.pins: has no value"},
		{"a comma too many", node(`"` + pinA + `,"`), "c.yaml:2:29: nodes.a.pins: " + wantsPin},
		{"a map", node("{a: b}"), "c.yaml:2:29: nodes.a.pins: use a single value"},
		{"a list in a list", node("[[" + pinA + "]]"), "c.yaml:2:30: nodes.a.pins: use a single value"},
		{"a key", node(`["sk-ant-` + canary + `"]`), "c.yaml:2:30: nodes.a.pins: this looks like a key to an API, and is not shown"},
		{"misspelt", "nodes:\n  a: {url: https://h, pin: x}\n", "c.yaml:2:23: nodes.a.pin: unknown key; did you mean pins?"},
		{"plain http", "nodes:\n  a: {url: http://127.0.0.1, pins: " + pinA + "}\n",
			"c.yaml:2:3: nodes.a.pins: this node is not reached over TLS, so nothing would be held to these pins"},
		{"the demo node", "nodes:\n  a: {url: 'demo:', pins: " + pinA + "}\n",
			"c.yaml:2:3: nodes.a.pins: this node is not reached over TLS, so nothing would be held to these pins"},
		{"at the top", "pins: " + pinA + "\n", "c.yaml:1:1: pins: unknown key"},
	}
	for _, tt := range tests {
		_, err := Parse("c.yaml", []byte(tt.src))
		var e *Error
		if !errors.As(err, &e) || err.Error() != tt.want {
			t.Errorf("%s: %v\nwant %s", tt.name, err, tt.want)
			continue
		}
		if strings.Contains(err.Error()+e.Hint(), canary) {
			t.Errorf("%s repeats a value: %v", tt.name, err)
		}
	}
}

func TestPinsEdit(t *testing.T) {
	const block = "nodes:\n  a:\n    url: https://h\n    pins:\n      - " + pinA + "\n      - " + pinB + "\n    label: x # mine\n"
	const flow = "nodes:\n  a: {url: https://h, pins: [" + pinA + "]} # mine\n"
	list := `["` + pinA + `", "` + pinB + `"]`
	tests := []struct{ name, src, value, want string }{
		{"new", "nodes:\n  a:\n    url: https://h\n", pinA, "nodes:\n  a:\n    url: https://h\n    pins: [\"" + pinA + "\"]\n"},
		{"two", "nodes:\n  a:\n    url: https://h\n", pinA + "," + pinB, "nodes:\n  a:\n    url: https://h\n    pins: " + list + "\n"},
		{"spaces", "nodes:\n  a: {url: https://h}\n", pinA + ", " + pinB, "nodes:\n  a: {url: https://h, pins: " + list + "}\n"},
		{"instead of a list", flow, pinA + "," + pinB, "nodes:\n  a: {url: https://h, pins: " + list + "} # mine\n"},
		{"instead of lines", block, pinB, "nodes:\n  a:\n    url: https://h\n    pins: [\"" + pinB + "\"]\n    label: x # mine\n"},
		{"instead of one text", "nodes: {a: {url: https://h, pins: '" + pinA + "'}}", pinB, "nodes: {a: {url: https://h, pins: [\"" + pinB + "\"]}}"},
		{"the same again", "nodes: {a: {url: https://h, pins: " + list + "}}", pinA + "," + pinB, "nodes: {a: {url: https://h, pins: " + list + "}}"},
	}
	for _, tt := range tests {
		out, err := Set([]byte(tt.src), "nodes.a.pins", tt.value)
		if err != nil || string(out) != tt.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", tt.name, err, out, tt.want)
		}
	}
	for _, src := range []string{flow, block} {
		if out, err := Unset([]byte(src), "nodes.a.pins"); err != nil || strings.Contains(string(out), "sha256") || !strings.Contains(string(out), "# mine") {
			t.Errorf("unset: %v\n%s", err, out)
		}
	}
	for name, tt := range map[string]struct{ src, value, want string }{
		"a comment among the lines": {strings.Replace(block, "pins:", "pins: # of 2026", 1), pinA, "nodes.a.pins: cannot be edited safely here"},
		"no pin":                    {flow, "x", "nodes.a.pins: a pin is sha256// and a hash in base64"},
		"a key":                     {flow, pinA + ",sk-ant-" + canary, "nodes.a.pins: this looks like a key to an API, and is not shown"},
		"nothing":                   {flow, "", "nodes.a.pins: has no value"},
		"plain http":                {"nodes: {a: {url: 'http://h'}}", pinA, "nodes.a.pins: this node is not reached over TLS, so nothing would be held to these pins"},
	} {
		if out, err := Set([]byte(tt.src), "nodes.a.pins", tt.value); err == nil || err.Error() != tt.want {
			t.Errorf("%s: %v, %s", name, err, out)
		}
	}
	if _, err := Set([]byte(flow), "nodes.a.url", "http://h"); err == nil || !strings.Contains(err.Error(), "nodes.a.pins: this node is not reached over TLS") {
		t.Errorf("plain http below pins: %v", err)
	}
}

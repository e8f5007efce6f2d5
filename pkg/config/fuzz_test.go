package config

import (
	"errors"
	"strings"
	"testing"
)

// FuzzParse checks that no input panics and that no message repeats a line of the file. Keys that look like words may
// be repeated, so only lines of at least 24 bytes with a space or a quote count.
func FuzzParse(f *testing.F) {
	for _, s := range []string{example, commented, "a: [", "a: \"b\n", "a: &x [*x]\n", "%YAML 1.1\n---\na: b\n", "? a\n: b\n",
		"nodes: {a: {url: \"demo:\", headers: {A: \"" + canary + " x\"}}}", "\ufeffa: |\n  b\n", "a: b: " + canary, "<<: {a: b}", section("  listen: [443]\n  roles: {a: [models]}\n"),
		string(Template())} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		file, err := Parse("c.yaml", src)
		if err == nil {
			v, err := Resolve(file, vars("HOME", "/h"), nil)
			if err != nil {
				t.Fatalf("valid in the file, refused by Resolve: %v", err)
			}
			if _, err := file.Gateway(vars("HOME", "/h")); err != nil {
				t.Errorf("valid in the file, refused by Gateway: %v", err)
			}
			for _, name := range file.Nodes {
				if _, err := v.Select(name, ""); err != nil {
					t.Errorf("valid in the file, refused by Select: %v", err)
				}
			}
			return
		}
		var e *Error
		if !errors.As(err, &e) || file != nil {
			t.Fatalf("got %v, want an *Error", err)
		}
		for line := range strings.Lines(string(src)) {
			line = strings.TrimSpace(line)
			if len(line) > 24 && strings.ContainsAny(line, " \"'") && strings.Contains(e.Error()+e.Hint(), line) {
				t.Errorf("%q repeats a line of the file", e.Error())
			}
		}
		if strings.Contains(e.Error()+e.Hint(), canary+" ") {
			t.Errorf("%q repeats the secret", e.Error())
		}
	})
}

// FuzzSet checks that a value that was set is read back, that every line outside the edit stays byte for byte, and
// that Unset removes the value and nothing else.
func FuzzSet(f *testing.F) {
	keys := []string{"timeout", "retry.attempts", "retry.policy", "proxy", "tls.ca", "nodes.hk.label", "nodes.q.headers.X-Team",
		"nodes.new.url", "nodes.q.model", "nodes.hk.tls.min"}
	values := []string{"3s", "5", "backoff", "none", "a: b # 'c' \"d\"", "香港", "core", "demo:?x=1", "m", "1.3"}
	for i := range keys {
		f.Add([]byte(commented), uint8(i), values[i])
		f.Add([]byte("{timeout: 1s, nodes: {hk: {url: https://h}, q: {url: 'https://q', headers: {A: b}}}}"), uint8(i), values[i])
		f.Add([]byte(strings.ReplaceAll(commented, "\n", "\r\n")), uint8(i), values[i])
	}
	f.Fuzz(func(t *testing.T, src []byte, pick uint8, value string) {
		key := keys[int(pick)%len(keys)]
		out, err := Set(src, key, value)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want an *Error", err)
			}
			if len(value) > 12 && strings.Contains(e.Error()+e.Hint(), value) {
				t.Errorf("%q repeats the value", e.Error())
			}
			return
		}
		if got := readBack(t, out, key); got != value {
			t.Fatalf("set to %q, read back as %q", value, got)
		}
		if changed := linesChanged(string(src), string(out)); changed > 1 {
			t.Errorf("%d lines changed:\n%q\n%q", changed, src, out)
		}
		back, err := Unset(out, key)
		if err != nil {
			return // it may be required, or not safe to edit
		}
		k, _ := parseKey(key)
		root, fault := parseTree(back)
		if fault != nil || len(follow(root, newDoc(back, root).spelled(k.path))) == len(k.path) {
			t.Errorf("still there, %v:\n%q", fault, back)
		}
	})
}

func readBack(t *testing.T, src []byte, key string) string {
	t.Helper()
	if _, err := Parse("c.yaml", src); err != nil {
		t.Fatalf("what was written is not valid: %v\n%q", err, src)
	}
	root, fault := parseTree(src)
	if fault != nil {
		t.Fatal(fault)
	}
	k, _ := parseKey(key)
	found := follow(root, newDoc(src, root).spelled(k.path))
	if len(found) != len(k.path) {
		t.Fatalf("%s is not there:\n%q", key, src)
	}
	return found[len(found)-1].value().Value
}

// linesChanged counts the lines of a that are not in b, in order, ignoring lines that were inserted between them.
func linesChanged(a, b string) int {
	was, is := strings.SplitAfter(a, "\n"), strings.SplitAfter(b, "\n")
	for len(was) > 0 && len(is) > 0 && was[0] == is[0] {
		was, is = was[1:], is[1:]
	}
	for len(was) > 0 && len(is) > 0 && was[len(was)-1] == is[len(is)-1] {
		was, is = was[:len(was)-1], is[:len(is)-1]
	}
	return len(was)
}

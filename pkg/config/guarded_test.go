package config

import (
	"errors"
	"path/filepath"
	"reflect"
	"testing"
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

func TestGuardedErrors(t *testing.T) {
	for src, want := range map[string]string{
		"filter:":                "config.yaml:1:1: filter: needs file or words",
		"filter: {}":             "config.yaml:1:1: filter: needs file or words",
		"audit:":                 "config.yaml:1:1: audit: needs file",
		"audit: {}":              "config.yaml:1:1: audit: needs file",
		"filter: {on: [prompt]}": "config.yaml:1:1: filter: needs file or words",
		"audit: {content: none}": "config.yaml:1:1: audit: needs file",
		"filter: {file: a, on: [prompt, answers]}": "config.yaml:1:32: filter.on: place 2 is not one of prompt, answer; did you mean answer?",
		"filter: {file: a, on: prompt}":            "config.yaml:1:23: filter.on: use a list, such as [a, b]",
		"filter: {words: []}":                      "config.yaml:1:17: filter.words: has no value",
		"filter: {words: [a, ]}\nredact: []":       "config.yaml:2:9: redact: has no value",
		"filter: {words: [a, \"\u200b\"]}":         "config.yaml:1:21: filter.words: word 2 has invisible characters alone",
		"filter: {words: [a, \"\"]}":               "config.yaml:1:21: filter.words: word 2 has no value",
		"filter: {words: [a, [b]]}":                "config.yaml:1:21: filter.words: use a single value",
		"filter: {file: }":                         "config.yaml:1:16: filter.file: has no value",
		"filter: {list: a}":                        "config.yaml:1:10: filter.list: unknown key",
		"redact:\n  - a\n  - " + canary + "(":      "config.yaml:3:5: redact: pattern 2 cannot be used: character 21: missing closing )",
		"redact: [a*]":                             "config.yaml:1:10: redact: pattern 1 cannot be used: character 1: it matches the empty text",
		"audit: {file: a, content: all}":           "config.yaml:1:27: audit.content: use none or redacted",
		"audit: {file: a, max_size: 10}":           "config.yaml:1:28: audit.max_size: use a size from 256KiB to 1GiB, such as 10MiB",
		"audit: {file: a, max_size: 1KiB}":         "config.yaml:1:28: audit.max_size: use a size from 256KiB to 1GiB, such as 10MiB",
		"audit: {file: a, max_size: 999999999GiB}": "config.yaml:1:28: audit.max_size: use a size from 256KiB to 1GiB, such as 10MiB",
	} {
		_, err := Parse("config.yaml", []byte(src))
		var e *Error
		if !errors.As(err, &e) || err.Error() != want {
			t.Errorf("%q:\n got %v\nwant %s", src, err, want)
		}
	}
}

// TestSetLists sets, changes and takes away lists.
func TestSetLists(t *testing.T) {
	src := "# mine\nfilter: {file: words.txt} # theirs\n"
	steps := []struct{ key, value, want string }{
		{"filter.on", "[prompt, answer]", "# mine\nfilter: {file: words.txt, \"on\": [prompt, answer]} # theirs\n"},
		{"filter.on", "answer", "# mine\nfilter: {file: words.txt, \"on\": [answer]} # theirs\n"},
		{"redact", `a: \d+`, "# mine\nfilter: {file: words.txt, \"on\": [answer]} # theirs\nredact: [\"a: \\\\d+\"]\n"},
		{"redact", `["[0-9]", 'it''s', x]`, "# mine\nfilter: {file: words.txt, \"on\": [answer]} # theirs\nredact: [\"[0-9]\", \"it's\", x]\n"},
	}
	for _, step := range steps {
		out, err := Set([]byte(src), step.key, step.value)
		if err != nil || string(out) != step.want {
			t.Fatalf("%s = %s: %v\n%s", step.key, step.value, err, out)
		}
		src = step.want
	}
	for _, step := range []struct{ key, value string }{
		{"filter.on", "prompt,answer"}, {"redact", "a("}, {"redact", "[a, {b: c}]"}, {"redact", ""}, {"filter.words", "[]"}, {"audit.content", "redacted"},
	} {
		if out, err := Set([]byte(src), step.key, step.value); err == nil {
			t.Errorf("%s = %s gave\n%s", step.key, step.value, out)
		}
	}
	if _, err := Unset([]byte(src), "filter.file"); err == nil {
		t.Error("a filter without words was left")
	}
	out, err := Unset([]byte(src), "redact")
	if err != nil {
		t.Fatal(err)
	}
	if out, err = Unset(out, "filter"); err != nil || string(out) != "# mine\n" {
		t.Errorf("%v, left %q", err, out)
	}
}

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ferry/cmd"
)

const moment, theDay = "2026-11-02T23:30:00-03:00", "2026-11-03"

// pages writes all pages and returns them by the name of their file.
func pages(t *testing.T) map[string]string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "man")
	if err := run("1.2.3", moment, []string{folder}); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, entry := range entries {
		text, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[entry.Name()] = string(text)
	}
	return all
}

// TestEveryHelpPage holds the pages to the help pages that the golden files list: none more and none fewer.
func TestEveryHelpPage(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "testdata", "golden", "help", "*.txt"))
	if err != nil || len(files) < 20 {
		t.Fatalf("%d help pages, %v", len(files), err)
	}
	all := pages(t)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		switch topic, isTopic := strings.CutPrefix(name, "topic-"); {
		case isTopic:
			name = "ferry-" + topic + ".7"
		case name == "ferry":
			name = "ferry.1"
		default:
			name = "ferry-" + name + ".1"
		}
		if all[name] == "" {
			t.Errorf("%s has no man page %s", file, name)
		}
	}
	if len(all) != len(files) {
		t.Errorf("%d man pages for %d help pages", len(all), len(files))
	}
}

// TestPagesWhole looks for what a page must not lose: its edition, flags with their defaults, long texts that are made
// late, and every byte of an example.
func TestPagesWhole(t *testing.T) {
	all := pages(t)
	for name, wants := range map[string][]string{
		"ferry.1":             {`.TH "FERRY" 1 "` + theDay + `" "ferry 1.2.3" "ferry"`, `\fBferry\-retries\fR(7)`, `why is the sky blue?`},
		"ferry-ask.1":         {`\fB\-n\fR, \fB\-\-node\fR \fINODE\fR`, `(default 8)`, `(?i)pong\(aq`, `[prompt\[u2026]|\-]`},
		"ferry-demo.1":        {`\fBretry\-after\fR`, `\fB\-\-listen\fR \fIADDRESS\fR`},
		"ferry-retries.7":     {`delay \[u00D7] i`, `2\(ha(i\-1)`},
		"ferry-environment.7": {`FERRY_CONFIG`},
		"ferry-gateway.7":     {`gateway.cert /etc/letsencrypt`},
	} {
		for _, want := range wants {
			if !strings.Contains(all[name], want) {
				t.Errorf("%s lacks %q", name, want)
			}
		}
	}
	for name, text := range all {
		for _, r := range text {
			if r >= 0x80 {
				t.Errorf("%s has %q: man would ask the locale what that is", name, r)
				break
			}
		}
	}
}

// TestReferences holds every page to the ones that are there: a reference that leads nowhere is worse than none.
func TestReferences(t *testing.T) {
	all := pages(t)
	reference := regexp.MustCompile(`\\fB(ferry[a-z\\-]*)\\fR\(([17])\)`)
	found := 0
	for name, text := range all {
		for _, match := range reference.FindAllStringSubmatch(text, -1) {
			found++
			if to := strings.ReplaceAll(match[1], `\-`, "-") + "." + match[2]; all[to] == "" {
				t.Errorf("%s refers to %s, which is not there", name, to)
			}
		}
	}
	if found < len(all) {
		t.Errorf("only %d references in %d pages: the pattern is wrong", found, len(all))
	}
}

func TestText(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"filled", "one\ntwo", "one two\n"},
		{"paragraphs", "one\n\ntwo", "one\n.PP\ntwo\n"},
		{"two columns", "  a-b   first\n  c     second  ", ".TP\n\\fBa\\-b\\fR\nfirst\n.TP\n\\fBc\\fR\nsecond\n"},
		{"a table", "  a  b  c\n  d  e  f", ".nf\n\\&a  b  c\n\\&  d  e  f\n.fi\n"},
		{"a request", ".so x", "\\&.so x\n"},
		{"roff's own characters", `it's \n "~^` + "`", "it\\(aqs \\en \\(dq\\(ti\\(ha\\(ga\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var b roff
			b.text(test.text)
			if b.String() != test.want {
				t.Errorf("got  %q\nwant %q", b.String(), test.want)
			}
		})
	}
}

func TestDay(t *testing.T) {
	if day, err := dayOf(""); day != "" || err != nil {
		t.Errorf("without git: %q, %v", day, err)
	}
	if day, err := dayOf("yesterday"); err == nil {
		t.Errorf("yesterday was taken for %q", day)
	}
	if err := run("", "", nil); err == nil {
		t.Error("no folder was asked for, and nothing said")
	}
}

func TestCommandsAreWhole(t *testing.T) {
	for _, c := range cmd.Commands().Commands() {
		if isTopic(c) && c.Long == "" {
			t.Errorf("the topic %s has no text", c.Name())
		}
	}
}

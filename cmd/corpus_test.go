package cmd_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// corpusCase is one answer of testdata/wire, and what is right of it. The files hold one case after the other:
//
//	=== NAME
//	KEY: VALUE…    what is right, see below
//	---
//	the body, up to the next case
//
// The keys:
//
//	api      the dialect, where the file's name does not say it
//	http     the HTTP status, 200 without it; header: NAME: VALUE a header
//	text     what there is of the answer's text, whole or not; in quotes it is a Go string
//	stop     the stop reason
//	usage    the tokens: input, output and, where there are some, those read from the cache; without it, unknown
//	class    the class of the failure; without it the answer is whole
//	status   the effective status of a failure, 200 without it
//	error    words that the message of the failure has, and hint, of its hint
//	ending   limited, refused, paused or unknown: whole, with a note, and --strict is exit 1; empty: with a note alone
//	bytes    yes: a note says that the text is not UTF-8
//	bench    the class that bench counts a whole answer in
//	raw      1 or 0: whether -o raw fails too, where that is not as without it
//	end      what stands behind the body, a Go string; without it an event stream ends in a blank line, all else in nothing
//	quoted   yes: the body is a Go string
type corpusCase struct {
	file, name string
	keys       map[string]string
	body       string
}

// readCorpus reads all cases.
func readCorpus(t *testing.T) (all []corpusCase) {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join("..", "testdata", "wire", "*.txt"))
	for _, file := range files {
		text, err := os.ReadFile(file)
		check(t, err)
		parts := strings.Split(string(text), "\n=== ")
		for _, part := range parts[1:] {
			all = append(all, readCase(t, strings.TrimSuffix(filepath.Base(file), ".txt"), part))
		}
	}
	if len(all) < 120 {
		t.Fatalf("%d cases in testdata/wire, want at least 120", len(all))
	}
	return all
}

var corpusKeys = []string{"api", "http", "header", "text", "stop", "usage", "class", "status", "error", "hint", "ending", "bytes", "bench", "raw", "end", "quoted"}

func readCase(t *testing.T, file, part string) corpusCase {
	t.Helper()
	head, body, ok := strings.Cut(part+"\n", "\n---\n")
	lines := strings.Split(head, "\n")
	c := corpusCase{file: file, name: lines[0], keys: map[string]string{}}
	for _, line := range lines[1:] {
		key, value, isKey := strings.Cut(line, ": ")
		if !isKey || !strings.Contains(" "+strings.Join(corpusKeys, " ")+" ", " "+key+" ") {
			t.Fatalf("%s, %s: %q is no key", file, c.name, line)
		}
		c.keys[key] = value
	}
	if !ok {
		t.Fatalf("%s, %s: no body", file, c.name)
	}
	c.body = strings.TrimRight(body, "\n")
	switch end, given := c.keys["end"]; {
	case given:
		c.body += unquoted(t, end)
	case c.keys["quoted"] != "":
		c.body = unquoted(t, c.body)
	case c.isStream():
		c.body += "\n\n"
	}
	return c
}

func (c corpusCase) isStream() bool {
	for _, field := range []string{"data:", "event:", "error:", ":", "id:"} {
		if strings.HasPrefix(c.body, field) {
			return true
		}
	}
	return false
}

func unquoted(t *testing.T, text string) string {
	t.Helper()
	if !strings.HasPrefix(text, `"`) {
		return text
	}
	out, err := strconv.Unquote(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return out
}

func (c corpusCase) api() string {
	if api := c.keys["api"]; api != "" {
		return api
	}
	api, _, _ := strings.Cut(c.file, "-")
	return api
}

func (c corpusCase) number(key string, otherwise int) int {
	if n, err := strconv.Atoi(c.keys[key]); err == nil {
		return n
	}
	return otherwise
}

// exit is the exit code of a command that has shown nothing of the answer, or something.
func (c corpusCase) exit(shown bool) int {
	switch c.number("status", 200) {
	case 429, 502, 503, 504:
		if !shown {
			return 3 // the policy would have tried again
		}
	}
	return c.failed()
}

func (c corpusCase) failed() int {
	if c.keys["class"] == "" {
		return 0
	}
	return 1
}

// serve answers with the body, and whatever path the dialect asks.
func (c corpusCase) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if c.isStream() {
		w.Header().Set("Content-Type", "text/event-stream")
	}
	if name, value, ok := strings.Cut(c.keys["header"], ": "); ok {
		w.Header().Set(name, value)
	}
	w.Header().Set("Connection", "close")
	w.WriteHeader(c.number("http", http.StatusOK))
	_, _ = w.Write([]byte(c.body))
}

// usage is the usage in JSON.
func (c corpusCase) usage() string {
	var in, out, cached int
	if n, _ := fmt.Sscan(c.keys["usage"], &in, &out, &cached); n < 2 {
		return "null"
	}
	return fmt.Sprintf("%d in, %d out, %d cached", in, out, cached)
}

// notes are the words that a note about a whole answer has, "" for no note.
func (c corpusCase) notes() string {
	notes := map[string]string{
		"limited": "ends at a limit", "refused": "declined to answer", "paused": "wanted to go on",
		"unknown": "a reason that ferry does not know", "empty": "whole and empty",
	}
	return notes[c.keys["ending"]]
}

// corpusRun is what one command makes of a case.
type corpusRun struct {
	t    *testing.T
	c    corpusCase
	code int
	out  bytes.Buffer
	errs bytes.Buffer
	what string
}

func (r *corpusRun) errorf(format string, args ...any) {
	r.t.Helper()
	r.t.Errorf("%s: %s, exit code %d\nstdout: %.300s\nstderr: %.600s", r.what, fmt.Sprintf(format, args...), r.code, r.out.String(), r.errs.String())
}

func (r *corpusRun) holdExit(want int) {
	r.t.Helper()
	if r.code != want {
		r.errorf("want exit code %d", want)
	}
}

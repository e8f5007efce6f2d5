package cmd_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
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
	files, _ := filepath.Glob(filepath.Join("..", "testdata", "wire", "*.txt"))
	for _, file := range files {
		parts := strings.Split(read(t, file), "\n=== ")
		for _, part := range parts[1:] {
			all = append(all, readCase(t, strings.TrimSuffix(filepath.Base(file), ".txt"), part))
		}
	}
	fatalIf(t, len(all) < 120, "%d cases in testdata/wire, want at least 120", len(all))
	return all
}

var corpusKeys = []string{"api", "http", "header", "text", "stop", "usage", "class", "status", "error", "hint", "ending", "bytes", "bench", "raw", "end", "quoted"}

func readCase(t *testing.T, file, part string) corpusCase {
	head, body, ok := strings.Cut(part+"\n", "\n---\n")
	lines := strings.Split(head, "\n")
	c := corpusCase{file: file, name: lines[0], keys: map[string]string{}}
	for _, line := range lines[1:] {
		key, value, isKey := strings.Cut(line, ": ")
		fatalIf(t, !isKey || !strings.Contains(" "+strings.Join(corpusKeys, " ")+" ", " "+key+" "),
			"%s, %s: %q is no key", file, c.name, line)
		c.keys[key] = value
	}
	fatalIf(t, !ok, "%s, %s: no body", file, c.name)
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
	return regexp.MustCompile(`^(data|event|error|id|):`).MatchString(c.body)
}

func unquoted(t testing.TB, text string) string {
	if !strings.HasPrefix(text, `"`) {
		return text
	}
	out, err := strconv.Unquote(text)
	check(t, err)
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
	result
	c corpusCase
}

func (r corpusRun) holdExit(want int) {
	r.t.Helper()
	r.want(want, "", "")
}

// TestCorpus holds that every answer of testdata/wire is taken for what it is by ask, stream, batch and bench alike.
func TestCorpus(t *testing.T) {
	long(t, "some hundred answers, each through eight commands")
	for _, c := range readCorpus(t) {
		t.Run(c.file+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			rig := corpusRig{t, c, serve(t, c).URL, t.TempDir()}
			rig.ask()
			rig.askJSON()
			rig.askRaw()
			rig.stream()
			rig.strict()
			rig.conversation()
			rig.batch()
			rig.bench()
		})
	}
}

// corpusRig runs commands against a server that answers with one case.
type corpusRig struct {
	t         *testing.T
	c         corpusCase
	url, home string
}

func (g corpusRig) run(args ...string) corpusRun {
	g.t.Helper()
	return corpusRun{ferry(g.t, map[string]string{"FERRY_KEY": "corpus-key-0001", "HOME": g.home}, args...), g.c}
}

func (g corpusRig) call(verb string, args ...string) corpusRun {
	g.t.Helper()
	all := append([]string{verb, "--no-stdin", "--attempts", "1", "-m", "m", "--api", g.c.api(), "-n", g.url}, args...)
	return g.run(append(all, "hi")...)
}

// decode reads JSON that a command made.
func (r corpusRun) decode(text string, into any) {
	r.t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		r.errorf("%v in %s, want JSON", err, text)
		r.t.FailNow()
	}
}

// ask holds what a person sees: the text and nothing else, and a note where the end was not just an end.
func (g corpusRig) ask() {
	g.t.Helper()
	r := g.call("ask")
	r.holdExit(g.c.exit(false))
	want := ""
	if g.c.failed() == 0 {
		want = strings.TrimRight(unquoted(g.t, g.c.keys["text"]), "\n") + "\n"
	}
	equal(g.t, "what ask prints", r.stdout, want)
	r.holdWords()
}

// holdWords holds what is said on standard error.
func (r corpusRun) holdWords() {
	r.t.Helper()
	said := strings.Join(strings.Fields(r.stderr), " ")
	for _, key := range []string{"error", "hint"} {
		if want := r.c.keys[key]; !strings.Contains(said, want) {
			r.errorf("want the %s to say %q", key, want)
		}
	}
	note := r.c.notes()
	if r.c.keys["bytes"] != "" {
		note = "not UTF-8"
	}
	if r.c.failed() == 0 && (note == "") != (said == "") || !strings.Contains(said, note) {
		r.errorf("want the note %q and no other", note)
	}
}

// corpusJSON is what -o json prints of a call.
type corpusJSON struct {
	Type, Text string
	Complete   bool
	StopReason string `json:"stop_reason"`
	Usage      *struct {
		Input  int `json:"input_tokens"`
		Output int `json:"output_tokens"`
		Cached int `json:"cache_read_input_tokens"`
	}
	Error *struct {
		Class   string
		Status  int
		Message string
	}
}

func (j corpusJSON) usage() string {
	if j.Usage == nil {
		return "null"
	}
	return fmt.Sprintf("%d in, %d out, %d cached", j.Usage.Input, j.Usage.Output, j.Usage.Cached)
}

func (g corpusRig) askJSON() {
	r := g.call("ask", "-o", "json")
	r.holdExit(g.c.exit(false))
	var got corpusJSON
	r.decode(r.stdout, &got)
	r.holdJSON(got, got.Text)
}

// holdJSON compares everything that is known of a call.
func (r corpusRun) holdJSON(got corpusJSON, text string) {
	r.t.Helper()
	want := r.c.keys
	wantText := strings.ToValidUTF8(unquoted(r.t, want["text"]), "\ufffd")
	if strings.ReplaceAll(text, "\ufffd", "") != strings.ReplaceAll(wantText, "\ufffd", "") {
		r.errorf("text %q, want %q", text, wantText)
	}
	if r.c.failed() == 0 {
		if !got.Complete || got.Error != nil || got.StopReason != want["stop"] || got.usage() != r.c.usage() {
			r.errorf("complete %t, stop %q, usage %s, want stop %q, usage %s", got.Complete, got.StopReason, got.usage(), want["stop"], r.c.usage())
		}
		return
	}
	switch {
	case got.Complete || got.Error == nil:
		r.errorf("complete: %t, want an answer that is not whole, and its error", got.Complete)
	case got.Error.Class != want["class"] || got.Error.Status != r.c.number("status", 200):
		r.errorf("class %q, status %d, want %q, %d", got.Error.Class, got.Error.Status, want["class"], r.c.number("status", 200))
	case !strings.Contains(got.Error.Message, want["error"]):
		r.errorf("message %q, want %q in it", got.Error.Message, want["error"])
	}
}

// askRaw holds that -o raw fails where the answer does, and prints the body as it came where not.
func (g corpusRig) askRaw() {
	r := g.call("ask", "-o", "raw")
	want := g.c.exit(false)
	if raw, given := g.c.keys["raw"]; given {
		want = int(raw[0] - '0')
	}
	r.holdExit(want)
	if want == 0 && r.stdout != g.c.body || want != 0 && r.stdout != "" {
		r.errorf("want the body as it came, and nothing of a failure")
	}
}

// stream holds the same of a stream. Of events it shows what came before a failure, of a whole body nothing.
func (g corpusRig) stream() {
	text := unquoted(g.t, g.c.keys["text"])
	events := g.c.isStream() && text != ""
	r := g.call("stream", "-o", "json")
	r.holdExit(g.c.exit(events))
	var end corpusJSON
	shown := ""
	for _, line := range strings.Split(strings.TrimSuffix(r.stdout, "\n"), "\n") {
		var one corpusJSON
		if err := json.Unmarshal([]byte(line), &one); err != nil || end.Type == "end" {
			r.errorf("%v, want JSON, and its end last", err)
			return
		}
		switch one.Type {
		case "text":
			shown += one.Text
		case "end":
			end = one
		}
	}
	if g.c.failed() != 0 && !events {
		if shown != "" {
			r.errorf("want nothing of a whole body that failed")
		}
		shown = end.Text
	}
	r.holdJSON(end, shown)

	r = g.call("stream")
	r.holdExit(g.c.exit(events))
	want := ""
	switch {
	case g.c.failed() == 0:
		want = strings.TrimRight(text, "\n") + "\n"
	case events:
		want = text
	}
	equal(g.t, "what stream prints", r.stdout, want)
	r.holdWords()
}

// strict holds that --strict accepts only an answer that came to its own end.
func (g corpusRig) strict() {
	want := g.c.exit(false)
	if ending := g.c.keys["ending"]; ending != "" && ending != "empty" {
		want = 1
	}
	g.call("ask", "--strict").holdExit(want)
	if g.c.failed() == 0 {
		g.call("stream", "--strict").holdExit(want)
	}
}

// conversation holds that a conversation keeps a whole answer and no half of one.
func (g corpusRig) conversation() {
	for _, verb := range []string{"ask", "stream"} {
		g.call(verb, "--session", verb)
		r := g.run("config", "session", "show", "-o", "json", verb)
		var got struct {
			Turns []struct{ Role, Text string }
		}
		r.decode(r.stdout, &got)
		kept := 0
		for _, turn := range got.Turns {
			if turn.Role == "assistant" {
				kept++
			}
		}
		if kept != 1-g.c.failed() {
			r.errorf("%d answers are kept, want %d", kept, 1-g.c.failed())
		}
	}
}

// batch holds what a batch of one prompt writes.
func (g corpusRig) batch() {
	g.t.Helper()
	in, out := filepath.Join(g.home, "in.txt"), filepath.Join(g.home, "out.jsonl")
	write(g.t, in, "hi\n")
	r := g.run("ask", "-q", "--attempts", "1", "-m", "m", "--api", g.c.api(), "-n", g.url, "--batch", in, "--out", out)
	r.holdExit(g.c.failed())
	if g.c.failed() != 0 {
		out += ".failed"
	}
	got := corpusJSON{Complete: g.c.failed() == 0}
	r.decode(read(g.t, out), &got)
	r.holdJSON(got, got.Text)
}

// bench holds what a measurement counts the answer as, whole and streamed.
func (g corpusRig) bench() {
	for _, flag := range []string{"--stream=false", "--stream"} {
		r := g.run("bench", "-q", "-r", "1", "--warmup", "0", "-o", "json", "--model", "m", "--api", g.c.api(), flag, g.url)
		var got struct {
			Nodes []struct {
				OK     int
				Errors map[string]int
			}
		}
		if r.decode(r.stdout, &got); len(got.Nodes) != 1 {
			r.errorf("%d nodes, want 1", len(got.Nodes))
			return
		}
		class := g.c.keys["class"]
		if class == "" && g.c.keys["ending"] == "refused" {
			class = "refused"
		}
		if class == "" {
			class = g.c.keys["bench"]
		}
		node := got.Nodes[0]
		if class == "" && node.OK != 1 || class != "" && (node.OK != 0 || node.Errors[class] != 1) {
			r.errorf("ok %d, errors %v, want %q", node.OK, node.Errors, class)
		}
	}
}

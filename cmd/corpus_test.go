package cmd_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// corpusCase is one answer of testdata/wire with its expected result. A file contains one case after another:
//
//	=== NAME
//	KEY: VALUE…    the expected result, see below
//	---
//	the body, up to the next case
//
// The keys:
//
//	api      the dialect, if the file's name does not say it
//	http     the HTTP status, 200 without it; header: NAME: VALUE a header
//	text     the text of the answer, complete or not; in quotes it is a Go string
//	stop     the stop reason
//	usage    the tokens: input, output and, if there are any, those read from the cache; unknown without it
//	class    the class of the failure; without it the answer is complete
//	status   the effective status of a failure, 200 without it
//	error    words that the message of the failure has; hint: words of its hint
//	ending   limited, refused, paused or unknown: complete, with a note, and --strict is exit 1; empty: only a note
//	bytes    yes: a note says that the text is not UTF-8
//	bench    the class that bench counts a complete answer in
//	raw      1 or 0: whether -o raw fails too, if it differs from the other forms
//	end      what follows the body, a Go string; by default a blank line for an event stream, nothing for other bodies
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
	api, _, _ := strings.Cut(c.file, "-")
	return cmp.Or(c.keys["api"], api)
}

func (c corpusCase) number(key string) int {
	n, _ := strconv.Atoi(cmp.Or(c.keys[key], "200"))
	return n
}

func (c corpusCase) failed() int { return min(len(c.keys["class"]), 1) }

// exit returns the exit code of a command, which depends on whether it has shown part of the answer.
func (c corpusCase) exit(shown bool) int {
	if !shown && slices.Contains([]int{429, 502, 503, 504}, c.number("status")) {
		return 3 // the policy would have retried
	}
	return c.failed()
}

// printed returns what a command prints: the complete text, or what a stream shows before it fails.
func (c corpusCase) printed(t testing.TB, shown bool) string {
	text := unquoted(t, c.keys["text"])
	switch {
	case c.failed() == 0:
		return strings.TrimRight(text, "\n") + "\n"
	case shown:
		return text
	}
	return ""
}

// ServeHTTP answers with the body, whatever path the dialect requests.
func (c corpusCase) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if c.isStream() {
		w.Header().Set("Content-Type", "text/event-stream")
	}
	if name, value, ok := strings.Cut(c.keys["header"], ": "); ok {
		w.Header().Set(name, value)
	}
	w.Header().Set("Connection", "close")
	w.WriteHeader(c.number("http"))
	_, _ = w.Write([]byte(c.body))
}

// usage returns three numbers, "" if they are unknown.
func (c corpusCase) usage() string {
	numbers := strings.Fields(c.keys["usage"])
	if len(numbers) == 2 {
		numbers = append(numbers, "0")
	}
	return strings.Join(numbers, " ")
}

// corpusNotes are the words of a note about a complete answer, by its ending.
var corpusNotes = map[string]string{
	"limited": "ends at a limit", "refused": "declined to answer", "paused": "wanted to continue",
	"unknown": "a reason that ferry does not know", "empty": "complete but empty",
}

// TestCorpus checks that ask, stream, batch and bench classify every answer of testdata/wire correctly and alike.
func TestCorpus(t *testing.T) {
	skipIfShort(t, "some hundred answers, each through eight commands")
	for _, c := range readCorpus(t) {
		t.Run(c.file+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			g := corpusRig{c, t, serve(t, c).URL, t.TempDir()}
			g.ask()
			g.stream()
			g.strict()
			g.conversation()
			g.batch()
			g.bench()
		})
	}
}

// corpusRig runs commands against a server that answers with one case.
type corpusRig struct {
	corpusCase
	t         *testing.T
	url, home string
}

func (g corpusRig) run(args ...string) result {
	return ferry(g.t, map[string]string{"FERRY_KEY": "corpus-key-0001", "HOME": g.home}, args...)
}

func (g corpusRig) call(verb string, args ...string) result {
	all := append([]string{verb, "--no-stdin", "--attempts", "1", "-m", "m", "--api", g.api(), "-n", g.url}, args...)
	return g.run(append(all, "hi")...)
}

// decode decodes JSON that a command printed or wrote.
func decode(r result, text string, into any) {
	r.t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		r.errorf("%v in %s, want JSON", err, text)
		r.t.FailNow()
	}
}

// ask expects only the text, a note if the answer did not end normally, and the unchanged body with -o raw.
func (g corpusRig) ask() {
	r := g.call("ask").want(g.exit(false), "", "")
	equal(g.t, "what ask prints", r.stdout, g.printed(g.t, false))
	g.checkStderr(r)

	r = g.call("ask", "-o", "json").want(g.exit(false), "", "")
	var got corpusJSON
	decode(r, r.stdout, &got)
	g.json(r, got, got.Text)

	want, _ := strconv.Atoi(cmp.Or(g.keys["raw"], strconv.Itoa(g.exit(false))))
	r = g.call("ask", "-o", "raw").want(want, "", "")
	equal(g.t, "what ask -o raw prints", r.stdout, map[bool]string{true: g.body}[want == 0])
}

// checkStderr checks what is printed on standard error.
func (g corpusRig) checkStderr(r result) {
	g.t.Helper()
	said := strings.Join(strings.Fields(r.stderr), " ")
	hint := g.keys["hint"]
	if r.args[0] == "stream" && hint == "-o raw" { // stream -o raw refuses such a body too
		errorIf(g.t, strings.Contains(said, hint), "the hint of stream names -o raw: %s", said)
		hint = ""
	}
	contains(g.t, strings.Join(r.args, " "), said, g.keys["error"], hint)
	note := corpusNotes[g.keys["ending"]]
	if g.keys["bytes"] != "" {
		note = "not UTF-8"
	}
	if g.failed() == 0 && (note == "") != (said == "") || !strings.Contains(said, note) {
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

// json compares all fields of a call.
func (g corpusRig) json(r result, got corpusJSON, text string) {
	g.t.Helper()
	want := strings.ToValidUTF8(unquoted(g.t, g.keys["text"]), "\ufffd")
	equal(g.t, "the text", strings.ReplaceAll(text, "\ufffd", ""), strings.ReplaceAll(want, "\ufffd", ""))
	usage := ""
	if got.Usage != nil {
		usage = fmt.Sprintf("%d %d %d", got.Usage.Input, got.Usage.Output, got.Usage.Cached)
	}
	switch {
	case g.failed() == 0:
		if !got.Complete || got.Error != nil || got.StopReason != g.keys["stop"] || usage != g.usage() {
			r.errorf("want a whole answer, stop reason %q, usage %q", g.keys["stop"], g.usage())
		}
	case got.Complete || got.Error == nil || got.Error.Class != g.keys["class"] || got.Error.Status != g.number("status"):
		r.errorf("want an answer that is not whole, class %q, status %d", g.keys["class"], g.number("status"))
	default:
		contains(g.t, "the message", got.Error.Message, g.keys["error"])
	}
}

// stream expects the same of a stream. A failed stream still shows the text before the failure; a failed body that is
// not a stream shows nothing.
func (g corpusRig) stream() {
	shows := g.isStream() && unquoted(g.t, g.keys["text"]) != ""
	r := g.call("stream", "-o", "json").want(g.exit(shows), "", "")
	var end corpusJSON
	shown := ""
	for line := range strings.Lines(r.stdout) {
		var one corpusJSON
		decode(r, line, &one)
		errorIf(g.t, end.Type == "end", "got %s behind the end, want nothing", line)
		if one.Type == "text" {
			shown += one.Text
		} else if one.Type == "end" {
			end = one
		}
	}
	if g.failed() != 0 && !shows {
		equal(g.t, "what is shown of a whole body that failed", shown, "")
		shown = end.Text
	}
	g.json(r, end, shown)

	r = g.call("stream").want(g.exit(shows), "", "")
	equal(g.t, "what stream prints", r.stdout, g.printed(g.t, shows))
	g.checkStderr(r)
}

// strict expects that --strict accepts only an answer with a normal end.
func (g corpusRig) strict() {
	want := g.exit(false)
	if ending := g.keys["ending"]; ending != "" && ending != "empty" {
		want = 1
	}
	g.call("ask", "--strict").want(want, "", "")
	if g.failed() == 0 {
		g.call("stream", "--strict").want(want, "", "")
	}
}

// conversation expects that a conversation keeps a complete answer and no incomplete one.
func (g corpusRig) conversation() {
	for _, verb := range []string{"ask", "stream"} {
		g.call(verb, "--session", verb)
		r := g.run("config", "session", "show", "-o", "json", verb)
		equal(g.t, "answers that are kept", strings.Count(r.stdout, `"role":"assistant"`), 1-g.failed())
	}
}

// batch checks what a batch of one prompt writes.
func (g corpusRig) batch() {
	in, out := filepath.Join(g.home, "in.txt"), filepath.Join(g.home, "out.jsonl")
	write(g.t, in, "hi\n")
	r := g.run("ask", "-q", "--attempts", "1", "-m", "m", "--api", g.api(), "-n", g.url, "--batch", in, "--out", out).want(g.failed(), "", "")
	if g.failed() != 0 {
		out += ".failed"
	}
	got := corpusJSON{Complete: g.failed() == 0}
	decode(r, read(g.t, out), &got)
	g.json(r, got, got.Text)
}

// bench checks the class that a measurement counts the answer in, streamed and not.
func (g corpusRig) bench() {
	class := cmp.Or(g.keys["class"], map[string]string{"refused": "refused"}[g.keys["ending"]], g.keys["bench"])
	for _, flag := range []string{"--stream=false", "--stream"} {
		r := g.run("bench", "-q", "-r", "1", "--warmup", "0", "-o", "json", "--model", "m", "--api", g.api(), flag, g.url)
		var got struct {
			Nodes []struct {
				OK     int
				Errors map[string]int
			}
		}
		decode(r, r.stdout, &got)
		fatalIf(g.t, len(got.Nodes) != 1, "%d nodes, want 1", len(got.Nodes))
		node := got.Nodes[0]
		if class == "" && node.OK != 1 || class != "" && (node.OK != 0 || node.Errors[class] != 1) {
			r.errorf("ok %d, errors %v, want %q", node.OK, node.Errors, class)
		}
	}
}

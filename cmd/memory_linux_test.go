package cmd_test

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

const (
	// maxMemory is the maximum memory of ferry, in KiB, whatever a server sends.
	maxMemory = 256 << 10
	maxBody   = 64 << 20
)

// skipUnderRace skips a measurement of memory under the race detector, which uses memory itself; make memory runs it
// without.
func skipUnderRace(t *testing.T) {
	t.Helper()
	if raceEnabled {
		t.Skip("the race detector needs memory of its own; make memory runs it without")
	}
}

// peakOf runs ferry as a separate process, and checks that its peak memory is within the limit.
func peakOf(t *testing.T, home string, env map[string]string, args ...string) result {
	t.Helper()
	peak := filepath.Join(t.TempDir(), "peak")
	p := realFerry(t, args...).with("HOME="+home, "FERRY_KEY="+canaryHeader, peakFile+"="+peak).withVars(env)
	p.Stdout = nil // 64 MiB of output
	r := p.run()
	kib := memoryIn(t, peak, "VmHWM")
	if kib > maxMemory {
		r.errorf("%d MiB in memory, want at most %d", kib>>10, maxMemory>>10)
	}
	t.Logf("%d MiB", kib>>10)
	return r
}

// repeatedBody is a body of a given size: a unit repeated between a beginning and an end.
type repeatedBody struct {
	status           int
	begin, unit, end string
	numbered         bool // the unit contains a number
}

func (f repeatedBody) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	if strings.HasPrefix(f.begin, "event:") {
		w.Header().Set("Content-Type", "text/event-stream")
	}
	w.WriteHeader(f.status)
	_, _ = io.WriteString(w, f.begin)
	many := strings.Repeat(f.unit, 1+(32<<10)/len(f.unit))
	for left, n := maxBody-len(f.begin)-len(f.end), 0; ; n++ {
		if f.numbered {
			var b strings.Builder
			for k := range 1000 {
				fmt.Fprintf(&b, f.unit, 1000*n+k)
			}
			many = b.String()
		}
		if len(many) > left {
			if !f.numbered {
				_, _ = io.WriteString(w, many[:left/len(f.unit)*len(f.unit)])
			}
			break
		}
		if _, err := io.WriteString(w, many); err != nil {
			return
		}
		left -= len(many)
	}
	_, _ = io.WriteString(w, f.end)
}

// hostileBodies returns bodies that need much memory, each with the calls that read it and their exit code.
func hostileBodies() []hostileBody {
	const text, closed = `{"content":[{"type":"text","text":"`, `"}],"stop_reason":"end_turn"}`
	const delta, ended = "event: content_block_delta\ndata: {\"delta\":{\"type\":\"text_delta\",\"text\":\"", "\"}}\n\n"
	const start = "event: message_start\ndata: {\"message\":{}}\n\n"
	const stop = "event: message_delta\ndata: {\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n" +
		"event: message_stop\ndata: {}\n\n"
	ofText := func(unit string) repeatedBody { return repeatedBody{200, text, unit, closed, false} }
	cutText := func(unit string) repeatedBody { return repeatedBody{200, text, unit, "", false} }
	ofEvents := func(words string) repeatedBody { return repeatedBody{200, start, delta + words + ended, stop, false} }
	message := func(status int, unit string) repeatedBody {
		return repeatedBody{status, `{"error":{"message":"`, unit, `"}}`, false}
	}
	long, blocks := ofText("word "), repeatedBody{200, `{"content":[{}`, `,{}`, `],"stop_reason":"end_turn"}`, false}
	const filter, logged = "filter: {words: [banana], on: [answer]}\n", "audit: {file: audit.jsonl, content: redacted}\n"
	return []hostileBody{
		{"a long text", long, 0, "", []string{"ask", "ask -o json", "ask -o raw", "ask --session s", "stream", "stream -o json",
			"stream -o json --session s", "batch", "batch -c 16", "bench -c 8 -r 12", "bench -c 8 -r 12 --stream"}},
		{"a long text that is looked through", long, 5, "", []string{"ask --expect never"}},
		{"a long text without a block", long, 1, "", []string{"ask -x"}},
		{"a long text that is logged", long, 0, logged, []string{"ask -o json"}},
		{"a long text that is filtered", long, 0, filter, []string{"ask"}},
		{"escapes", ofText(`\u0001`), 0, "", []string{"ask", "ask -o json", "stream -o json", "batch -c 16"}},
		{"control characters", ofText("\x7f"), 0, "", []string{"ask -o json", "batch"}},
		{"bytes that are no UTF-8", ofText("\xff"), 0, "", []string{"ask", "ask -o json"}},
		{"the key over and over", ofText(canaryHeader + " "), 0, "", []string{"ask"}},
		{"an error's message, measured or in a batch", message(503, "word "), 1, "", []string{"bench -c 8 -r 12",
			"batch -c 8 --retry-policy backoff"}},
		{"an error's message, asked again", message(503, "word "), 3, "", []string{
			"ask --retry-delay 1ms --retry-policy backoff"}},
		{"an error's message of no UTF-8", message(400, "\xff"), 1, "", []string{"ask -v"}},
		{"an error's message of escapes", message(400, `\u0001`), 1, "", []string{"ask -o json"}},
		{"an error's message of control characters", message(400, "\x7f"), 1, "", []string{"batch"}},
		{"a list of errors", repeatedBody{400, `{"errors":[{}`, `,{}`, `]}`, false}, 1, "", []string{"ask"}},
		{"a list as an error", repeatedBody{400, `[{}`, `,{}`, `]`, false}, 1, "", []string{"ask"}},
		{"many members", repeatedBody{200, `{"a":0`, `,"a%d":0`, `}`, true}, 1, "", []string{"ask"}},
		{"many members of an error", repeatedBody{400, `{"error":{"a":0`, `,"a%d":0`, `}}`, true}, 1, "", []string{"ask"}},
		{"many blocks", blocks, 0, "", []string{"ask"}},
		{"many blocks that are filtered", blocks, 0, filter, []string{"ask -o raw"}},
		{"many choices", repeatedBody{200, `{"choices":[{}`, `,{}`, `]}`, false}, 1, "", []string{"ask -m m --api chat"}},
		{"many parts", repeatedBody{200, `{"choices":[{"message":{"content":[{}`, `,{}`, `]}}]}`, false}, 0, "", []string{
			"ask -m m --api chat"}},
		{"nested", repeatedBody{200, `{"content":`, `[`, ``, false}, 1, "", []string{"ask"}},
		{"nested members", repeatedBody{200, ``, `{"a":`, ``, false}, 1, "", []string{"ask"}},
		{"a cut text", cutText("word "), 1, "", []string{"ask"}},
		{"a cut text of escapes", cutText(`\u0001`), 1, "", []string{"ask -o json"}},
		{"a cut text of control characters", cutText("\x7f"), 1, "", []string{"batch"}},
		{"a page", repeatedBody{200, `<html>`, "<p>", ``, false}, 1, "", []string{"ask"}},
		{"lines of JSON", repeatedBody{200, ``, "{}\n", ``, false}, 1, "", []string{"ask"}},
		{"empty events", repeatedBody{200, ``, "data: {}\n\n", ``, false}, 1, "", []string{"ask"}},
		{"many events", ofEvents("word "), 0, "", []string{"ask", "stream"}},
		{"many events of long texts", ofEvents(strings.Repeat("word ", 1000)), 0, "", []string{"ask", "stream --session s",
			"batch -c 8"}},
		{"long lines", ofEvents(strings.Repeat("\x7f", 8<<20-100)), 0, "", []string{"stream -o json",
			"bench -c 8 -r 12 --stream"}},
		{"long lines of bytes that are no UTF-8", ofEvents(strings.Repeat("\xff", 8<<20-100)), 0, "", []string{
			"stream -o json"}},
		{"many models", repeatedBody{200, `{"data":[0`, `,0`, `]}`, false}, 0, "", []string{"config check"}},
	}
}

type hostileBody struct {
	name   string
	body   repeatedBody
	code   int
	config string // the configuration file, "" for none
	calls  []string
}

// TestMemoryOfHostileBodies checks the memory limit of a process while servers send as much as ferry reads.
func TestMemoryOfHostileBodies(t *testing.T) {
	skipIfShort(t, "bodies of 64 MiB")
	skipUnderRace(t)
	for _, test := range hostileBodies() {
		for _, call := range test.calls {
			t.Run(test.name+", "+call, func(t *testing.T) { test.call(t, call) })
		}
	}
}

// call checks one call.
func (h hostileBody) call(t *testing.T, call string) {
	url := serveUnread(t, h.body.ServeHTTP).URL
	home, env := t.TempDir(), map[string]string{}
	if h.config != "" {
		env = withConfig(t, h.config, nil)
	}
	command, flags, _ := strings.Cut(call, " ")
	args := strings.Fields(call)
	switch command {
	case "batch":
		in, items := filepath.Join(home, "in.jsonl"), "hi\n"
		if flags != "" {
			items = strings.Repeat(items, 16)
		}
		write(t, in, items)
		args = []string{"ask", "--batch", in, "--out", filepath.Join(home, "out.jsonl"), "-n", url}
		args = append(args, strings.Fields(flags)...)
	case "bench":
		args = append(args, url)
	case "config":
		env = configure(t, url, "")
	default:
		args = append(args, "-n", url, "hi")
	}
	peakOf(t, home, env, args...).want(h.code, "", "")
}

// TestMemoryOfLongPrompts checks the memory limit of a process with a long prompt, which is even longer as JSON.
func TestMemoryOfLongPrompts(t *testing.T) {
	skipIfShort(t, "prompts of 32 MiB")
	skipUnderRace(t)
	var requests atomic.Int64
	url := serveUnread(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, `{"content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn"}`)
	}).URL
	for _, test := range []struct {
		name, unit string
		bytes      int
		code       int
		says       string
		requests   int64
	}{
		{"plain text", "word ", 32 << 20, 0, "", 1},
		{"control characters that fit", "\x01", 10 << 20, 0, "", 1},
		{"control characters", "\x01", 31 << 20, 2, "the request would have 186 MiB as JSON, over the limit of 64 MiB", 0},
		{"quotes", `"`, 31 << 20, 0, "", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			home := t.TempDir()
			prompt := filepath.Join(home, "prompt.txt")
			write(t, prompt, strings.Repeat(test.unit, test.bytes/len(test.unit)))
			r := peakOf(t, home, nil, "ask", "-n", url, "-f", prompt)
			r.want(test.code, "", test.says)
			equal(t, "requests", requests.Swap(0), test.requests)
		})
	}
}

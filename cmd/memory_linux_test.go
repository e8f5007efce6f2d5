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
	kib := statusFigure(t, read(t, peak), "VmHWM")
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

// hostileBodies returns bodies that need much memory, each with the call that reads it and the expected exit code.
func hostileBodies() []hostileBody {
	const text, closed = `{"content":[{"type":"text","text":"`, `"}],"stop_reason":"end_turn"}`
	const delta, ended = "event: content_block_delta\ndata: {\"delta\":{\"type\":\"text_delta\",\"text\":\"", "\"}}\n\n"
	const start = "event: message_start\ndata: {\"message\":{}}\n\n"
	const stop = "event: message_delta\ndata: {\"delta\":{\"stop_reason\":\"end_turn\"}}\n\nevent: message_stop\ndata: {}\n\n"
	return []hostileBody{
		{"a long text", repeatedBody{200, text, "word ", closed, false}, 0, "ask"},
		{"a long text as JSON", repeatedBody{200, text, "word ", closed, false}, 0, "ask -o json"},
		{"a long text as it came", repeatedBody{200, text, "word ", closed, false}, 0, "ask -o raw"},
		{"a long text in a conversation", repeatedBody{200, text, "word ", closed, false}, 0, "ask --session s"},
		{"a long text that is looked through", repeatedBody{200, text, "word ", closed, false}, 5, "ask --expect never"},
		{"a long text without a block", repeatedBody{200, text, "word ", closed, false}, 1, "ask -x"},
		{"a long text, streamed", repeatedBody{200, text, "word ", closed, false}, 0, "stream"},
		{"a long text in a batch", repeatedBody{200, text, "word ", closed, false}, 0, "batch"},
		{"a long text in a batch, many at once", repeatedBody{200, text, "word ", closed, false}, 0, "batch -c 16"},
		{"escapes in a batch, many at once", repeatedBody{200, text, `\u0001`, closed, false}, 0, "batch -c 16"},
		{"an error's message in a batch, many at once", repeatedBody{503, `{"error":{"message":"`, "word ", `"}}`, false}, 1, "batch -c 8 --retry-policy backoff"},
		{"many events in a batch, many at once", repeatedBody{200, start, delta + strings.Repeat("word ", 1000) + ended, stop, false}, 0, "batch -c 8"},
		{"a long text, measured", repeatedBody{200, text, "word ", closed, false}, 0, "bench -c 8 -r 12"},
		{"a long text, measured as a stream", repeatedBody{200, text, "word ", closed, false}, 0, "bench -c 8 -r 12 --stream"},
		{"an error's message, measured", repeatedBody{503, `{"error":{"message":"`, "word ", `"}}`, false}, 1, "bench -c 8 -r 12"},
		{"long lines, measured", repeatedBody{200, start, delta + strings.Repeat("\x7f", 8<<20-100) + ended, stop, false}, 0, "bench -c 8 -r 12 --stream"},
		{"an error's message, asked again", repeatedBody{503, `{"error":{"message":"`, "word ", `"}}`, false}, 3, "ask --retry-delay 1ms --retry-policy backoff"},
		{"a long text that was to be streamed", repeatedBody{200, text, "word ", closed, false}, 0, "stream"},
		{"a long text that was to be streamed as JSON", repeatedBody{200, text, "word ", closed, false}, 0, "stream -o json"},
		{"escapes that were to be streamed as JSON", repeatedBody{200, text, `\u0001`, closed, false}, 0, "stream -o json"},
		{"a long text that was to be streamed into a conversation", repeatedBody{200, text, "word ", closed, false}, 0, "stream -o json --session s"},
		{"a long text that is logged", repeatedBody{200, text, "word ", closed, false}, 0, "ask -o json"},
		{"escapes", repeatedBody{200, text, `\u0001`, closed, false}, 0, "ask"},
		{"escapes as JSON", repeatedBody{200, text, `\u0001`, closed, false}, 0, "ask -o json"},
		{"control characters as JSON", repeatedBody{200, text, "\x7f", closed, false}, 0, "ask -o json"},
		{"control characters in a batch", repeatedBody{200, text, "\x7f", closed, false}, 0, "batch"},
		{"bytes that are no UTF-8", repeatedBody{200, text, "\xff", closed, false}, 0, "ask"},
		{"bytes that are no UTF-8, as JSON", repeatedBody{200, text, "\xff", closed, false}, 0, "ask -o json"},
		{"the key over and over", repeatedBody{200, text, canaryHeader + " ", closed, false}, 0, "ask"},
		{"an error's message", repeatedBody{400, `{"error":{"message":"`, "\xff", `"}}`, false}, 1, "ask -v"},
		{"an error's message as JSON", repeatedBody{400, `{"error":{"message":"`, `\u0001`, `"}}`, false}, 1, "ask -o json"},
		{"an error's message in a batch", repeatedBody{400, `{"error":{"message":"`, "\x7f", `"}}`, false}, 1, "batch"},
		{"a list of errors", repeatedBody{400, `{"errors":[{}`, `,{}`, `]}`, false}, 1, "ask"},
		{"a list as an error", repeatedBody{400, `[{}`, `,{}`, `]`, false}, 1, "ask"},
		{"many members", repeatedBody{200, `{"a":0`, `,"a%d":0`, `}`, true}, 1, "ask"},
		{"many members of an error", repeatedBody{400, `{"error":{"a":0`, `,"a%d":0`, `}}`, true}, 1, "ask"},
		{"many blocks", repeatedBody{200, `{"content":[{}`, `,{}`, `],"stop_reason":"end_turn"}`, false}, 0, "ask"},
		{"many choices", repeatedBody{200, `{"choices":[{}`, `,{}`, `]}`, false}, 1, "ask -m m --api chat"},
		{"many parts", repeatedBody{200, `{"choices":[{"message":{"content":[{}`, `,{}`, `]}}]}`, false}, 0, "ask -m m --api chat"},
		{"nested", repeatedBody{200, `{"content":`, `[`, ``, false}, 1, "ask"},
		{"nested members", repeatedBody{200, ``, `{"a":`, ``, false}, 1, "ask"},
		{"a cut text", repeatedBody{200, text, "word ", ``, false}, 1, "ask"},
		{"a cut text of escapes", repeatedBody{200, text, `\u0001`, ``, false}, 1, "ask -o json"},
		{"a cut text in a batch", repeatedBody{200, text, "\x7f", ``, false}, 1, "batch"},
		{"a page", repeatedBody{200, `<html>`, "<p>", ``, false}, 1, "ask"},
		{"lines of JSON", repeatedBody{200, ``, "{}\n", ``, false}, 1, "ask"},
		{"empty events", repeatedBody{200, ``, "data: {}\n\n", ``, false}, 1, "ask"},
		{"many events", repeatedBody{200, start, delta + "word " + ended, stop, false}, 0, "ask"},
		{"many events of long texts", repeatedBody{200, start, delta + strings.Repeat("word ", 1000) + ended, stop, false}, 0, "ask"},
		{"many events, streamed", repeatedBody{200, start, delta + "word " + ended, stop, false}, 0, "stream"},
		{"many events, streamed into a conversation", repeatedBody{200, start, delta + strings.Repeat("word ", 1000) + ended, stop, false}, 0, "stream --session s"},
		{"long lines", repeatedBody{200, start, delta + strings.Repeat("\x7f", 8<<20-100) + ended, stop, false}, 0, "stream -o json"},
		{"long lines of bytes that are no UTF-8", repeatedBody{200, start, delta + strings.Repeat("\xff", 8<<20-100) + ended, stop, false}, 0, "stream -o json"},
		{"many models", repeatedBody{200, `{"data":[0`, `,0`, `]}`, false}, 0, "config check"},
		{"a filter", repeatedBody{200, text, "word ", closed, false}, 0, "ask"},
		{"a filter and many values", repeatedBody{200, `{"content":[{}`, `,{}`, `],"stop_reason":"end_turn"}`, false}, 0, "ask -o raw"},
	}
}

type hostileBody struct {
	name string
	body repeatedBody
	code int
	args string
}

// TestMemoryOfHostileBodies checks the memory limit of a process while servers send as much as ferry reads.
func TestMemoryOfHostileBodies(t *testing.T) {
	skipIfShort(t, "bodies of 64 MiB")
	skipUnderRace(t)
	for _, test := range hostileBodies() {
		t.Run(test.name, func(t *testing.T) {
			url := serveUnread(t, test.body.ServeHTTP).URL
			home := t.TempDir()
			env := map[string]string{}
			command, flags, _ := strings.Cut(test.args, " ")
			args := append(strings.Fields(test.args), "-n", url, "hi")
			switch command {
			case "batch":
				in, items := filepath.Join(home, "in.jsonl"), "hi\n"
				if flags != "" {
					items = strings.Repeat(items, 16)
				}
				write(t, in, items)
				args = append([]string{"ask", "--batch", in, "--out", filepath.Join(home, "out.jsonl"), "-n", url}, strings.Fields(flags)...)
			case "bench":
				args = append(strings.Fields(test.args), url)
			case "config":
				env = configure(t, url, "")
				args = []string{"config", "check"}
			}
			if strings.HasPrefix(test.name, "a filter") {
				env = withConfig(t, "filter: {words: [banana], on: [answer]}\n", nil)
			}
			if strings.HasSuffix(test.name, "that is logged") {
				env = withConfig(t, "audit: {file: "+filepath.Join(home, "audit.jsonl")+", content: redacted}\n", nil)
			}
			r := peakOf(t, home, env, args...)
			r.want(test.code, "", "")
		})
	}
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

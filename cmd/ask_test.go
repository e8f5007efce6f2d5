package cmd_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ferry/cmd"
)

// TestSilentPipe leaves standard input open and empty: ferry prints a note after 2 s and stops at --timeout, without
// sending anything. With -q, which silences notes, it prints the note once after 30 s. The test runs in the virtual
// time of synctest.
func TestSilentPipe(t *testing.T) {
	const waits = "ferry: waiting for standard input; --no-stdin does not read it\n"
	for _, tt := range []struct{ timeout, flags, want string }{
		{"5s", "", waits + "Error: standard input did not end within the timeout of 5s\nhint: nothing was sent\n"},
		{"29s", "-q", "Error: standard input did not end within the timeout of 29s\nhint: nothing was sent\n"},
		{"2m", "-q", waits + "Error: standard input did not end within the timeout of 2m0s\nhint: nothing was sent\n"},
	} {
		synctest.Test(t, func(t *testing.T) {
			silent, writer := io.Pipe()
			defer writer.Close()
			args := append(strings.Fields("ask --timeout "+tt.timeout+" -n demo "+tt.flags), "hello")
			ferryIn(t, nil, func(e *cmd.Env) { e.Stdin = silent }, args...).exactly(1, "", tt.want)
		})
	}
}

// FuzzPrompt checks that any bytes lead to one of two results: a request with exactly these bytes, or exit 2.
func FuzzPrompt(f *testing.F) {
	for _, seed := range []string{"hello", "", " \n", "a\x00b", "caf\xe9", "\xff", "你好", "'\\''$(id)`", "\u2028\u202e"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, prompt []byte) {
		text := string(prompt)
		usable := strings.TrimSpace(text) != "" && strings.ToValidUTF8(text, "") == text && !strings.Contains(text, "\x00")
		ferryReads(t, nil, text, "ask", "--dry-run", "-n", "demo").want(map[bool]int{true: 0, false: 2}[usable], "", "")
	})
}

// TestNameOfTwoAddresses listens on one address of localhost at a time. ferry must skip addresses that refuse.
func TestNameOfTwoAddresses(t *testing.T) {
	all, err := net.LookupHost("localhost")
	check(t, err)
	t.Logf("localhost is %s", all)
	for _, at := range all {
		node := serve(t, nil, listeningAt(t, net.JoinHostPort(at, "0")))
		ferry(t, map[string]string{"FERRY_KEY": "any"}, "ask", "--no-stdin", "-n", "http://localhost:"+node.port(), "hi").must()
		equal(t, at+" alone: requests", node.count(), 1)
	}
}

// TestFilterChunks cuts a stream in many ways and checks that the filter's result is the same in every form.
func TestFilterChunks(t *testing.T) {
	skipIfShort(t, "every prompt in every form, cut in every way")
	env := withConfig(t, "filter: {file: words.txt, words: [banana split, 分割], on: [answer]}\n",
		map[string]string{"words.txt": "banana bread\nananas\n香蕉面包\n"})
	for prompt, before := range map[string]string{ // the end of the text that is shown; "" for all of it
		"I like banana bread": "I like ", "I like banana split": "I like ", "I like bananas": "I like b",
		"我要香蕉面包": "我要", "我要香蕉，分割": "我要香蕉，", "ＢＡＮＡＮＡ  ＢＲＥＡＤ and then ananas": "“",
		"banana bre": "", "香蕉面": "", "banana banana split": "banana ",
	} {
		code := 4
		if before == "" {
			code = 0
		}
		for _, chunk := range []int{1, 2, 3, 5, 8, 13, 10000} {
			node := fmt.Sprintf("demo:?chunk=%d", chunk)
			text := ferry(t, env, "stream", "-n", node, prompt).want(code, before, "")
			if code == 4 && !strings.HasSuffix(text.stdout, before) || code == 0 && !strings.Contains(text.stdout, prompt) {
				text.errorf("want it to end with %q, or to have the prompt", before)
			}
			shown := strings.TrimSuffix(text.stdout, "\n")
			lines := ferry(t, env, "stream", "-o", "json", "-n", node, prompt).want(code, "", "")
			equal(t, fmt.Sprintf("the text of %q as JSON", lines.args), jsonWords(t, lines.stdout), shown)
			// Events that are not shown completely are left out of the raw output, so it may have less than the text.
			raw := ferry(t, env, "stream", "-o", "raw", "-n", node, prompt).want(code, "", "")
			if words := rawWords(t, raw.stdout); !strings.HasPrefix(text.stdout, words) || code == 0 && words != shown {
				raw.errorf("want %q", shown)
			}
		}
		if r := ferry(t, env, "ask", "-n", "demo", prompt).want(code, "", ""); code == 4 && r.stdout != "" {
			r.errorf("want nothing on standard output")
		}
	}
}

// jsonWords joins the text of a stream's JSON lines. The last line is the summary of the call and has no text.
func jsonWords(t *testing.T, lines string) string {
	var b strings.Builder
	for line := range strings.Lines(lines) {
		var piece struct{ Type, Text string }
		check(t, json.Unmarshal([]byte(line), &piece))
		if piece.Type == "end" {
			equal(t, "the text of the last line", piece.Text, "")
		}
		b.WriteString(piece.Text)
	}
	return b.String()
}

// rawWords joins the text of an event stream of the messages dialect.
func rawWords(t *testing.T, raw string) string {
	var b strings.Builder
	for line := range strings.Lines(raw) {
		data, ok := strings.CutPrefix(line, "data: ")
		var event struct{ Delta struct{ Text string } }
		errorIf(t, ok && json.Unmarshal([]byte(data), &event) != nil, "got half an event, want whole ones: %q", line)
		b.WriteString(event.Delta.Text)
	}
	return b.String()
}

// saysEnd matches the data line of a recorded stream that has the stop reason, to the end of its JSON.
var saysEnd = regexp.MustCompile(`(?m)^data: .*"(stop_reason|finish_reason)":"[^\r\n]*`)

// TestStreamCutAtEveryByte cuts a recorded stream of each dialect at every byte, once with a well-formed end, as a
// proxy does it, and once by dropping the connection. A stream cut before the event with the stop reason is a failure;
// from there on it is a success. What is printed is always a beginning of the complete text.
func TestStreamCutAtEveryByte(t *testing.T) {
	skipIfShort(t, "three streams, cut at every byte, twice each")
	for _, api := range []string{"messages", "complete", "chat"} {
		t.Run(api, func(t *testing.T) {
			t.Parallel()
			recorded := []byte(read(t, filepath.Join("..", "testdata", "streams", api+".sse")))
			url := serve(t, serveCut(recorded)).URL
			cut := func(n int, drop bool) result {
				at := fmt.Sprintf("%s?n=%d&drop=%t", url, n, drop)
				return ferry(t, nil, "stream", "-q", "--no-stdin", "-m", "some", "--api", api, "-n", at, "hello")
			}
			whole := cut(len(recorded), false).must().stdout
			all := saysEnd.FindAllIndex(recorded, -1) // the first is another choice's
			fatalIf(t, all == nil || len(whole) < 40 || !strings.HasSuffix(whole, "\n"),
				"no event of %d says why it ended, or the whole is %q", len(all), whole)
			said := all[len(all)-1][1]
			for n := range len(recorded) + 1 {
				for _, drop := range []bool{false, true} {
					r := cut(n, drop)
					isWhole, isCut := r.code == 0 && r.stdout == whole, r.code == 1 && strings.HasPrefix(whole, r.stdout)
					if n < said && !isCut || n >= said && !isWhole && !(drop && isCut) { // a dropped connection can lose its last bytes
						r.errorf("cut at byte %d of %d, drop %t: want %q, whole from byte %d on", n, len(recorded), drop, whole, said)
						return
					}
				}
			}
		})
	}
}

// serveCut serves the beginning of a stream.
func serveCut(recorded []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var n int
		var dropped bool
		if _, err := fmt.Sscan(r.URL.Query().Get("n")+" "+r.URL.Query().Get("drop"), &n, &dropped); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(recorded[:n])
		w.(http.Flusher).Flush()
		if dropped {
			if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				drop(conn)
				conn.Close()
			}
		}
	}
}

// panickingEnv is an environment that panics.
type panickingEnv struct{ cmd.Env }

func (panickingEnv) Write([]byte) (int, error) { panic("a fault of the program") }
func (c panickingEnv) Now() time.Time          { return time.Now() }
func (panickingEnv) Sleep(_ context.Context, d time.Duration) error {
	if d > 0 {
		panic("a fault of the program")
	}
	return nil
}

// TestCrash makes ferry panic before and after a request. The exit code is never 2, and one line says what was sent.
func TestCrash(t *testing.T) {
	server := serve(t, nil)
	dir := t.TempDir()
	in := filepath.Join(dir, "in.txt")
	write(t, in, "one\ntwo\n")
	const mayBe, nothing = "the request may have been carried out", "nothing was sent"
	for _, tt := range []struct {
		name   string
		args   []string
		change func(*cmd.Env)
		want   string
		sent   int
	}{
		{"before", []string{"ask", "-n", server.URL, "hello"}, func(e *cmd.Env) { e.Random, e.Clock = nil, nil }, nothing, 0},
		{"after", []string{"ask", "-n", server.URL, "hello"}, func(e *cmd.Env) { e.Stdout = panickingEnv{} }, mayBe, 1},
		{"while it waits", []string{"ask", "-n", server.URL + "?status=429", "hello"}, func(e *cmd.Env) { e.Clock = panickingEnv{} }, mayBe, 1},
		{"stream", []string{"stream", "-n", server.URL, "hello"}, func(e *cmd.Env) { e.Stdout = panickingEnv{} }, mayBe, 1},
		{
			"batch", []string{"ask", "--batch", in, "--out", filepath.Join(dir, "out.jsonl"), "-c", "1", "-n", server.URL + "?status=429"},
			func(e *cmd.Env) { e.Clock = panickingEnv{} }, mayBe, 1,
		},
		{
			"bench", []string{"bench", "-r", "1", "--warmup", "0", "--attempts", "2", server.URL + "?status=429"},
			func(e *cmd.Env) { e.Clock = panickingEnv{} }, "no success in 1 request: ferry crashed: a fault of the program", 1,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server.newRequests()
			r := ferryIn(t, map[string]string{"HOME": t.TempDir(), "FERRY_KEY": "some-key"}, func(e *cmd.Env) {
				e.Stdin, e.Program, e.Clock, e.Random = nil, nil, cmd.SystemEnv().Clock, cmd.SystemEnv().Random
				tt.change(e)
			}, tt.args...).want(1, "", "ferry crashed: ").want(1, "", "goroutine ")
			equal(t, fmt.Sprintf("how often %q is said", tt.want), strings.Count(r.stderr, tt.want), 1)
			equal(t, "requests", len(server.newRequests()), tt.sent)
		})
	}
}

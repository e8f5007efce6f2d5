package cmd_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"ferry/cmd"
	"ferry/pkg/demo"
)

// TestSilentPipe leaves standard input open without a word: ferry says so after 2 s and stops at --timeout, with nothing
// sent. The time is the bubble's: it passes when everybody waits.
func TestSilentPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent, writer := io.Pipe()
		defer writer.Close()
		var out, errs bytes.Buffer
		env := testEnv(nil, &out, &errs)
		env.Stdin = silent
		code := cmd.Run(t.Context(), []string{"ask", "--timeout", "5s", "-n", "demo", "hello"}, env)
		want := "ferry: waiting for standard input; --no-stdin leaves it alone\n" +
			"Error: standard input did not end within the timeout of 5s\nhint: nothing was sent\n"
		if code != 1 || out.Len() > 0 || errs.String() != want {
			t.Errorf("exit code %d, stdout %q, stderr %q", code, &out, &errs)
		}
	})
}

// TestSilentPipeQuiet is the same under -q, which silences notes: a pipe that stays open is said once, after 30 s.
func TestSilentPipeQuiet(t *testing.T) {
	for _, test := range []struct{ timeout, want string }{
		{"29s", ""}, {"2m", "ferry: waiting for standard input; --no-stdin leaves it alone\n"},
	} {
		synctest.Test(t, func(t *testing.T) {
			silent, writer := io.Pipe()
			defer writer.Close()
			var out, errs bytes.Buffer
			env := testEnv(nil, &out, &errs)
			env.Stdin = silent
			code := cmd.Run(t.Context(), []string{"ask", "-q", "--timeout", test.timeout, "-n", "demo", "hello"}, env)
			said, _, _ := strings.Cut(errs.String(), "Error:")
			if code != 1 || said != test.want {
				t.Errorf("--timeout %s: exit code %d, stderr %q, want %q", test.timeout, code, &errs, test.want)
			}
		})
	}
}

// TestPromptReachesTheServerAsItWas holds bytes as they are, however they came.
func TestPromptReachesTheServerAsItWas(t *testing.T) {
	var out, errs bytes.Buffer
	env := testEnv(nil, &out, &errs)
	env.Stdin = strings.NewReader("\ufeffline\r\n\ttab \u2028 \"quoted\" <b> 你好\n\n")
	if code := cmd.Run(t.Context(), []string{"ask", "--api", "complete", "--dry-run", "-n", "demo"}, env); code != 0 {
		t.Fatalf("exit code %d: %s", code, &errs)
	}
	want := `{"prompt":"\ufeffline\r\n\ttab \u2028 \"quoted\" <b> 你好\n\n","max_tokens":100}`
	if !strings.Contains(out.String(), "\n"+want+"\n") {
		t.Errorf("the body is not %s in\n%s", want, &out)
	}
}

// FuzzPrompt holds ferry to its two answers to any bytes at all: a request with exactly these, or exit 2.
func FuzzPrompt(f *testing.F) {
	for _, seed := range []string{"hello", "", " \n", "a\x00b", "caf\xe9", "\xff", "你好", "'\\''$(id)`", "\u2028\u202e"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, prompt []byte) {
		var out, errs bytes.Buffer
		env := testEnv(nil, &out, &errs)
		env.Stdin = bytes.NewReader(prompt)
		code := cmd.Run(t.Context(), []string{"ask", "--dry-run", "-n", "demo"}, env)
		if usable := isPrompt(prompt); usable != (code == 0) || !usable && code != 2 {
			t.Errorf("%q: exit code %d, stderr %s", prompt, code, &errs)
		}
	})
}

func isPrompt(text []byte) bool {
	return strings.TrimSpace(string(text)) != "" && strings.ToValidUTF8(string(text), "") == string(text) &&
		!bytes.Contains(text, []byte{0})
}

// TestNothingWasSent holds errors to saying so where no request left, and to not saying so where one did.
func TestNothingWasSent(t *testing.T) {
	node := demo.New(demo.Options{})
	t.Cleanup(func() { _ = node.Close() })
	var asked atomic.Int32
	count := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked.Add(1); node.ServeHTTP(w, r) })
	plain, secure := httptest.NewServer(count), httptest.NewUnstartedServer(count)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	refused := "http://" + closed.Addr().String()
	closed.Close()
	const pin = "nodes: {pinned: {url: https://127.0.0.1:1, key: \"env:NODE_KEY\", pins: [\"sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"]}}\n"
	for _, test := range []struct {
		name, config string
		args         []string
		unsent       bool
	}{
		{"a name that does not resolve", "", []string{"-n", "https://nowhere.invalid", "hi"}, true},
		{"refused", "", []string{"-n", refused, "hi"}, true},
		{"refused, after all attempts", "", []string{"--retry-policy", "retry-after", "-n", refused, "hi"}, true},
		{"refused by the proxy", "", []string{"--proxy", refused, "-n", "https://example.invalid", "hi"}, true},
		{"a certificate", "", []string{"-n", secure.URL, "hi"}, true},
		{"a pin", strings.ReplaceAll(pin, "https://127.0.0.1:1", secure.URL), []string{"-n", "pinned", "hi"}, true},
		{"plain http", "", []string{"-n", "http://example.com", "hi"}, true},
		{"what the API does not have", "", []string{"--api", "complete", "-n", plain.URL, "-s", "system", "hi"}, true},
		{"a blocked prompt", "filter: {words: [banana], on: [prompt]}\n", []string{"-n", plain.URL, "banana"}, true},
		{"the limit", "limit: 1/day\n", []string{"-n", plain.URL + "?after-the-first", "hi"}, true},
		{"the budget", "budget: 5 tokens/day\n", []string{"-n", plain.URL + "?after-the-first", "hi"}, true},
		{"both nodes refused", "", []string{"-n", refused + ",http://127.0.0.1:1", "hi"}, true},
		{"an error status", "", []string{"-n", plain.URL + "?status=401", "hi"}, false},
		{"a dropped connection", "", []string{"-n", plain.URL + "?reset", "hi"}, false},
		{"a cut answer", "", []string{"-n", plain.URL + "?truncate", "hi"}, false},
		{"a node that answered, and then one that refused", "", []string{"--attempts", "1", "-n", plain.URL + "?status=503," + refused, "hi"}, false},
	} {
		env := withConfig(t, test.config, nil)
		env["FERRY_KEY"], env["NODE_KEY"] = canaryHeader, canaryHeader
		if strings.HasSuffix(test.args[1], "?after-the-first") {
			if code, _, stderr := run(t, env, append([]string{"ask"}, test.args...)...); code != 0 {
				t.Fatal(stderr)
			}
		}
		before := asked.Load()
		code, _, stderr := run(t, env, append([]string{"ask"}, test.args...)...)
		sent := asked.Load() > before
		if code == 0 || sent == test.unsent || strings.Contains(stderr, "nothing was sent") != test.unsent {
			t.Errorf("%s: exit code %d, asked %t: %s", test.name, code, sent, stderr)
		}
	}
}

// withConfig is an environment with a configuration file, and files beside it.
func withConfig(t *testing.T, config string, beside map[string]string) map[string]string {
	t.Helper()
	home := t.TempDir()
	dir := filepath.Join(home, ".config", "ferry")
	check(t, os.MkdirAll(dir, 0o700))
	files := map[string]string{"config.yaml": config}
	for name, text := range beside {
		files[name] = text
	}
	for name, text := range files {
		write(t, filepath.Join(dir, name), text)
	}
	return map[string]string{"HOME": home}
}

// TestFilterChunks holds the filter's answer to being the same however a stream is cut, in every form, for words that
// overlap, that begin alike and that come from two lists.
func TestFilterChunks(t *testing.T) {
	long(t, "every prompt in every form, cut in every way")
	env := withConfig(t, "filter: {file: words.txt, words: [banana split, 分割], on: [answer]}\n",
		map[string]string{"words.txt": "banana bread\nananas\n香蕉面包\n"})
	tests := []struct{ prompt, before string }{ // before is the end of what is shown; "" for all
		{"I like banana bread", "I like "}, {"I like banana split", "I like "}, {"I like bananas", "I like b"},
		{"我要香蕉面包", "我要"}, {"我要香蕉，分割", "我要香蕉，"}, {"ＢＡＮＡＮＡ  ＢＲＥＡＤ and then ananas", "“"},
		{"banana bre", ""}, {"香蕉面", ""}, {"banana banana split", "banana "},
	}
	for _, test := range tests {
		for _, chunk := range []int{1, 2, 3, 5, 8, 13, 10000} {
			node := fmt.Sprintf("demo:?chunk=%d", chunk)
			where := fmt.Sprintf("%q cut by %d", test.prompt, chunk)
			wantCode := 4
			if test.before == "" {
				wantCode = 0
			}
			code, text, _ := run(t, env, "stream", "-n", node, test.prompt)
			if code != wantCode || wantCode == 4 && !strings.HasSuffix(text, test.before) || wantCode == 0 && !strings.Contains(text, test.prompt) {
				t.Errorf("%s: exit code %d, %q", where, code, text)
			}
			code, lines, _ := run(t, env, "stream", "-o", "json", "-n", node, test.prompt)
			if joined := jsonWords(t, lines); code != wantCode || joined != strings.TrimSuffix(text, "\n") {
				t.Errorf("%s as JSON: exit code %d, %q, want %q", where, code, joined, text)
			}
			// The bytes of an event that is not shown are left out whole, so that there may be less than of the text.
			code, raw, _ := run(t, env, "stream", "-o", "raw", "-n", node, test.prompt)
			if shown := rawWords(t, raw); code != wantCode || !strings.HasPrefix(text, shown) || wantCode == 0 && shown != strings.TrimSuffix(text, "\n") {
				t.Errorf("%s raw: exit code %d, %q, want of %q", where, code, shown, text)
			}
		}
		if code, stdout, _ := run(t, env, "ask", "-n", "demo", test.prompt); (code == 4) != (test.before != "") || code == 4 && stdout != "" {
			t.Errorf("ask %q: exit code %d, %q", test.prompt, code, stdout)
		}
	}
}

// jsonWords joins the text of a stream's JSON lines. The last line is the call's, with no text.
func jsonWords(t *testing.T, lines string) string {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(lines) {
		var piece struct{ Type, Text string }
		check(t, json.Unmarshal([]byte(line), &piece))
		if piece.Type == "end" && piece.Text != "" {
			t.Errorf("the last line has a text: %s", line)
		}
		b.WriteString(piece.Text)
	}
	return b.String()
}

// rawWords joins the text of an event stream in messages.
func rawWords(t *testing.T, raw string) string {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(raw) {
		data, ok := strings.CutPrefix(line, "data: ")
		var event struct{ Delta struct{ Text string } }
		if ok && json.Unmarshal([]byte(data), &event) != nil {
			t.Errorf("half an event: %q", line)
		}
		b.WriteString(event.Delta.Text)
	}
	return b.String()
}

// TestFilterReasoning filters the reasoning where it is shown and leaves it where it is not.
func TestFilterReasoning(t *testing.T) {
	for form, want := range map[string]int{"text": 0, "json": 4, "raw": 4} {
		url := thinkingServer(t, "ba", "nana", "fine")
		env := withConfig(t, "filter: {words: [banana], on: [answer]}\n", nil)
		env["FERRY_KEY"] = "k"
		code, stdout, stderr := run(t, env, "stream", "-o", form, "-n", url, "hello")
		if code != want || strings.Contains(stdout, "nana") {
			t.Errorf("%s: exit code %d, %q, %s", form, code, stdout, stderr)
		}
		code, _, stderr = run(t, env, "stream", "--thinking", "-n", url, "hello")
		if code != 4 || strings.Contains(stderr, "nana") {
			t.Errorf("--thinking: exit code %d, %s", code, stderr)
		}
	}
}

// thinkingServer streams reasoning in two pieces and then a text.
func thinkingServer(t *testing.T, one, two, text string) string {
	t.Helper()
	delta := func(kind, key, words string) string {
		return fmt.Sprintf(`event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"%s","%s":"%s"}}

`, kind, key, words)
	}
	stream := "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\"}}\n\n" +
		delta("thinking_delta", "thinking", one) + delta("thinking_delta", "thinking", two) + delta("text_delta", "text", text) +
		"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, stream)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// TestStreamCutAtEveryByte cuts a recorded stream of each dialect at every byte, once as a proxy does it, with a
// well-formed end, and once by dropping the connection: nothing before the event that says why the answer ended is a
// success, from there on all is, and what is printed is the beginning of the whole.
func TestStreamCutAtEveryByte(t *testing.T) {
	long(t, "three streams, cut at every byte, twice each")
	for _, api := range []string{"messages", "complete", "chat"} {
		t.Run(api, func(t *testing.T) {
			t.Parallel()
			recorded, err := os.ReadFile(filepath.Join("..", "testdata", "streams", api+".sse"))
			check(t, err)
			server := newCutter(t, recorded)
			whole, code, stderr := server.stream(t, api, len(recorded), false)
			if code != 0 || len(whole) < 40 || !strings.HasSuffix(whole, "\n") {
				t.Fatalf("the whole stream: exit code %d, %q, %s", code, whole, stderr)
			}
			all := saysEnd.FindAllIndex(recorded, -1) // before the last one, another choice's
			if all == nil {
				t.Fatal("no event says why it ended")
			}
			said := all[len(all)-1][1]
			for n := range len(recorded) + 1 {
				for _, drop := range []bool{false, true} {
					got, code, stderr := server.stream(t, api, n, drop)
					isWhole, isCut := code == 0 && got == whole, code == 1 && strings.HasPrefix(whole, got)
					if n < said && !isCut || n >= said && !isWhole && !(drop && isCut) { // what is dropped can have lost its last bytes
						t.Fatalf("cut at byte %d of %d (drop %t): exit code %d, %q, %s", n, len(recorded), drop, code, got, stderr)
					}
				}
			}
		})
	}
}

// saysEnd matches a recorded stream's line of data that says why the answer ended, to the end of its JSON.
var saysEnd = regexp.MustCompile(`(?m)^data: .*"(stop_reason|finish_reason)":"[^\r\n]*`)

// cutter serves the beginning of a stream.
type cutter struct {
	*httptest.Server
	recorded []byte
}

func newCutter(t *testing.T, recorded []byte) *cutter {
	c := &cutter{recorded: recorded}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var n int
		var drop bool
		if _, err := fmt.Sscan(r.URL.Query().Get("n")+" "+r.URL.Query().Get("drop"), &n, &drop); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(c.recorded[:n])
		w.(http.Flusher).Flush()
		if drop {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_ = conn.(*net.TCPConn).SetLinger(0)
				conn.Close()
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *cutter) stream(t *testing.T, api string, n int, drop bool) (stdout string, code int, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	at := fmt.Sprintf("%s?n=%d&drop=%t", c.URL, n, drop)
	code = cmd.Run(t.Context(), []string{"stream", "-q", "--no-stdin", "-m", "some", "--api", api, "-n", at, "hello"},
		testEnv(nil, &out, &errs))
	return out.String(), code, errs.String()
}

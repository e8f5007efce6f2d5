package demo

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const testKey = "sk-test-0123456789"

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// errorIf reports an error if wrong is true; fatalIf also ends the test.
func errorIf(t testing.TB, wrong bool, format string, args ...any) {
	t.Helper()
	if wrong {
		t.Errorf(format, args...)
	}
}

func fatalIf(t testing.TB, wrong bool, format string, args ...any) {
	t.Helper()
	if wrong {
		t.Fatalf(format, args...)
	}
}

// fakeSleeper replaces the clock: it does not wait, and records the requested waits.
type fakeSleeper struct {
	mu   sync.Mutex
	list []time.Duration
}

func (n *fakeSleeper) sleep(ctx context.Context, d time.Duration) error {
	n.mu.Lock()
	n.list = append(n.list, d)
	n.mu.Unlock()
	return ctx.Err()
}

func (n *fakeSleeper) total() (sum time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, d := range n.list {
		sum += d
	}
	return sum
}

// serve starts a real server for a node, and a client that neither follows redirects nor decompresses.
func serve(t *testing.T, o Options) (url string, client *http.Client) {
	t.Helper()
	if o.Sleep == nil {
		o.Sleep = new(fakeSleeper).sleep
	}
	n := New(o)
	s := httptest.NewServer(n)
	transport := &http.Transport{DisableCompression: true, MaxResponseHeaderBytes: 32 << 20}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		n.Close()
		s.Close()
	})
	return s.URL, &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

// Valid requests in every dialect.
const (
	messagesAsk = `{"model":"claude-haiku-5-5","max_tokens":400,"messages":[{"role":"user","content":"hi there"}]}`
	completeAsk = `{"prompt":"hi there","max_tokens":100}`
	chatAsk     = `{"model":"qwen-plus","messages":[{"role":"user","content":"hi there"}]}`
)

var asks = []struct{ path, body string }{
	{"/v1/messages", messagesAsk}, {"/v1/complete", completeAsk}, {"/chat/completions", chatAsk},
}

// streamed turns a request into one for a stream.
func streamed(body string) string { return strings.TrimSuffix(body, "}") + `,"stream":true}` }

func request(t *testing.T, url, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	check(t, err)
	req.GetBody = nil // the transport must not resend anything
	req.Header.Set("X-Api-Key", testKey)
	req.Header.Set("Anthropic-Version", versionCurrent)
	return req
}

type result struct {
	status int
	header http.Header
	body   string
	err    error // from the exchange or from the body
}

func do(t *testing.T, client *http.Client, req *http.Request) result {
	t.Helper()
	resp, err := client.Do(req)
	if err != nil {
		return result{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return result{resp.StatusCode, resp.Header, string(body), err}
}

func post(t *testing.T, client *http.Client, url, body string) result {
	t.Helper()
	return do(t, client, request(t, url, body))
}

func decode(t *testing.T, body string) map[string]any {
	t.Helper()
	var v map[string]any
	err := json.Unmarshal([]byte(body), &v)
	fatalIf(t, err != nil, "body %q: %v", clip(body), err)
	return v
}

func clip(s string) string {
	if len(s) > 300 {
		return s[:300] + "…"
	}
	return s
}

// valueAt returns a value of decoded JSON by its path of names and indexes, separated by dots.
func valueAt(v any, path string) any {
	for name := range strings.SplitSeq(path, ".") {
		if list, ok := v.([]any); ok {
			if i, err := strconv.Atoi(name); err == nil && i < len(list) {
				v = list[i]
				continue
			}
		}
		members, _ := v.(map[string]any)
		v = members[name]
	}
	return v
}

// expect compares members of JSON text with the wanted values, and returns the decoded JSON.
func expect(t *testing.T, where, body string, want map[string]any) map[string]any {
	t.Helper()
	v := decode(t, body)
	for path, member := range want {
		got := valueAt(v, path)
		errorIf(t, got != member, "%s: got %s %v, want %v, in %s", where, path, got, member, clip(body))
	}
	return v
}

// textOf returns the text of an answer in any dialect.
func textOf(t *testing.T, body string) string {
	t.Helper()
	v := decode(t, body)
	for _, path := range []string{"content.0.text", "completion", "choices.0.message.content"} {
		if s, ok := valueAt(v, path).(string); ok {
			return s
		}
	}
	t.Fatalf("no text in %s", clip(body))
	return ""
}

// sse is one event as a client reads it.
type sse struct{ event, data string }

// events parses a stream strictly: every event has lines of event and data, and ends with a blank line. tail is what
// follows the last complete event.
func events(t *testing.T, stream string) (list []sse, tail string) {
	t.Helper()
	blocks := strings.Split(stream, "\n\n")
	tail = blocks[len(blocks)-1]
	for _, b := range blocks[:len(blocks)-1] {
		var e sse
		for line := range strings.SplitSeq(b, "\n") {
			name, value, ok := strings.Cut(line, ": ")
			switch {
			case ok && name == "event":
				e.event = value
			case ok && name == "data":
				e.data = value
			case ok && name == "":
				e.event = "comment"
			default:
				t.Fatalf("line %q in stream", line)
			}
		}
		list = append(list, e)
	}
	return list, tail
}

// streamText joins the deltas of any dialect.
func streamText(t *testing.T, list []sse) string {
	t.Helper()
	var b strings.Builder
	for _, e := range list {
		if e.data == "[DONE]" || e.data == "" {
			continue
		}
		v := decode(t, e.data)
		for _, path := range []string{"delta.text", "completion", "choices.0.delta.content"} {
			if s, ok := valueAt(v, path).(string); ok {
				b.WriteString(s)
			}
		}
	}
	return b.String()
}

// countTokens returns the node's estimate of the tokens of a text.
func countTokens(text string) int64 {
	_, n := cutTokens(text, 0)
	return n
}

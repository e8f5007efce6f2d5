package cmd_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

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

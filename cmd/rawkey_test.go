package cmd_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestRawRefusesKeyInPieces holds that raw shows no key that a reader could put together, wherever the pieces stand and
// whatever stands before them.
func TestRawRefusesKeyInPieces(t *testing.T) {
	const (
		key   = "canary-key-0009-pieces"
		start = `data: {"type":"message_start","message":{"id":"m"}}` + "\n\n"
		end   = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
	)
	delta := func(kind, member string) string {
		return `data: {"type":"content_block_delta","index":0,"delta":{"type":"` + kind + `","` + member + `":"%s"}}` + "\n\n"
	}
	places := map[string]string{
		"text": delta("text_delta", "text"), "tool input": delta("input_json_delta", "partial_json"),
		"reasoning": delta("thinking_delta", "thinking"), "a signature": delta("signature_delta", "signature"),
		"an id": "id: %s\n" + delta("text_delta", "text"), "a comment": ": %s\n",
	}
	before := map[string]string{"": "", "behind a comment": ": " + key + "\n\n", "behind an id": "id: " + key + "\n"}
	for place, format := range places {
		for first, came := range before {
			for _, size := range []int{1, 3, 13} {
				var pieces []string
				for i := 0; i < len(key); i += size {
					piece := []any{key[i:min(i+size, len(key))], "-"}
					pieces = append(pieces, fmt.Sprintf(format, piece[:strings.Count(format, "%s")]...))
				}
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "text/event-stream")
					for _, part := range append([]string{start + came}, append(pieces, end)...) {
						_, _ = fmt.Fprint(w, part)
						_ = http.NewResponseController(w).Flush()
					}
				}))
				name := fmt.Sprintf("%s in pieces of %d bytes %s", place, size, first)
				for _, command := range []string{"stream", "ask"} {
					code, stdout, stderr := run(t, map[string]string{"FERRY_KEY": key}, command, "-o", "raw", "-n", server.URL, "hi")
					if code != 1 || !strings.Contains(stderr, "holds a key in pieces") || !strings.Contains(stderr, "-o text and -o json mask it") {
						t.Errorf("%s, %s: exit code %d, want 1 and the hint; stderr %q", command, name, code, stderr)
					}
					if strings.Contains(stdout, pieces[len(pieces)-1]) {
						t.Errorf("%s, %s: the last piece is shown in %q", command, name, stdout)
					}
					if n := strings.Count(stdout, "data: "); size > 3 && strings.Contains(stdout, key[:size]) {
						t.Errorf("%s, %s: %d bytes of the key are shown in %d events", command, name, size, n)
					}
				}
				code, stdout, stderr := run(t, map[string]string{"FERRY_KEY": key}, "stream", "-n", server.URL, "hi")
				if strings.Contains(stdout+stderr, key) {
					t.Errorf("stream, %s: exit code %d, the key is shown in %q %q", name, code, stdout, stderr)
				}
				server.Close()
			}
		}
	}
}

// TestRawBodyRefusesKeyInPieces is the same of a whole answer, whose blocks hold the pieces.
func TestRawBodyRefusesKeyInPieces(t *testing.T) {
	const key = "canary-key-0009-pieces"
	for _, test := range []struct {
		name, body string
		refused    bool
	}{
		{"two blocks", `{"content":[{"type":"text","text":"canary-key-"},{"type":"text","text":"0009-pieces"}],"stop_reason":"end_turn"}`, true},
		{"two blocks behind a whole key", `{"id":"` + key + `","content":[{"type":"text","text":"canary-key-"},{"type":"text","text":"0009-pieces"}]}`, true},
		{"on many lines", "{\"content\": [\n {\"type\": \"text\",\n  \"text\": \"canary-key-\"},\n {\"type\": \"text\",\n  \"text\": \"0009-pieces\"}]}", true},
		{"one block", `{"content":[{"type":"text","text":"it is ` + key + `."},{"type":"text","text":"more"}]}`, false},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, test.body) }))
		for _, command := range []string{"ask", "stream"} {
			code, stdout, stderr := run(t, map[string]string{"FERRY_KEY": key}, command, "-o", "raw", "-n", server.URL, "hi")
			if test.refused && (code != 1 || stdout != "" || !strings.Contains(stderr, "holds a key in pieces, which raw cannot mask")) {
				t.Errorf("%s, %s: exit code %d, want 1 and no output: %q %q", command, test.name, code, stdout, stderr)
			}
			if want := strings.ReplaceAll(test.body, key, "***"); !test.refused && (code != 0 || stdout != want) {
				t.Errorf("%s, %s: exit code %d, want 0 and %q: %q %q", command, test.name, code, want, stdout, stderr)
			}
		}
		server.Close()
	}
}

// TestKeyInHeaderName holds that -v masks a key of mixed case in the name of a header, whose case gets lost.
func TestKeyInHeaderName(t *testing.T) {
	const key = "Canary-kEy-00Ab-XYz"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["X-"+key] = []string{"one"}
		w.WriteHeader(400)
	}))
	defer server.Close()
	_, stdout, stderr := run(t, map[string]string{"FERRY_KEY": key}, "ask", "-v", "-n", server.URL, "hi")
	if strings.Contains(strings.ToLower(stdout+stderr), strings.ToLower(key)) || !strings.Contains(stderr, "< x-***: one\n") {
		t.Errorf("want the header x-***, got\n%s", stderr)
	}
}

// TestKeyWithUnseenCharacters holds that no key is to be read where a server puts characters that show nothing, or NULs,
// between its own: in errors, headers, ids and names. A model's answer keeps such characters.
func TestKeyWithUnseenCharacters(t *testing.T) {
	const key = "canary-key-0011"
	unseen := []string{"\u200b", "\u00ad", "\ufeff", "\u2060", "\u200d", "\U000e0041", "\x00"}
	readable := strings.NewReplacer("\u200b", "", "\u00ad", "", "\ufeff", "", "\u2060", "", "\u200d", "", "\U000e0041", "", "\x00", "", `\x00`, "")
	for _, between := range unseen {
		echo := strings.Join(strings.Split(key, ""), between)
		quoted := strings.ReplaceAll(echo, "\x00", `\u0000`)
		for place, reply := range map[string]func(w http.ResponseWriter){
			"message": func(w http.ResponseWriter) {
				w.WriteHeader(400)
				_, _ = fmt.Fprintf(w, `{"error":{"type":"%s","message":"it is %s."},"request_id":"%s"}`, quoted, quoted, quoted)
			},
			"body": func(w http.ResponseWriter) { w.WriteHeader(400); _, _ = fmt.Fprint(w, echo) },
			"header": func(w http.ResponseWriter) {
				w.Header().Set("X-Echo", strings.ReplaceAll(echo, "\x00", ""))
				w.WriteHeader(400)
			},
			"id, model and stop reason": func(w http.ResponseWriter) {
				_, _ = fmt.Fprintf(w, `{"id":"%s","model":"%s","content":[{"type":"text","text":"a`+"\u200b"+`b"}],"stop_reason":"%s"}`, quoted, quoted, quoted)
			},
		} {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { reply(w) }))
			for _, form := range []string{"text", "json"} {
				_, stdout, stderr := run(t, map[string]string{"FERRY_KEY": key}, "ask", "-v", "-o", form, "-n", server.URL, "hi")
				if shown := readable.Replace(stdout + stderr); strings.Contains(shown, key) {
					t.Errorf("%s, %+q, %s: the key is to be read in %q", place, between, form, stdout+stderr)
				}
				if place == "id, model and stop reason" && form == "text" && stdout != "a\u200bb\n" {
					t.Errorf("%s, %+q: the answer %+q, want it as it came", place, between, stdout)
				}
			}
			server.Close()
		}
	}
}

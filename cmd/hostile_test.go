package cmd_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// hostileReplies puts text into every place where a server can send words.
func hostileReplies(text string) map[string]http.HandlerFunc {
	quoted := func(s string) string {
		q, _ := json.Marshal(s) // a string can always be encoded
		return string(q)
	}
	body := func(status int, format string, texts ...string) http.HandlerFunc {
		args := make([]any, len(texts))
		for i, t := range texts {
			args[i] = quoted("x" + t)
		}
		return respondWith(status, "", fmt.Sprintf(format, args...))
	}
	const answer = `{"id":%s,"model":%s,"content":[{"type":"text","text":"fine"}],"stop_reason":"max_tokens","usage":{"input_tokens":1,"output_tokens":1}}`
	return map[string]http.HandlerFunc{
		"message":         body(400, `{"error":{"type":"bad","message":%s}}`, text),
		"type and code":   body(400, `{"error":{"type":%s,"code":%s,"message":"m"}}`, text, text),
		"request id":      body(400, `{"error":{"type":"bad","message":"m"},"request_id":%s}`, text),
		"an error's body": body(400, `{"other":%s}`, text),
		"a page":          respondWith(502, "", "<html>"+text),
		"no answer":       body(200, `{"other":%s}`, text),
		"a cut answer":    body(200, `{"content":[{"type":"text","text":%s`, text),
		"a cut body":      body(200, `{"other":%s`, text),
		"id and model":    body(200, answer, text, text),
		"stop reason":     body(200, `{"content":[{"type":"text","text":"fine"}],"stop_reason":%s}`, text),
		"an error event": respondWith(200, "", fmt.Sprintf("event: error\ndata: {\"error\":{\"type\":%s,\"message\":%s}}\n\n",
			quoted(text), quoted(text))),
		"an event that is no JSON": respondWith(200, "", "event: message_start\ndata: "+strings.NewReplacer("\n", "", "\r", "").Replace(text)+"\n\n"),
		"headers": func(w http.ResponseWriter, _ *http.Request) {
			for _, name := range []string{"Request-Id", "Location", "Retry-After", "X-Echo"} {
				w.Header().Set(name, "x"+text[:min(len(text), 30_000)])
			}
			w.WriteHeader(302)
		},
	}
}

// hostileCalls returns the calls that print what a server sends. Calls that write files write them into the folder.
func hostileCalls(at, folder string) [][]string {
	in, out := filepath.Join(folder, "in.jsonl"), filepath.Join(folder, "out.jsonl")
	return [][]string{
		{"ask", "-n", at, "hi"},
		{"ask", "-v", "-u", "--strict", "-n", at, "hi"},
		{"ask", "-o", "json", "-n", at, "hi"},
		{"ask", "-x", "-n", at, "hi"},
		{"ask", "--attempts", "2", "--retry-policy", "backoff", "-n", at, "hi"},
		{"ask", "--session", "s", "-n", at, "hi"},
		{"config", "session", "show", "s"},
		{"stream", "-v", "-n", at, "hi"},
		{"stream", "-o", "json", "-n", at, "hi"},
		{"ask", "-n", at + "," + at, "hi"},
		{"ask", "--batch", in, "--out", out, "-n", at},
		{"bench", "-r", "1", "--save", filepath.Join(folder, "run.jsonl"), at},
		{"bench", "report", filepath.Join(folder, "run.jsonl")},
		{"config", "check", "hostile"},
		{"config", "check", "--live", "hostile"},
	}
}

// runHostileCalls makes every call to servers that send the text in every place, and passes the output and the files
// to see.
func runHostileCalls(t *testing.T, env map[string]string, text string, see func(name, stdout, stderr string)) {
	for place, reply := range hostileReplies(text) {
		server, folder := httptest.NewServer(reply), t.TempDir()
		all := map[string]string{"HOME": folder, "FERRY_KEY": canaryHeader, "NODE_KEY": canaryHeader, "FERRY_CONFIG": filepath.Join(folder, "config.yaml")}
		maps.Copy(all, env)
		write(t, filepath.Join(folder, "in.jsonl"), "one\n")
		write(t, all["FERRY_CONFIG"], fmt.Sprintf("audit: {file: audit.jsonl}\nnodes: {hostile: {url: %q, key: \"env:NODE_KEY\"}}\n", server.URL))
		for _, args := range hostileCalls(server.URL, folder) {
			r := ferry(t, all, args...)
			see(place+": "+strings.Join(args, " "), r.stdout, r.stderr)
		}
		for _, name := range []string{"out.jsonl", "out.jsonl.failed", "audit.jsonl", "run.jsonl"} {
			left, _ := os.ReadFile(filepath.Join(folder, name))
			see(place+": "+name, "", string(left))
		}
		server.Close()
	}
}

// lineEnds are the line ends that a terminal or a reader may recognize.
var lineEnds = []string{"\n", "\r\n", "\r", "\v", "\f", "\u0085", "\u2028", "\u2029"}

// TestForgedLines checks that no text of a server begins a line that could be ferry's own.
func TestForgedLines(t *testing.T) {
	skipIfShort(t, "every place and every call")
	forged := ""
	ours := []string{"Error:", "hint:", "ferry:", "*", "<", ">", "✓", "✗"}
	for _, end := range lineEnds {
		for _, own := range ours {
			forged += end + own + " forged"
		}
	}
	seen := 0
	runHostileCalls(t, nil, forged, func(name, stdout, stderr string) {
		for _, end := range lineEnds {
			stdout, stderr = strings.ReplaceAll(stdout, end, "\n"), strings.ReplaceAll(stderr, end, "\n")
		}
		for line := range strings.Lines(stdout + "\n" + stderr) {
			seen += strings.Count(line, "forged")
			if slices.ContainsFunc(ours, func(own string) bool { return strings.HasPrefix(line, own+" forged") }) {
				t.Errorf("%s: a line begins with %q, want no word of the server there", name, line)
				break
			}
		}
	})
	atLeast(t, "words of the server that were seen", seen, 1000)
}

// TestJSONHasNoControls checks that JSON contains nothing that a terminal would execute, in a model's text, names and
// reasoning.
func TestJSONHasNoControls(t *testing.T) {
	const bad = "a\u009b31m\u0085\u007f\u202e\u2066\u200f\u2028b"
	const parts = `[{"type":"thinking","thinking":"` + bad + `"},{"type":"text","text":"` + bad + `"}]`
	url := serve(t, respondWith(200, "", fmt.Sprintf(`{"id":"%s","model":"%s","content":%s,"stop_reason":"%s"}`, bad, bad, parts, bad))).URL
	folder := t.TempDir()
	in, out := filepath.Join(folder, "in"), filepath.Join(folder, "out")
	write(t, in, "one\n")
	env := map[string]string{"HOME": folder, "FERRY_KEY": canaryHeader}
	for _, args := range [][]string{
		{"ask", "-o", "json", "--session", "s", "hi"}, {"stream", "-o", "json", "hi"}, {"config", "session", "show", "-o", "json", "s"},
		{"ask", "--batch", in, "--out", out},
	} {
		if args[0] != "config" {
			args = append(args, "-n", url)
		}
		r := ferry(t, env, args...).must()
		lines, _ := os.ReadFile(out)
		text := r.stdout + string(lines)
		contains(t, strings.Join(args, " "), text, `\u009b31m\u0085\u007f\u202e\u2066\u200f\u2028b`)
		if strings.ContainsAny(text, "\u009b\u0085\u007f\u202e\u2066\u200f\u2028") {
			r.errorf("want JSON that a terminal obeys nothing of: %q", text)
		}
	}
}

// TestFailureIsBounded checks the size limit of what is printed and stored of a failed call, including all escapes.
func TestFailureIsBounded(t *testing.T) {
	skipIfShort(t, "every place and every call, with long texts")
	units := []string{"\x01", "word\n"}
	const most = 512 << 10 // including JSON's escapes
	more := 0
	for _, unit := range units {
		runHostileCalls(t, nil, strings.Repeat(unit, 128<<10/len(unit)), func(name, stdout, stderr string) {
			more += strings.Count(stdout+stderr, "bytes more")
			whole := strings.HasPrefix(name, "id and model") || strings.HasPrefix(name, "stop reason")
			if whole && (strings.Contains(name, "-o json") || strings.HasSuffix(name, "out.jsonl")) {
				return // an answer is never shortened
			}
			atMost(t, "bytes of "+name, len(stdout)+len(stderr), most)
		})
	}
	atLeast(t, "times that it was said how much more there is", more, 40*len(units))
}

// TestCodedKey checks that a key is masked in every form that a server may send it in.
func TestCodedKey(t *testing.T) {
	skipIfShort(t, "every place and every call")
	const key = "canary+key/0004?abc=&<def>"
	var codings []string
	for before := range 3 {
		coded := []byte(strings.Repeat("u", before) + key + ":p")
		for _, alphabet := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
			codings = append(codings, alphabet.EncodeToString(coded))
		}
	}
	codings = append(codings, hex.EncodeToString([]byte(key)), fmt.Sprintf("%X", key), url.QueryEscape(key), html.EscapeString(key))
	var numbers, units strings.Builder
	for _, c := range []byte(key) {
		fmt.Fprintf(&numbers, "&#%d;", c)
		fmt.Fprintf(&units, `\u%04x`, c)
	}
	codings = append(codings, numbers.String(), units.String())
	env := map[string]string{"FERRY_KEY": key, "NODE_KEY": key}
	seen := 0
	runHostileCalls(t, env, strings.Join(codings, " "), func(name, stdout, stderr string) {
		seen += strings.Count(stdout+stderr, "***")
		for _, coding := range codings {
			lacks(t, name, stdout+stderr, coding[4:len(coding)-8]) // the ends depend on the surrounding bytes
		}
	})
	atLeast(t, "times that the key was masked", seen, 1000)
}

package cmd_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ferry/pkg/demo"
)

// The canaries are keys that must never appear. They contain every character that JSON or a URL would write
// differently.
const (
	canaryKey    = `canary/key"0001\%+=&<>`
	canaryHeader = "canary-header-0002"
	canaryShaped = "sk-ant-api03-canary0003canary"
)

// TestCanary looks for keys that a server echoes, in everything that any call prints or writes.
func TestCanary(t *testing.T) {
	skipIfShort(t, "every call that there is")
	node := demo.New(demo.Options{Sleep: (&storyClock{waits: os.DevNull}).Sleep})
	t.Cleanup(func() { _ = node.Close() })
	server := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Echo", r.Header.Get("X-Api-Key")+r.Header.Get("X-Gate"))
		w.Header().Set("Request-Id", r.Header.Get("X-Api-Key"))
		node.ServeHTTP(w, r)
	}))
	env := withConfig(t, fmt.Sprintf(`audit: {file: audit.jsonl, content: redacted}
budget: 900000000000 tokens/day
nodes:
  gate: {url: "%s?echo-key", key: "env:NODE_KEY", headers: {X-Gate: "env:GATE"}, proxy: none}
`, server.URL), nil)
	env["FERRY_KEY"], env["ANTHROPIC_API_KEY"], env["GATE"] = canaryKey, canaryKey, canaryHeader
	env["ANTHROPIC_BASE_URL"] = server.URL
	for _, args := range canaryCalls(server.URL) {
		r := ferry(t, env, args...)
		checkNoKey(t, strings.Join(args, " "), r.stdout+r.stderr)
	}
	arrived := 0
	for _, r := range server.requests() {
		if strings.Contains(r.Header.Get("X-Api-Key")+r.Header.Get("Authorization"), canaryKey) {
			arrived++
		}
	}
	atLeast(t, "times that the key arrived: if too few, this test looks at calls that do not send it", arrived, 50)

	// The key that config key stores is in its own file and nowhere else.
	r := ferryReads(t, env, canaryKey+"\n", "config", "key", "gate").must()
	checkNoKey(t, "config key", r.stdout+r.stderr)
	for path, text := range filesBelow(t, env["HOME"]) {
		if !strings.HasSuffix(path, ".key") {
			checkNoKey(t, path, text)
		}
	}
}

// faultQueries are the queries for the faults that all canaries are tested with.
var faultQueries = []string{"", "status=401", "status=429", "status=500", "status=503", "html", "empty", "truncate", "truncate=clean", "reset",
	"envelope&status=429", "envelope=string&status=401", "spend-cap", "gzip", "error-event", "big-header=100"}

// faultCalls returns calls to a demo node that has these faults and echoes its key, in every dialect and form.
func faultCalls(url, prompt string, more ...string) (calls [][]string) {
	add := func(args ...string) { calls = append(calls, args) }
	for _, query := range append(more, faultQueries...) {
		at := url + "?echo-key&" + query
		for _, api := range []string{"messages", "complete", "chat"} {
			for _, form := range []string{"text", "json", "raw"} {
				add("ask", "-v", "-u", "-m", "some", "--api", api, "-o", form, "-n", at, prompt)
				add("stream", "-v", "-u", "-m", "some", "--api", api, "-o", form, "-n", at, prompt)
				add("stream", "-v", "-m", "some", "--api", api, "-o", form, "-n", at+"&chunk=1", prompt)
			}
			add("ask", "--api", api, "-m", "some", "--retry-policy", "backoff", "--expect", "never", "-n", at, prompt)
		}
	}
	return calls
}

// canaryCalls returns command lines that print as much as they can.
func canaryCalls(url string) [][]string {
	calls := faultCalls(url, "hello", "status=403", "redirect", "redirect-to=http://elsewhere.invalid/canary", "big=100", "big-header=70000")
	add := func(args ...string) { calls = append(calls, args) }
	for _, node := range []string{"gate", "direct"} {
		add("ask", "-v", "-n", node, "hello")
		add("ask", "-n", node, "--dry-run", "hello")
		add("ask", "-n", node, "-o", "raw", "hello")
		add("stream", "-n", node, "--session", "with-"+node, "hello")
		add("ask", "-v", "-n", node, "--session", "with-"+node, "hello again")
		add("config", "session", "show", "with-"+node)
		add("config", "check", node)
		add("config", "check", "--live", node)
	}
	add("ask", "-n", "gate", "--proxy", "http://user:"+canaryHeader+"@127.0.0.1:1", "-v", "hello")
	add("ask", "-n", "gate", "--proxy", "http://user:"+canaryHeader+"@127.0.0.1:1", "--dry-run", "hello")
	add("ask", "-n", "gate", "--proxy", "gopher://user:"+canaryHeader+"@127.0.0.1:1", "hello")
	add("ask", "-n", "https://user:"+canaryHeader+"@127.0.0.1:1", "hello")
	for _, node := range []string{"gate", "direct", url + "?echo-key&status=503,200"} {
		add("ask", "-v", "-n", node, "--limit", "1000/s burst 100", "hello")
		add("ask", "-v", "-n", node, "--limit", "1/day", "hello")
		add("ask", "-v", "-n", node, "--limit", "1/day", "--no-store", "hello")
		add("bench", "-r", "1", "--limit", "1/day", node)
	}
	add("ask", "-n", "gate", "--limit", canaryHeader, "hello")
	add("config", "set", "limit", canaryHeader)
	add("config", "set", "nodes.gate.budget", canaryShaped)
	add("config", "usage")
	add("config", "usage", "-o", "json")
	add("config", "purge")
	add("config", "list")
	add("config", "nodes")
	add("config", "get", "nodes.gate.key")
	add("config", "set", "nodes.gate.key", canaryHeader)
	add("config", "set", "nodes.gate.headers.Authorization", "Bearer "+canaryHeader)
	add("config", "set", canaryShaped, "x")
	add("config", "set", "nodes.gate.label", canaryShaped)
	add("config", "get", canaryShaped)
	add("ask", "-n", canaryShaped, "hello")
	return calls
}

// checkNoKey fails the test if text contains a canary.
func checkNoKey(t *testing.T, where, text string) {
	t.Helper()
	if found := keyIn(text); found != "" {
		t.Errorf("%s shows a key: …%q…", where, found)
	}
}

// keyIn returns the canary that text contains, as it is or as JSON or a URL would write it, or "" if there is none.
func keyIn(text string) string {
	for _, form := range []string{
		canaryKey, canaryHeader, canaryShaped, `canary/key\"0001\\%+=&<>`, `canary\/key\"0001\\%+=&<>`, `canary/key\"0001\\%+=\u0026\u003c\u003e`,
		"canary%2Fkey%220001%5C%25%2B%3D%26%3C%3E", "canary/key%220001%5C%25+=&%3C%3E",
	} {
		if at := strings.Index(text, form); at >= 0 {
			return text[max(0, at-60):min(len(text), at+80)]
		}
	}
	return ""
}

// TestRawRefusesKeyInPieces checks that raw output has no key that a reader could reassemble from pieces.
func TestRawRefusesKeyInPieces(t *testing.T) {
	const (
		key   = "canary-key-0009-pieces"
		start = `data: {"type":"message_start","message":{"id":"m"}}` + "\n\n"
		end   = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
	)
	delta := func(kind, member string) string {
		return `data: {"type":"content_block_delta","index":0,"delta":{"type":"` + kind + `","` + member + `":"%s"}}` + "\n\n"
	}
	vars := map[string]string{"FERRY_KEY": key}
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
					r := ferry(t, vars, command, "-o", "raw", "-n", server.URL, "hi").want(1, "", "contains a key that is split into parts")
					r.want(1, "", "-o text and -o json mask it")
					lacks(t, command+", "+name+": the last piece", r.stdout, pieces[len(pieces)-1])
					if size > 3 {
						lacks(t, command+", "+name+": a piece", r.stdout, key[:size])
					}
				}
				r := ferry(t, vars, "stream", "-n", server.URL, "hi")
				lacks(t, "stream, "+name, r.stdout+r.stderr, key)
				server.Close()
			}
		}
	}
}

// TestRawBodyRefusesKeyInPieces does the same for an answer that is not streamed, whose blocks contain the pieces.
func TestRawBodyRefusesKeyInPieces(t *testing.T) {
	const key = "canary-key-0009-pieces"
	for body, refused := range map[string]bool{
		`{"content":[{"type":"text","text":"canary-key-"},{"type":"text","text":"0009-pieces"}],"stop_reason":"end_turn"}`:             true,
		`{"id":"` + key + `","content":[{"type":"text","text":"canary-key-"},{"type":"text","text":"0009-pieces"}]}`:                   true,
		"{\"content\": [\n {\"type\": \"text\",\n  \"text\": \"canary-key-\"},\n {\"type\": \"text\",\n  \"text\": \"0009-pieces\"}]}": true,
		`{"content":[{"type":"text","text":"it is ` + key + `."},{"type":"text","text":"more"}]}`:                                      false,
	} {
		url := serve(t, respondWith(200, "", body)).URL
		for _, command := range []string{"ask", "stream"} {
			r := ferry(t, map[string]string{"FERRY_KEY": key}, command, "-o", "raw", "-n", url, "hi")
			if refused {
				r.fails(1, "contains a key that is split into parts, which raw cannot mask")
			} else if want := strings.ReplaceAll(body, key, "***"); r.code != 0 || r.stdout != want {
				r.errorf("want exit code 0 and %q", want)
			}
		}
	}
}

// TestKeyCutAtTheEnd checks that no part of a key is printed if a reply ends inside it, however it ends and in every
// form. A complete answer with such an end keeps it.
func TestKeyCutAtTheEnd(t *testing.T) {
	const key, part = "canary/key-0012-0123456789abcdef", "canary/key-0012-0123456789abc"
	for name, reply := range map[string]struct {
		status     int
		mime, body string
	}{
		"JSON":           {200, "", `{"content":[{"type":"text","text":"your key is ` + part},
		"JSON's escape":  {200, "", `{"content":[{"type":"text","text":"your key is ` + strings.ReplaceAll(part, "/", `\/`)},
		"text":           {200, "text/plain", "your key is " + part},
		"an event":       {200, "text/event-stream", `data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"your key is ` + part},
		"a whole event":  {200, "text/event-stream", `data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"your key is ` + part + `"}}` + "\n\n"},
		"an error":       {401, "", `{"error":{"type":"authentication_error","message":"your key is ` + part},
		"text of errors": {401, "text/plain", "your key is " + part},
	} {
		for _, reset := range []bool{false, true} {
			url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				respondWith(reply.status, reply.mime, reply.body)(w, r)
				if reset {
					_ = http.NewResponseController(w).Flush()
					panic(http.ErrAbortHandler)
				}
			})).URL
			env := withConfig(t, "audit: {file: audit.jsonl, content: redacted}\n", nil)
			env["FERRY_KEY"] = key
			home := env["HOME"]
			write(t, filepath.Join(home, "in"), "hi\n")
			for _, args := range []string{
				"ask -v", "ask -o json", "ask -o raw", "ask --session s", "stream -v", "stream -o json", "stream -o raw", "stream --session s",
				"ask --batch " + filepath.Join(home, "in") + " --out " + filepath.Join(home, "out"),
			} {
				args := append(strings.Fields(args), "-n", url)
				if !slices.Contains(args, "--batch") {
					args = append(args, "hi")
				}
				r := ferry(t, env, args...)
				equal(t, strings.Join(args, " ")+": exit code", r.code, 1)
				lacks(t, name+": "+strings.Join(args, " "), r.stdout+r.stderr, part[7:15])
			}
			atLeast(t, "bytes of OUT.failed", len(read(t, filepath.Join(home, "out.failed"))), 1)
			ferry(t, env, "bench", "-r", "1", "-o", "json", "--save", filepath.Join(home, "saved.jsonl"), url)
			for path, text := range filesBelow(t, home) {
				lacks(t, name+": "+path, text, part[7:15])
			}
		}
	}
	url := serve(t, respondWith(200, "", `{"content":[{"type":"text","text":"it begins with `+part+`"}],"stop_reason":"end_turn"}`)).URL
	for _, command := range []string{"ask", "stream"} {
		ferry(t, map[string]string{"FERRY_KEY": key}, command, "-n", url, "hi").exactly(0, "it begins with "+part+"\n", "")
	}
}

// TestKeyEscapedTwice checks that no key is shown if a gateway quotes an error as JSON inside JSON.
func TestKeyEscapedTwice(t *testing.T) {
	const key = `canary/key"0013/9=`
	for _, spelled := range []string{`canary\\\/key\\\"0013\\\/9=`, `canary/key\\u00220013/9\\u003d`} {
		for _, status := range []int{200, 429} {
			body := `{"error":{"code":429,"message":"Provider returned error","metadata":{"raw":"{\"error\":\"bad key ` + spelled + `\"}"}}}`
			url := serve(t, respondWith(status, "", body)).URL
			for _, args := range []string{"ask -v", "ask -o json", "ask -o raw", "stream -v"} {
				args := append(strings.Fields(args), "--attempts", "1", "-n", url, "hi")
				r := ferry(t, map[string]string{"FERRY_KEY": key}, args...).want(3, "", "bad key ***")
				lacks(t, strings.Join(args, " "), r.stdout+r.stderr, "canary")
			}
		}
		body := `{"content":[{"type":"text","text":"a body: {\"key\":\"` + spelled + `\"}"}],"stop_reason":"end_turn"}`
		url := serve(t, respondWith(200, "", body)).URL
		ferry(t, map[string]string{"FERRY_KEY": key}, "ask", "-o", "raw", "-n", url, "hi").want(0, `{\"key\":\"***\"}`, "")
	}
}

// TestKeyWithUnseenCharacters checks that no key can be read if a server puts invisible characters or NULs into it: in
// errors, headers, IDs and names. A model's answer keeps such characters.
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
			url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { reply(w) })).URL
			for _, form := range []string{"text", "json"} {
				r := ferry(t, map[string]string{"FERRY_KEY": key}, "ask", "-v", "-o", form, "-n", url, "hi")
				lacks(t, fmt.Sprintf("%s, %+q, %s", place, between, form), readable.Replace(r.stdout+r.stderr), key)
				if place == "id, model and stop reason" && form == "text" {
					equal(t, fmt.Sprintf("the answer with %+q", between), r.stdout, "a\u200bb\n")
				}
			}
		}
	}
}

// personal is canary data of a person, as a server could put it into an error: a name, a mobile number, an identity
// card and a bank card with valid checksums, and an email address; and something that only a user's own pattern
// matches.
const personal = "姓名:张三丰 电话:13812345678 证件 11010519491231002X 卡 4111 1111 1111 1111 a.canary@example.com badge E-77177"

// personalParts are the parts of it that must not appear.
var personalParts = []string{"张三丰", `\u5f20\u4e09`, "1381234", "11010519491231", "4111 1111", "canary@", "example.com", "E-77177"}

// personalEcho is a ResponseWriter that replaces the key that the demo node echoes with personal data.
type personalEcho struct {
	http.ResponseWriter
	key []byte
}

func (s personalEcho) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s personalEcho) Write(b []byte) (int, error) {
	if _, err := s.ResponseWriter.Write(bytes.ReplaceAll(b, s.key, []byte(personal))); err != nil {
		return 0, err
	}
	return len(b), nil
}

// personalServer returns a demo node that sends personal data in place of the key, which has the same length.
func personalServer(t *testing.T) (url, key string) {
	key = strings.Repeat("K", len(personal))
	node := demo.New(demo.Options{Sleep: (&storyClock{waits: os.DevNull}).Sleep})
	t.Cleanup(func() { _ = node.Close() })
	return serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Echo", "phone 13812345678, a.canary@example.com, 4111111111111111, E-77177")
		switch r.URL.Query().Get("say") {
		case "html":
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("<html>" + personal + "</html>"))
		case "malformed":
			_, _ = w.Write([]byte("event: message_start\ndata: {\"type\": " + personal + "\n\n"))
		case "header":
			w.Header().Set("Request-Id", "req-of-a.canary@example.com")
			w.Header().Set("Retry-After", "9999 "+personal)
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = w.Write([]byte(personal))
		default:
			node.ServeHTTP(personalEcho{w, []byte(key)}, r)
		}
	})).URL, key
}

// TestPersonalData looks for personal data in standard error, in printed failures and in the audit log.
func TestPersonalData(t *testing.T) {
	skipIfShort(t, "every call that there is, twice")
	url, key := personalServer(t)
	for _, content := range []string{"none", "redacted"} {
		env := withConfig(t, "redact: ['E-\\d+']\naudit: {file: audit.jsonl, content: "+content+"}\n", nil)
		env["FERRY_KEY"] = key
		calls := personalCalls(url)
		shown := 0
		for _, args := range calls {
			r := ferry(t, env, args...)
			where := strings.Join(args[:len(args)-1], " ")
			checkNoPersonalData(t, where+": stderr", r.stderr)
			if r.code != 0 && r.code != 5 && args[0] == "ask" || args[0] == "bench" || args[0] == "config" {
				checkNoPersonalData(t, where+": stdout", r.stdout)
			}
			shown += strings.Count(r.stderr, "[REDACTED]")
		}
		atLeast(t, "places that were redacted: if too few, this test looks at calls that do not meet the data", shown, 200)
		log := read(t, filepath.Join(filepath.Dir(env["FERRY_CONFIG"]), "audit.jsonl"))
		atLeast(t, "lines of the log", strings.Count(log, "\n"), len(calls)*3/4)
		equal(t, "prompts in the log with content: "+content, strings.Contains(log, `"prompt"`), content == "redacted")
		for path, text := range filesBelow(t, env["HOME"]) {
			checkNoPersonalData(t, path, strings.ReplaceAll(text, `E-\d+`, ""))
		}
	}
}

// personalCalls returns calls that end with the prompt, which is personal, except for bench, whose report has the
// node's name as the user gave it.
func personalCalls(url string) [][]string {
	queries := []string{"status=400", "say=html", "say=malformed", "say=header"}
	calls := faultCalls(url, personal, append(queries, "redirect-to=http://elsewhere.invalid/?to=13812345678", "phone=13812345678")...)
	for _, query := range append(queries, faultQueries...) {
		calls = append(calls, []string{"bench", "-r", "2", "-o", "json", "--prompt", personal, url + "?echo-key&" + query, url + "?echo-key&status=500"})
	}
	return append(calls,
		[]string{"ask", "-x", "-n", url, personal},
		[]string{"config", "check", "--live", url + "?echo-key&status=401"},
		[]string{strings.TrimSuffix(personal, " badge E-77177")}, // an unknown command is reported without reading the file
		[]string{"ask", "--expect", "(" + personal, "x"}, []string{"ask", "--13812345678", "x"},
	)
}

func checkNoPersonalData(t *testing.T, where, text string) {
	t.Helper()
	if k := slices.IndexFunc(personalParts, func(part string) bool { return strings.Contains(text, part) }); k >= 0 {
		at := strings.Index(text, personalParts[k])
		t.Errorf("%s shows personal data: …%q…", where, text[max(0, at-80):min(len(text), at+60)])
	}
}

// TestAnswersAreNotRedacted checks that a model's answer on standard output is unchanged.
func TestAnswersAreNotRedacted(t *testing.T) {
	for _, args := range [][]string{
		{"ask"}, {"stream"}, {"ask", "-o", "json"}, {"ask", "-o", "raw"}, {"stream", "-o", "raw"}, {"ask", "--dry-run"},
	} {
		r := ferry(t, nil, append(args, "-n", "demo:?chunk=1000", personal)...)
		contains(t, strings.Join(args, " "), r.stdout, "张三丰", "13812345678", "11010519491231002X", "4111 1111 1111 1111", "a.canary@example.com")
	}
}

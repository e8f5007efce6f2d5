package cmd_test

import (
	"bytes"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ferry/pkg/demo"
)

// personal is canary data of a person, as a server could say it in an error: a name, a mobile number, an identity card
// and a bank card with checksums that hold, and an address; and something that only a pattern of the user's knows.
const personal = "姓名:张三丰 电话:13812345678 证件 11010519491231002X 卡 4111 1111 1111 1111 a.canary@example.com badge E-77177"

// personalParts are what must not be seen of it.
var personalParts = []string{"张三丰", `\u5f20\u4e09`, "1381234", "11010519491231", "4111 1111", "canary@", "example.com", "E-77177"}

// says is a ResponseWriter that puts personal data in the place of the key that the demo node echoes.
type says struct {
	http.ResponseWriter
	key []byte
}

func (s says) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s says) Write(b []byte) (int, error) {
	if _, err := s.ResponseWriter.Write(bytes.ReplaceAll(b, s.key, []byte(personal))); err != nil {
		return 0, err
	}
	return len(b), nil
}

// personalServer is a demo node whose answers, errors and headers hold personal data. The key is as long as that, so
// that Content-Length stays true.
func personalServer(t *testing.T) (url, key string) {
	t.Helper()
	key = strings.Repeat("K", len(personal))
	node := demo.New(demo.Options{Sleep: (&storyClock{waits: os.DevNull}).Sleep})
	t.Cleanup(func() { _ = node.Close() })
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
			node.ServeHTTP(says{w, []byte(key)}, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, key
}

// TestPersonalData sends personal data and gets it back in every fault of the demo node, and looks for it in standard
// error, in what a failure prints, and in the audit log, with its content and without.
func TestPersonalData(t *testing.T) {
	long(t, "every call that there is, twice")
	url, key := personalServer(t)
	for _, content := range []string{"none", "redacted"} {
		home := t.TempDir()
		env := map[string]string{"HOME": home, "FERRY_KEY": key}
		for _, set := range [][]string{{"redact", `E-\d+`}, {"audit.file", "audit.jsonl"}, {"audit.content", content}} {
			if code, _, stderr := run(t, env, append([]string{"config", "set"}, set...)...); code != 0 {
				t.Fatal(stderr)
			}
		}
		calls := personalCalls(url)
		shown := 0
		for _, args := range calls {
			code, stdout, stderr := run(t, env, args...)
			where := strings.Join(args[:len(args)-1], " ")
			hides(t, where+": stderr", stderr)
			if code != 0 && code != 5 && args[0] == "ask" || args[0] == "bench" || args[0] == "config" {
				hides(t, where+": stdout", stdout)
			}
			shown += strings.Count(stderr, "[REDACTED]")
		}
		if shown < 200 {
			t.Errorf("%d places were redacted: this test looks at calls that do not meet the data", shown)
		}
		log, err := os.ReadFile(filepath.Join(home, ".config", "ferry", "audit.jsonl"))
		if lines := bytes.Count(log, []byte("\n")); err != nil || lines < len(calls)*3/4 {
			t.Errorf("%d lines for %d calls: %v", lines, len(calls), err)
		}
		if has := bytes.Contains(log, []byte(`"prompt"`)); has != (content == "redacted") {
			t.Errorf("content: %s, and prompts in the log: %v", content, has)
		}
		_ = filepath.WalkDir(home, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				text, _ := os.ReadFile(path)
				hides(t, path, strings.ReplaceAll(string(text), `E-\d+`, ""))
			}
			return err
		})
	}
}

// personalCalls end with the prompt, which is personal.
func personalCalls(url string) [][]string {
	var calls [][]string
	for _, query := range []string{
		"", "status=400", "status=401", "status=429", "status=500", "status=503", "html", "empty", "truncate", "truncate=clean", "reset",
		"redirect-to=http://elsewhere.invalid/?to=13812345678", "envelope&status=429", "envelope=string&status=401", "spend-cap",
		"gzip", "error-event", "big-header=100", "say=html", "say=malformed", "say=header", "phone=13812345678",
	} {
		at := url + "?echo-key&" + query
		for _, api := range []string{"messages", "complete", "chat"} {
			for _, form := range []string{"text", "json", "raw"} {
				calls = append(calls,
					[]string{"ask", "-v", "-m", "some", "--api", api, "-o", form, "-n", at, personal},
					[]string{"stream", "-v", "-m", "some", "--api", api, "-o", form, "-n", at + "&chunk=3", personal})
			}
			calls = append(calls, []string{"ask", "-m", "some", "--api", api, "--expect", "never", "--retry-policy", "backoff", "-n", at, personal})
		}
		calls = append(calls, []string{"bench", "-r", "2", "-o", "json", "--prompt", personal, at, url + "?echo-key&status=500"})
	}
	calls = slices.DeleteFunc(calls, func(args []string) bool { // a report names a node as it was named
		return args[0] == "bench" && strings.Contains(strings.Join(args[6:], " "), "13812345678")
	})
	return append(calls,
		[]string{"ask", "-x", "-n", url, personal},
		[]string{"config", "check", "--live", url + "?echo-key&status=401"},
		[]string{strings.TrimSuffix(personal, " badge E-77177")}, // no file is read to say that there is no such command
		[]string{"ask", "--expect", "(" + personal, "x"}, []string{"ask", "--13812345678", "x"},
	)
}

func hides(t *testing.T, where, text string) {
	t.Helper()
	if k := slices.IndexFunc(personalParts, func(part string) bool { return strings.Contains(text, part) }); k >= 0 {
		at := strings.Index(text, personalParts[k])
		t.Errorf("%s shows personal data: …%q…", where, text[max(0, at-80):min(len(text), at+60)])
	}
}

// TestAnswersAreNotRedacted holds that a model's words on standard output are its own.
func TestAnswersAreNotRedacted(t *testing.T) {
	for _, args := range [][]string{
		{"ask"}, {"stream"}, {"ask", "-o", "json"}, {"ask", "-o", "raw"}, {"stream", "-o", "raw"}, {"ask", "--dry-run"},
	} {
		_, stdout, _ := run(t, nil, append(args, "-n", "demo:?chunk=1000", personal)...)
		for _, part := range []string{"张三丰", "13812345678", "11010519491231002X", "4111 1111 1111 1111", "a.canary@example.com"} {
			if !strings.Contains(stdout, part) {
				t.Errorf("%v: standard output lacks %q: %s", args, part, stdout)
			}
		}
	}
}

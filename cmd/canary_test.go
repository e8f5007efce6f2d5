package cmd_test

import (
	"bytes"
	"context"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ferry/cmd"
	"ferry/pkg/demo"
)

// The canaries are keys that must never be seen. They hold every character that JSON or a URL would spell differently.
const (
	canaryKey    = `canary/key"0001\%+=&<>`
	canaryHeader = "canary-header-0002"
	canaryShaped = "sk-ant-api03-canary0003canary"
)

// TestCanary crosses a server that echoes the key in answers, errors and headers, with every form of output and every
// fault, and looks for the keys in all that came out and in every file.
func TestCanary(t *testing.T) {
	long(t, "every call that there is")
	home := t.TempDir()
	node := demo.New(demo.Options{Sleep: (&storyClock{waits: os.DevNull}).Sleep})
	t.Cleanup(func() { _ = node.Close() })
	arrived := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("X-Api-Key")+r.Header.Get("Authorization"), canaryKey) {
			arrived++
		}
		w.Header().Set("X-Echo", r.Header.Get("X-Api-Key")+r.Header.Get("X-Gate"))
		w.Header().Set("Request-Id", r.Header.Get("X-Api-Key"))
		node.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	env := map[string]string{
		"HOME": home, "FERRY_KEY": canaryKey, "ANTHROPIC_API_KEY": canaryKey, "GATE": canaryHeader,
		"ANTHROPIC_BASE_URL": server.URL, "NODE_KEY": canaryKey,
	}
	setUp := [][]string{
		{"config", "set", "nodes.gate.url", server.URL + "?echo-key"},
		{"config", "set", "nodes.gate.key", "env:NODE_KEY"},
		{"config", "set", "nodes.gate.headers.X-Gate", "env:GATE"},
		{"config", "set", "nodes.gate.proxy", "none"},
		{"config", "set", "budget", "900000000000 tokens/day"},
		{"config", "set", "audit.file", "audit.jsonl"},
		{"config", "set", "audit.content", "redacted"},
	}
	for _, args := range setUp {
		if code, _, stderr := run(t, env, args...); code != 0 {
			t.Fatalf("%v: exit code %d: %s", args, code, stderr)
		}
	}
	for _, args := range canaryCalls(server.URL) {
		_, stdout, stderr := run(t, env, args...)
		reveals(t, strings.Join(args, " "), stdout+stderr)
	}
	if arrived < 50 {
		t.Errorf("the key arrived %d times: this test looks at calls that do not send it", arrived)
	}

	// The key that config key stores stands in its own file and nowhere else.
	var out, errs bytes.Buffer
	storing := testEnv(env, &out, &errs)
	storing.Stdin = strings.NewReader(canaryKey + "\n")
	if code := cmd.Run(context.Background(), []string{"config", "key", "gate"}, storing); code != 0 {
		t.Fatalf("config key: exit code %d: %s", code, errs.String())
	}
	reveals(t, "config key", out.String()+errs.String())
	_ = filepath.WalkDir(home, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(path, ".key") {
			return err
		}
		content, err := os.ReadFile(path)
		reveals(t, path, string(content))
		return err
	})
}

// canaryCalls are command lines that show as much as they can.
func canaryCalls(url string) [][]string {
	var calls [][]string
	add := func(args ...string) { calls = append(calls, args) }
	for _, query := range []string{
		"", "status=401", "status=403", "status=429", "status=500", "status=503", "html", "empty", "truncate", "truncate=clean", "reset", "redirect",
		"redirect-to=http://elsewhere.invalid/canary", "envelope&status=429", "envelope=string&status=401", "spend-cap",
		"gzip", "error-event", "big=100", "big-header=100", "big-header=70000",
	} {
		at := url + "?echo-key&" + query
		for _, api := range []string{"messages", "complete", "chat"} {
			for _, form := range []string{"text", "json", "raw"} {
				add("ask", "-v", "-u", "-m", "some", "--api", api, "-o", form, "-n", at, "hello")
				add("stream", "-v", "-u", "-m", "some", "--api", api, "-o", form, "-n", at, "hello")
				add("stream", "-m", "some", "--api", api, "-o", form, "-n", at+"&chunk=1", "hello")
			}
			add("ask", "--api", api, "-m", "some", "--retry-policy", "backoff", "--expect", "never", "-n", at, "hello")
		}
	}
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

// reveals fails the test where a text holds a canary, as it is or as JSON or a URL would spell it.
func reveals(t *testing.T, where, text string) {
	t.Helper()
	spelled := []string{
		canaryKey, canaryHeader, canaryShaped, `canary/key\"0001\\%+=&<>`, `canary\/key\"0001\\%+=&<>`, `canary/key\"0001\\%+=\u0026\u003c\u003e`,
		"canary%2Fkey%220001%5C%25%2B%3D%26%3C%3E", "canary/key%220001%5C%25+=&%3C%3E",
	}
	for _, form := range spelled {
		if at := strings.Index(text, form); at >= 0 {
			t.Errorf("%s shows a key: …%q…", where, text[max(0, at-60):min(len(text), at+80)])
			return
		}
	}
}

//go:build !windows

package cmd_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"ferry/cmd"
)

// TestDryRunLine runs the printed line with bash and curl, and compares what a server gets of it with what ferry sends:
// for prompts on both sides of the longest argument, and with all that a shell or a terminal could take for more than
// words.
func TestDryRunLine(t *testing.T) {
	for _, program := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%s is wanted: %v", program, err)
		}
	}
	var got http.Header
	var body string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		read, _ := io.ReadAll(r.Body)
		got, body = r.Header, string(read)
	}))
	defer server.Close()
	const names = "X-`id`, X-$HOME, X-'a, X-!b, X-a|b, X-~, X-Plain"
	var headers strings.Builder
	for name := range strings.SplitSeq(names, ", ") {
		fmt.Fprintf(&headers, "      %q: env:GATE\n      %q: %q\n", name, name+"-2", "`id` $HOME 'x' \"y\" \\ !z")
	}
	env := withConfig(t, fmt.Sprintf("nodes:\n  gate:\n    url: %s\n    key: env:GATE\n    headers:\n%s", server.URL, &headers), nil)
	env["GATE"] = "gate-secret-1"
	for name, prompt := range map[string]string{
		"words":           "it's \"quoted\" $HOME `id` !x \\ %s 你好",
		"controls":        "a\u009b31m\u202eb\u2066c\u007fd\u2028e\u0085f\x1bg\nh",
		"under the bound": strings.Repeat("x", 99<<10),
		"over the bound":  strings.Repeat("'", 131<<10),
		"a MiB":           strings.Repeat("it's ", 1<<18),
	} {
		code, out, stderr := runWith(t, env, prompt, "ask", "--dry-run", "-n", "gate")
		if code != 0 {
			t.Fatalf("%s: exit code %d: %s", name, code, stderr)
		}
		if strings.ContainsAny(out, "\u009b\u202e\u2066\u007f\u2028\u0085\x1b") || strings.Contains(out, "gate-secret") {
			t.Errorf("%s: a terminal would obey %.300q", name, out)
		}
		at := max(strings.LastIndex(out, "\ncurl "), strings.LastIndex(out, "\nprintf "))
		shell := exec.Command("bash", "-s")
		shell.Stdin, shell.Env = strings.NewReader(out[at:]), []string{"PATH=/usr/bin:/bin", "HOME=/nowhere", "GATE=gate-secret-1", "NO_PROXY=*"}
		got, body = nil, ""
		if said, err := shell.CombinedOutput(); err != nil || len(said) > 0 {
			t.Fatalf("%s: %v: %.300s", name, err, said)
		}
		byCurl, curlBody := got, body
		if code, _, stderr := runWith(t, env, prompt, "ask", "-n", "gate"); code != 1 || got == nil {
			t.Fatalf("%s: exit code %d: %s", name, code, stderr) // the server answers nothing
		}
		if !sameJSON(t, curlBody, body) {
			t.Errorf("%s: curl sent %.300q, ferry %.300q", name, curlBody, body)
		}
		for field := range got {
			if field != "User-Agent" && field != "Accept-Encoding" && field != "Content-Length" && strings.Join(got[field], ",") != strings.Join(byCurl[field], ",") {
				t.Errorf("%s: header %s: curl sent %q, ferry %q", name, field, byCurl[field], got[field])
			}
		}
		if byCurl.Get("X-Api-Key") != "gate-secret-1" || len(byCurl) < 16 {
			t.Errorf("%s: headers %q", name, byCurl)
		}
	}
}

// runWith is run with a prompt on standard input.
func runWith(t *testing.T, env map[string]string, prompt string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	e := testEnv(env, &out, &errs)
	e.Stdin = strings.NewReader(prompt)
	code = cmd.Run(t.Context(), args, e)
	return code, out.String(), errs.String()
}

// sameJSON reports whether two texts are the same JSON value.
func sameJSON(t *testing.T, one, other string) bool {
	t.Helper()
	var a, b any
	if err := json.Unmarshal([]byte(one), &a); err != nil {
		t.Errorf("%v: %.300q", err, one)
		return false
	}
	return json.Unmarshal([]byte(other), &b) == nil && reflect.DeepEqual(a, b)
}

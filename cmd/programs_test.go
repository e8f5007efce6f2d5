//go:build !windows

package cmd_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"ferry/cmd"
	"ferry/pkg/demo"
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

// TestBasicAsTheReadmeSays sends a user and a password as the README's row for curl's -u has it: the shell makes the
// variable, the node names it.
func TestBasicAsTheReadmeSays(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		needed(t, "sh, to run the README's line")
	}
	readme, err := os.ReadFile(filepath.Join(checkout, "README.md"))
	check(t, err)
	row := regexp.MustCompile("(?m)^\\| `-u user:password` .*$").FindString(string(readme))
	parts := regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row, -1)
	if len(parts) < 4 || !strings.HasPrefix(parts[3][1], "export BASIC=") {
		t.Fatalf("the row is not as this test reads it: %s", row)
	}
	auth, headers, export := parts[1][1], parts[2][1], strings.ReplaceAll(parts[3][1], `\|`, "|")
	made, err := exec.Command(shell, "-c", export+`; printf %s "$BASIC"`).Output()
	check(t, err)
	var user, password string
	node := demo.New(demo.Options{})
	defer node.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ = r.BasicAuth()
		r.Header.Set("X-Api-Key", "for the demo node")
		node.ServeHTTP(w, r)
	}))
	defer server.Close()
	path := filepath.Join(t.TempDir(), "config.yaml")
	text := "nodes: {n: {url: " + server.URL + ", " + auth + ", " + headers + "}}\n"
	write(t, path, text)
	env := map[string]string{"FERRY_CONFIG": path, "HOME": t.TempDir(), "BASIC": string(made) + "\n"}
	code, stdout, stderr := run(t, env, "ask", "-v", "-n", "n", "--no-stdin", "hello")
	if code != 0 || user != "user" || password != "password" || stdout == "" {
		t.Errorf("exit code %d, %q and %q arrived\n%s", code, user, password, stderr)
	}
	_, encoded, _ := strings.Cut(string(made), " ")
	if encoded == "" || strings.Contains(stdout+stderr, encoded) {
		t.Errorf("the password is shown:\n%s", stderr)
	}
}

// TestOfficialSDKs lets the official JavaScript SDKs of two providers, as real clients, talk to `ferry demo`: what they
// take for an answer, an error and a stream is what the demo node must speak.
func TestOfficialSDKs(t *testing.T) {
	sdk := filepath.Join("..", "testdata", "sdk")
	node, err := exec.LookPath("node")
	if err != nil {
		needed(t, "node, to run the official SDKs")
	}
	if _, err := os.Stat(filepath.Join(sdk, "node_modules", "@anthropic-ai", "sdk")); err != nil {
		needed(t, "the official SDKs (npm ci in testdata/sdk)")
	}
	demo := realFerry(t, "demo", "-q", "--listen", "127.0.0.1:0")
	stdout, err := demo.StdoutPipe()
	check(t, err)
	check(t, demo.Start())
	t.Cleanup(func() {
		_ = demo.Process.Signal(syscall.SIGTERM)
		_ = demo.Wait()
	})
	address, err := bufio.NewReader(stdout).ReadString('\n')
	check(t, err)
	clients := exec.CommandContext(t.Context(), node, "--test", "--test-reporter=tap", "sdk.test.mjs")
	clients.Dir = sdk
	clients.Env = append(os.Environ(), "FERRY_DEMO_URL="+strings.TrimSpace(address))
	out, err := clients.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, line := range strings.Split(string(out), "\n") {
		if strings.HasPrefix(line, "# pass ") || strings.HasPrefix(line, "# fail ") {
			t.Log(line)
		}
	}
	if !strings.Contains(string(out), "\n# fail 0\n") || strings.Contains(string(out), "\n# pass 0\n") {
		t.Errorf("no test passed:\n%s", out)
	}
}

// needed skips a test by the name of what it lacks. Where everything is to be there it fails instead: a skip that
// nobody sees is a check that nobody makes.
func needed(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("FERRY_CI") != "" {
		t.Fatalf("missing: %s", what)
	}
	t.Skipf("skipped, for want of %s", what)
}

// TestFilterCost reports what a list adds to an ask in processor time, all threads together: some 4 ms for 10,000 words,
// 45 for 100,000. It fails where that is out of all proportion: what else a machine does slows a processor too.
func TestFilterCost(t *testing.T) {
	if raceEnabled {
		t.Skip("a measurement")
	}
	// A bench in this process has set the collector to its own wants.
	limit, percent := debug.SetMemoryLimit(math.MaxInt64), debug.SetGCPercent(100)
	defer func() { debug.SetMemoryLimit(limit); debug.SetGCPercent(percent) }()
	prompt := strings.Repeat("天空为什么是蓝色的? why is the sky blue? ", 50)
	bare := cheapest(t, withConfig(t, "", nil), prompt)
	for _, words := range []int{10_000, 100_000} {
		env := withConfig(t, "filter: {file: words.txt, on: [prompt, answer]}\n", map[string]string{"words.txt": blockedWords(words)})
		added, most := cheapest(t, env, prompt)-bare, time.Duration(words)*20*time.Microsecond
		t.Logf("%d words add %s to an ask of %s", words, added, bare)
		if added > most {
			t.Errorf("%d words add %s, more than %s", words, added, most)
		}
	}
}

// cheapest is the least processor time of an ask in ten.
func cheapest(t *testing.T, env map[string]string, prompt string) time.Duration {
	t.Helper()
	best := time.Hour
	for range 10 {
		before := processorTime(t)
		if code, _, stderr := run(t, env, "ask", "-n", "demo", prompt); code != 0 {
			t.Fatal(stderr)
		}
		best = min(best, processorTime(t)-before)
	}
	return best
}

// processorTime is what this process has had of the processors.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var used syscall.Rusage
	check(t, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// blockedWords is a list of so many words of the usual lengths, Chinese and Latin by turns, in no order.
func blockedWords(n int) string {
	chance := rand.New(rand.NewPCG(1, 2))
	var list strings.Builder
	for k := range n {
		if k%2 == 0 {
			for range 2 + chance.IntN(5) {
				list.WriteRune(rune(0x4e00 + chance.IntN(3500)))
			}
		} else {
			for range 5 + chance.IntN(10) {
				list.WriteByte(byte('a' + chance.IntN(26)))
			}
		}
		list.WriteByte('\n')
	}
	return list.String()
}

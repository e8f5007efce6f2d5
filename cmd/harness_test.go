package cmd_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"ferry/cmd"
)

// The test harness: calls of ferry and checks of their results. The files harness_* have servers and processes.

// testTimeout limits how long a test waits for another process. Longer than that means a hang, even on a busy machine.
const testTimeout = time.Minute

// raceEnabled reports whether the tests run under the race detector.
var raceEnabled = func() bool {
	info, _ := debug.ReadBuildInfo()
	return info != nil && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}()

// skipMissing skips a test and names what it lacks. In CI, where everything must be installed, the test fails.
func skipMissing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("FERRY_CI") != "" {
		t.Fatalf("missing: %s", what)
	}
	t.Skipf("skipped, for want of %s", what)
}

// skipIfShort skips a long test under -short.
func skipIfShort(t testing.TB, why string) {
	t.Helper()
	if testing.Short() {
		t.Skip("long: " + why)
	}
}

// check ends the test if err is not nil.
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

// equal compares two values.
func equal[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %+v, want %+v", what, got, want)
	}
}

// atLeast and atMost compare a number with its limit.
func atLeast[T cmp.Ordered](t testing.TB, what string, got, least T) {
	t.Helper()
	if got < least {
		t.Errorf("%s: got %v, want at least %v", what, got, least)
	}
}

func atMost[T cmp.Ordered](t testing.TB, what string, got, most T) {
	t.Helper()
	if got > most {
		t.Errorf("%s: got %v, want at most %v", what, got, most)
	}
}

// contains checks that a text has all of the words; lacks checks that it has none of them.
func contains(t testing.TB, what, got string, want ...string) {
	t.Helper()
	for _, words := range want {
		if !strings.Contains(got, words) {
			t.Errorf("%s: got %.2000q, want %q in it", what, got, words)
		}
	}
}

func lacks(t testing.TB, what, got string, words ...string) {
	t.Helper()
	for _, word := range words {
		if at := strings.Index(got, word); at >= 0 {
			t.Errorf("%s: got …%q…, want no %.40q", what, got[max(0, at-150):min(len(got), at+100)], word)
		}
	}
}

// pollUntil polls until reached returns true, for limit at most, and reports whether it did.
func pollUntil(limit time.Duration, reached func() bool) bool {
	for end := time.Now().Add(limit); !reached(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// eventually waits, up to testTimeout, for something that another process does.
func eventually(t testing.TB, what string, reached func() bool) {
	t.Helper()
	if !pollUntil(testTimeout, reached) {
		t.Fatal("never: " + what)
	}
}

// result is the result of one call of ferry.
type result struct {
	t              testing.TB
	args           []string
	code           int
	stdout, stderr string
	state          *os.ProcessState // nil unless it was a process
}

func (r result) errorf(format string, args ...any) {
	r.t.Helper()
	r.t.Errorf("%.300q: %s, got exit code %d\nstdout: %.2000s\nstderr: %.2000s",
		r.args, fmt.Sprintf(format, args...), r.code, r.stdout, r.stderr)
}

// must ends the test if the call failed.
func (r result) must() result {
	r.t.Helper()
	if r.code != 0 {
		r.errorf("want exit code 0")
		r.t.FailNow()
	}
	return r
}

// want checks the exit code and looks for words on standard output and standard error.
func (r result) want(code int, stdout, stderr string) result {
	r.t.Helper()
	if r.code != code || !strings.Contains(r.stdout, stdout) || !strings.Contains(r.stderr, stderr) {
		r.errorf("want exit code %d, %q on standard output and %q on standard error", code, stdout, stderr)
	}
	return r
}

// exactly is like want but compares the complete output.
func (r result) exactly(code int, stdout, stderr string) result {
	r.t.Helper()
	if r.code != code || r.stdout != stdout || r.stderr != stderr {
		r.errorf("want exit code %d, %q on standard output and %q on standard error alone", code, stdout, stderr)
	}
	return r
}

// fails expects an error, with nothing on standard output.
func (r result) fails(code int, stderr string) result {
	r.t.Helper()
	if r.code != code || r.stdout != "" || !strings.Contains(r.stderr, stderr) {
		r.errorf("want exit code %d, nothing on standard output and %q on standard error", code, stderr)
	}
	return r
}

// ferry runs the complete program in this process, with empty standard input and only vars as its environment.
func ferry(t testing.TB, vars map[string]string, args ...string) result {
	t.Helper()
	return ferryIn(t, vars, func(*cmd.Env) {}, args...)
}

// ferryIn is like ferry, in an environment that change can modify.
func ferryIn(t testing.TB, vars map[string]string, change func(*cmd.Env), args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	env := testEnv(vars, &out, &errs)
	change(&env)
	code := cmd.Run(context.Background(), args, env)
	return result{t: t, args: args, code: code, stdout: out.String(), stderr: errs.String()}
}

// ferryReads is like ferry with text on standard input.
func ferryReads(t testing.TB, vars map[string]string, stdin string, args ...string) result {
	t.Helper()
	return ferryIn(t, vars, func(e *cmd.Env) { e.Stdin = strings.NewReader(stdin) }, args...)
}

// testEnv returns a separate environment for a test, in which waiting takes no time.
func testEnv(vars map[string]string, out, errs *bytes.Buffer) cmd.Env {
	e := cmd.SystemEnv()
	e.Stdin, e.Stdout, e.Stderr = strings.NewReader(""), out, errs
	e.Lookup = func(name string) (string, bool) { value, ok := vars[name]; return value, ok }
	e.Clock = &storyClock{waits: os.DevNull}
	e.Random = func() float64 { return 0.5 }
	return e
}

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	check(t, err)
	return string(text)
}

// write creates a private file and its parent folders.
func write(t testing.TB, path, text string) {
	t.Helper()
	check(t, os.MkdirAll(filepath.Dir(path), 0o700))
	check(t, os.WriteFile(path, []byte(text), 0o600))
}

// filesBelow returns the content of every regular file below a folder, by its path.
func filesBelow(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	check(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			files[path] = read(t, path)
		}
		return err
	}))
	return files
}

// withConfig returns an environment with a configuration file and other files next to it.
func withConfig(t testing.TB, config string, beside map[string]string) map[string]string {
	t.Helper()
	home := t.TempDir()
	dir := filepath.Join(home, ".config", "ferry")
	write(t, filepath.Join(dir, "config.yaml"), config)
	for name, text := range beside {
		write(t, filepath.Join(dir, name), text)
	}
	return map[string]string{"HOME": home, "FERRY_CONFIG": filepath.Join(dir, "config.yaml"), "NODE_KEY": canaryKey}
}

// configure returns an environment with the node n, which has the given settings besides its address and key.
func configure(t testing.TB, url, node string) map[string]string {
	return withConfig(t, fmt.Sprintf("nodes:\n  n: {url: '%s', key: \"env:NODE_KEY\", %s}\n", url, node), nil)
}

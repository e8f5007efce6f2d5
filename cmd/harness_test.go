package cmd_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
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

// The harness of the tests: calls of ferry and what is expected of them. The files harness_* have servers and processes.

// testTimeout bounds what a test waits for another process: no machine is so busy that only its hang takes longer.
const testTimeout = time.Minute

// raceEnabled says that the tests run under the race detector.
var raceEnabled = func() bool {
	info, _ := debug.ReadBuildInfo()
	return info != nil && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}()

// skipMissing skips a test by the name of what it lacks. In CI, where everything has to be there, the test fails.
func skipMissing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("FERRY_CI") != "" {
		t.Fatalf("missing: %s", what)
	}
	t.Skipf("skipped, for want of %s", what)
}

// skipIfShort skips a test that takes long, where the short ones alone are wanted.
func skipIfShort(t testing.TB, why string) {
	t.Helper()
	if testing.Short() {
		t.Skip("long: " + why)
	}
}

// check ends the test where something that has to work for it did not.
func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// errorIf reports what is wrong where a condition is met, and fatalIf ends the test there.
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

// atLeast and atMost compare a figure with its bound.
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

// contains looks for all the words in a text, and lacks for none of them.
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

// before polls until something is so, for a while at most.
func before(limit time.Duration, reached func() bool) bool {
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	late := time.NewTimer(limit)
	defer late.Stop()
	for !reached() {
		select {
		case <-poll.C:
		case <-late.C:
			return false
		}
	}
	return true
}

// eventually waits for what another process brings about, as long as a test may take.
func eventually(t testing.TB, what string, reached func() bool) {
	t.Helper()
	if !before(testTimeout, reached) {
		t.Fatal("never: " + what)
	}
}

// result is the outcome of one call of ferry.
type result struct {
	t              testing.TB
	args           []string
	code           int
	stdout, stderr string
	state          *os.ProcessState // of one that was a process
}

func (r result) errorf(format string, args ...any) {
	r.t.Helper()
	r.t.Errorf("%.300q: %s, got exit code %d\nstdout: %.2000s\nstderr: %.2000s",
		r.args, fmt.Sprintf(format, args...), r.code, r.stdout, r.stderr)
}

// must ends the test where the call failed.
func (r result) must() result {
	r.t.Helper()
	if r.code != 0 {
		r.errorf("want exit code 0")
		r.t.FailNow()
	}
	return r
}

// want expects an exit code and words on standard output and standard error.
func (r result) want(code int, stdout, stderr string) result {
	r.t.Helper()
	if r.code != code || !strings.Contains(r.stdout, stdout) || !strings.Contains(r.stderr, stderr) {
		r.errorf("want exit code %d, %q on standard output and %q on standard error", code, stdout, stderr)
	}
	return r
}

// exactly is want with all that is printed.
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

// ferry runs the whole program in this process, with nothing on standard input and no environment but vars.
func ferry(t testing.TB, vars map[string]string, args ...string) result {
	t.Helper()
	return ferryIn(t, vars, func(*cmd.Env) {}, args...)
}

// ferryIn is ferry in surroundings that are changed.
func ferryIn(t testing.TB, vars map[string]string, change func(*cmd.Env), args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	env := testEnv(vars, &out, &errs)
	change(&env)
	code := cmd.Run(context.Background(), args, env)
	return result{t: t, args: args, code: code, stdout: out.String(), stderr: errs.String()}
}

// ferryReads is ferry with a text on standard input.
func ferryReads(t testing.TB, vars map[string]string, stdin string, args ...string) result {
	t.Helper()
	return ferryIn(t, vars, func(e *cmd.Env) { e.Stdin = strings.NewReader(stdin) }, args...)
}

// testEnv is an environment of a test's own, in which waiting takes no time.
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

// write makes a private file, and the folders above it.
func write(t testing.TB, path, text string) {
	t.Helper()
	check(t, os.MkdirAll(filepath.Dir(path), 0o700))
	check(t, os.WriteFile(path, []byte(text), 0o600))
}

// withConfig is an environment with a configuration file, and files beside it.
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

// configure is an environment with the node n, of which the configuration says more than its address and key.
func configure(t testing.TB, url, node string) map[string]string {
	return withConfig(t, fmt.Sprintf("nodes:\n  n: {url: '%s', key: \"env:NODE_KEY\", %s}\n", url, node), nil)
}

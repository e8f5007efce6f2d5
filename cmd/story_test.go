package cmd_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ferry/cmd"
	"ferry/pkg/hold"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/zalando/go-keyring"
)

func TestMain(m *testing.M) {
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" { // they have one keyring for everything that a user runs
		keyring.MockInitWithError(errors.New("no test writes into it"))
	}
	if os.Getenv(usualWaits) == "" {
		hold.MinTimeout.Store(int64(testTimeout))
	}
	testscript.Main(allTests{m}, map[string]func(){
		"ferry":      storyFerry,
		"ferry-real": func() { os.Exit(recordPeak(limitedMain())) },
	})
}

// allTests removes what all tests share.
type allTests struct{ *testing.M }

func (m allTests) Run() int {
	defer func() { os.RemoveAll(builtFerry.dir) }()
	return m.M.Run()
}

// usualWaits is the variable that makes ferry give up on a holder as early as for its users, instead of a test's
// longer wait.
const usualWaits = "FERRY_TEST_USUAL_WAITS"

// peakFile is the variable of ferry-real with the file that gets its status at the end, which has its peak memory.
const peakFile = "FERRY_TEST_PEAK"

func recordPeak(code int) int {
	if path := os.Getenv(peakFile); path != "" {
		status, _ := os.ReadFile("/proc/self/status")
		_ = os.WriteFile(path, status, 0o600)
	}
	return code
}

// waitsFile is the variable of a story with the file in which the clock records the requested waits.
const waitsFile = "FERRY_TEST_WAITS"

// Under the race detector each process would wait a second before it ends.
const raceExit, raceAtOnce = "GORACE", "atexit_sleep_ms=0"

// storyFerry is the complete program with a clock that does not wait between attempts and records each wait.
func storyFerry() {
	env := cmd.SystemEnv()
	if len(os.Args) < 4 || os.Args[2] != "hold" || os.Args[3] != "run" { // a holder outlives the story's command
		env.Clock = &storyClock{waits: os.Getenv(waitsFile)}
	}
	os.Exit(cmd.Run(context.Background(), os.Args[1:], env))
}

// storyClock skips each wait.
type storyClock struct {
	mu     sync.Mutex
	waits  string
	jumped time.Duration
}

func (c *storyClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.jumped)
}

// Boottime returns no name for the machine's start, so that limits use Now, which jumps.
func (c *storyClock) Boottime() (time.Duration, string) { return 0, "" }

func (c *storyClock) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if d <= 0 {
		return nil // the demo node without latency
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	file, err := os.OpenFile(c.waits, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	c.jumped += d
	_, err = fmt.Fprintln(file, d)
	return err
}

// TestStories runs testdata/script: each file is the story of a user at a shell.
func TestStories(t *testing.T) {
	dir := filepath.Join("..", "testdata", "script")
	if found, _ := filepath.Glob(filepath.Join(dir, "*.txtar")); len(found) < 10 {
		t.Fatalf("only %d stories in %s", len(found), dir)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Values[storyTest{}] = e.T()
			e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("XDG_CONFIG_HOME", "")
			e.Setenv("FERRY_KEY", "canary-key-0001")
			e.Setenv(raceExit, raceAtOnce)
			e.Setenv(waitsFile, filepath.Join(e.WorkDir, ".waits"))
			return os.Mkdir(filepath.Join(e.WorkDir, "home"), 0o700)
		},
		Cmds: storyCommands(),
	})
}

// storyCommands returns the commands of the stories that testscript does not have. A key has the command's name and its
// arguments, and … for more of them.
func storyCommands() map[string]func(*testscript.TestScript, bool, []string) {
	all := map[string]func(*testscript.TestScript, bool, []string){}
	for usage, run := range map[string]func(*testscript.TestScript, []string){
		"exits CODE PROGRAM…":       storyExits,
		"waits…":                    storyWaits,
		"reply NAME FILE…":          storyReply,
		"node NAME":                 storyNode,
		"provider NAME PROXY HOST":  storyProvider,
		"requests NAME N":           storyRequests,
		"sent NAME FILE":            storySent,
		"fill FILE BYTES":           storyFill,
		"base64 FILE TEXT":          storyBase64,
		"secure NAME":               storySecure,
		"runtime":                   storyRuntime,
		"certificate CERT KEY NAME": storyCertificate,
	} {
		words, more := strings.CutSuffix(usage, "…")
		name := strings.Fields(words)[0]
		least := len(strings.Fields(words)) - 1
		all[name] = func(ts *testscript.TestScript, neg bool, args []string) {
			if neg || len(args) < least || len(args) > least && !more {
				ts.Fatalf("usage: %s", usage)
			}
			run(ts, args)
		}
	}
	return all
}

// exits CODE PROGRAM ARG… runs a program and checks its exit code.
func storyExits(ts *testscript.TestScript, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// waits D… checks that the clock was asked for exactly these waits since the last call.
func storyWaits(ts *testscript.TestScript, args []string) {
	path := ts.Getenv(waitsFile)
	got := ""
	if text, err := os.ReadFile(path); err == nil {
		got = strings.Join(strings.Fields(string(text)), " ")
	}
	_ = os.Remove(path)
	if want := strings.Join(args, " "); got != want {
		ts.Fatalf("waited %q, want %q", got, want)
	}
}

// fill FILE BYTES writes a file with BYTES bytes of text.
func storyFill(ts *testscript.TestScript, args []string) {
	size, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Repeat("x", size)), 0o600))
}

// base64 FILE TEXT writes the decoded bytes of TEXT to FILE.
func storyBase64(ts *testscript.TestScript, args []string) {
	content, err := base64.StdEncoding.DecodeString(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), content, 0o600))
}

// storyTest is the key of a story's own test.
type storyTest struct{}

func storyT(ts *testscript.TestScript) testing.TB { return ts.Value(storyTest{}).(testing.TB) }

// runtime gives the story a folder for sockets, and checks that the story leaves no holder behind.
func storyRuntime(ts *testscript.TestScript, args []string) {
	dir, err := os.MkdirTemp("/tmp", "run")
	ts.Check(err)
	ts.Setenv("XDG_RUNTIME_DIR", dir)
	t := storyT(ts)
	ts.Defer(func() {
		left, err := filepath.Glob(filepath.Join(dir, "ferry", "*.sock"))
		os.RemoveAll(dir) // this ends a holder too, a little later
		fatalIf(t, err != nil || len(left) > 0, "the story leaves holders: %v, %v, want none", left, err)
	})
}

// certificate CERT KEY NAME writes a self-signed certificate for NAME, and its key.
func storyCertificate(ts *testscript.TestScript, args []string) {
	t := storyT(ts)
	cert, key := writeCertificate(t, newAuthority(t, args[2], nil, args[2]).selfSigned())
	ts.Check(os.Rename(cert, ts.MkAbs(args[0])))
	ts.Check(os.Rename(key, ts.MkAbs(args[1])))
}

// servers are the servers of all stories, by address. A story finds its own servers through its environment.
var servers sync.Map

func storyServe(ts *testscript.TestScript, name string, handler http.Handler, how ...func(*server)) {
	s := serve(storyT(ts), handler, how...)
	servers.Store(s.URL, s)
	ts.Setenv(name, s.URL)
}

// node NAME starts a demo node on loopback and sets the variable NAME to its address.
func storyNode(ts *testscript.TestScript, args []string) {
	storyServe(ts, args[0], nil)
}

// provider NAME PROXY HOST starts a demo node with a certificate of HOST, which the story trusts, and a proxy that
// leads to it for every host.
func storyProvider(ts *testscript.TestScript, args []string) {
	t := storyT(ts)
	ca := newAuthority(t, args[2], nil)
	storyServe(ts, args[0], nil, overTLS(ca.issueFor(t, args[2])))
	ts.Setenv(args[1], connectProxy(t, nil, findServer(ts, args[0]).host).URL)
	ts.Setenv("SSL_CERT_FILE", ca.file)
}

// secure NAME starts a server with a certificate that no authority signed.
func storySecure(ts *testscript.TestScript, args []string) {
	storyServe(ts, args[0], nil, withTLS(&tls.Config{}))
}

// reply NAME FILE… starts a server that answers request k with the bytes of FILE k (the last one from then on),
// unchanged except for line ends in the header, and closes the connection. It sets the variable NAME to the address.
func storyReply(ts *testscript.TestScript, args []string) {
	var replies [][]byte
	for _, name := range args[1:] {
		head, body, _ := strings.Cut(ts.ReadFile(name), "\n\n")
		replies = append(replies, []byte(strings.ReplaceAll(head, "\n", "\r\n")+"\r\n\r\n"+strings.TrimSuffix(body, "\n")))
	}
	var n atomic.Int64
	storyServe(ts, args[0], http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = conn.Write(replies[min(int(n.Add(1)), len(replies))-1])
		conn.Close()
	}))
}

// requests NAME N checks that the server of that variable got exactly N requests.
func storyRequests(ts *testscript.TestScript, args []string) {
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	if got := findServer(ts, args[0]).count(); got != want {
		ts.Fatalf("%s saw %d requests, want %d", args[0], got, want)
	}
}

// sent NAME FILE writes the last request of the server of that variable to a file.
func storySent(ts *testscript.TestScript, args []string) {
	last := findServer(ts, args[0]).last()
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(headLines(last.Request)+last.body+"\n"), 0o600))
}

func findServer(ts *testscript.TestScript, name string) *server {
	found, ok := servers.Load(ts.Getenv(name))
	if !ok {
		ts.Fatalf("no server is named %s", name)
	}
	return found.(*server)
}

// headLines returns a request's header in a form that a story can compare.
func headLines(r *http.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", r.Method, r.URL)
	for _, name := range []string{"X-Api-Key", "Authorization", "Anthropic-Version", "Content-Type", "X-Team", "X-Gate",
		"X-Ferry-Session", "Idempotency-Key", "Proxy-Authorization"} {
		if value := r.Header.Get(name); value != "" {
			fmt.Fprintf(&b, "%s: %s\n", strings.ToLower(name), value)
		}
	}
	return b.String() + "\n"
}

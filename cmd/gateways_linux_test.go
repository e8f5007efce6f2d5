package cmd_test

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// startHAProxy runs a real HAProxy on loopback before an upstream, and gives its address.
func startHAProxy(t *testing.T, upstream string) (address string) {
	t.Helper()
	program := findProgram(t, "haproxy")
	address = "127.0.0.1:" + freePort(t)
	config := filepath.Join(t.TempDir(), "haproxy.cfg")
	text := fmt.Sprintf("defaults\n  mode http\n  timeout connect 1m\n  timeout client 1m\n  timeout server 1m\n"+
		"listen gateway\n  bind %s\n  server api %s\n", address, upstream)
	write(t, config, text)
	runServer(t, exec.Command(program, "-db", "-f", config), address)
	return address
}

// startApache runs a real Apache on loopback before an upstream, and gives its address.
func startApache(t *testing.T, upstream string) (address string) {
	t.Helper()
	program := findProgram(t, "apache2")
	address = "127.0.0.1:" + freePort(t)
	dir := t.TempDir()
	config := filepath.Join(dir, "apache.conf")
	modules := ""
	for _, name := range []string{"mpm_event", "authz_core", "proxy", "proxy_http"} {
		modules += fmt.Sprintf("LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so\n", name, name)
	}
	text := fmt.Sprintf("%sServerRoot %s\nDefaultRuntimeDir %s\nPidFile pid\nErrorLog error.log\nServerName localhost\n"+
		"User www-data\nGroup www-data\nListen %s\nProxyPass / http://%s/ retry=0\n", modules, dir, dir, address, upstream)
	write(t, config, text)
	runServer(t, exec.Command(program, "-D", "FOREGROUND", "-f", config), address)
	return address
}

// dropping is an API that answers each prompt but "dropped": that one it reads and closes the connection, twice. The third
// time it answers.
type dropping struct {
	*rawNode
	left atomic.Int64 // how many it will drop
}

func newDropping(t *testing.T) *dropping {
	t.Helper()
	d := &dropping{}
	d.rawNode = newRawNode(t, func(_ int64, c *rawConn) {
		for {
			prompt, ok := c.request()
			if !ok || prompt == "dropped" && d.left.Add(-1) >= 0 {
				return
			}
			c.say(rawAnswer(prompt))
		}
	})
	return d
}

// TestGatewaysThatClose goes through a real HAProxy and a real Apache to an API that drops two requests and answers the
// third. On a new connection such a gateway answers 502; a kept one it closes without a byte. Every way has the answer in
// the end, as the script has, whose every curl takes a new connection.
func TestGatewaysThatClose(t *testing.T) {
	for name, start := range map[string]func(t *testing.T, upstream string) string{"haproxy": startHAProxy, "apache2": startApache} {
		t.Run(name, func(t *testing.T) {
			api := newDropping(t)
			address := start(t, strings.TrimPrefix(api.url, "http://"))
			gateway := "http://" + address
			api.left.Store(2)
			if got := curlThrice(t, gateway+"/v1/complete"); !slices.Equal(got, []string{"502", "502", "200"}) {
				t.Errorf("three curls got %q, want 502, 502, 200", got)
			}
			api.left.Store(1)
			if got := onKept(t, address); got != "" {
				t.Logf("on a kept connection this %s answers %q", name, got) // another version than 2.6 or 2.4
			}
			r := newLinkRig(t, gateway)
			r.warm()
			for _, way := range linkWays {
				api.left.Store(2)
				before := api.requests.Load()
				var code int
				var answer, said string
				want := auditLine{Status: 200, Attempts: 3}
				requests := int64(3)
				switch way {
				case "batch": // its second item finds the connection of the first one kept
					var answers map[string]string
					code, answers, said = r.batch([]string{"first", "dropped"}, "-c", "1")
					answer = answers["2"]
					requests++
				default:
					code, answer, said = r.send(way, "dropped")
				}
				if way == "hold" || way == "batch" {
					want = auditLine{Status: 200, Attempts: 2, Reconnects: 1, Ambiguous: true}
				}
				if code != 0 || answer != answerTo("dropped") {
					t.Errorf("%s: exit code %d, %q, want the answer; %s", way, code, answer, said)
				}
				if n := api.requests.Load() - before; n != requests {
					t.Errorf("%s: the API got %d requests, want %d", way, n, requests)
				}
				if line := r.lastAudit(); line != want {
					t.Errorf("%s: the audit log says %+v, want %+v", way, line, want)
				}
			}
		})
	}
}

const droppedBody = `{"prompt":"dropped","max_tokens":100}`

// curlThrice asks as the script does, with a curl for each attempt, and gives the statuses.
func curlThrice(t *testing.T, url string) (statuses []string) {
	t.Helper()
	curl, err := exec.LookPath("curl")
	if err != nil {
		needed(t, "curl, which the script asks with")
	}
	for range 3 {
		out, err := exec.CommandContext(t.Context(), curl, "-sS", "--noproxy", "*", "-o", "/dev/null", "-w", "%{http_code}",
			"-H", "Content-Type: application/json", "-d", droppedBody, url).Output()
		if err != nil {
			t.Errorf("curl: %v", err)
		}
		statuses = append(statuses, string(out))
	}
	return statuses
}

// onKept asks a second time on one connection, and gives what comes of it.
func onKept(t *testing.T, address string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	check(t, err)
	defer conn.Close()
	from := bufio.NewReader(conn)
	ask := func(body string) {
		_, _ = fmt.Fprintf(conn, "POST /v1/complete HTTP/1.1\r\nHost: gateway\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	ask(strings.Replace(droppedBody, "dropped", "first", 1))
	resp, err := http.ReadResponse(from, nil)
	check(t, err)
	_, _ = io.Copy(io.Discard, resp.Body)
	ask(droppedBody)
	line, _ := from.ReadString('\n')
	return line
}

// queueing is a home whose node lets one request an hour go, and has let one go.
type queueing struct {
	*arrivals
	home string
}

func newQueueing(t *testing.T) *queueing {
	t.Helper()
	q := &queueing{countArrivals(t), t.TempDir()}
	if out, err := q.ferry(t, "ask", "--no-stdin", "hello").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return q
}

func (q *queueing) ferry(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	c := realFerry(t, append(args, "--limit", "1/hour", "--timeout", "5h", "-n", q.URL)...)
	c.Env = append(c.Env, "HOME="+q.home, "XDG_STATE_HOME=", "FERRY_KEY=some-key")
	return c
}

// wait starts a ferry that waits the given number of hours, or a little less, for its turn.
func (q *queueing) wait(t *testing.T, hours int) *waiter {
	t.Helper()
	w := &waiter{Cmd: q.ferry(t, "ask", "--no-stdin", "hello")}
	stderr, err := w.StderrPipe()
	check(t, err)
	check(t, w.Start())
	w.lines = bufio.NewReader(stderr)
	line, err := w.lines.ReadString('\n')
	var seconds float64
	_, after, _ := strings.Cut(line, ": waiting ")
	if _, bad := fmt.Sscan(after, &seconds); err != nil || bad != nil || math.Ceil(seconds/3600) != float64(hours) {
		t.Errorf("said %q, %v; want a wait of %d hours", line, err, hours)
	}
	return w
}

// waiter is a process that waits for its turn.
type waiter struct {
	*exec.Cmd
	lines *bufio.Reader
}

// stop interrupts it, and holds it to dying of the signal.
func (w *waiter) stop(t *testing.T, s os.Signal) {
	t.Helper()
	check(t, w.Process.Signal(s))
	_, _ = io.Copy(io.Discard, w.lines)
	if err := w.Wait(); err == nil || err.Error() != "signal: "+s.String() {
		t.Errorf("ended with %v, want %v", err, s)
	}
}

// TestInterruptedTurn stops a ferry that waits for its turn, alone and with others behind it: it dies of the signal, the
// turn is given back, and those behind move up.
func TestInterruptedTurn(t *testing.T) {
	q := newQueueing(t)
	q.wait(t, 1).stop(t, os.Interrupt)
	first, second := q.wait(t, 1), q.wait(t, 2)
	first.stop(t, os.Interrupt)
	third := q.wait(t, 2) // the second has the first one's turn
	second.stop(t, syscall.SIGTERM)
	fourth := q.wait(t, 2)
	third.stop(t, syscall.SIGHUP)
	fourth.stop(t, syscall.SIGTERM)
	q.wait(t, 1).stop(t, os.Interrupt)
	if times, _ := q.seen(); len(times) != 1 {
		t.Errorf("%d requests", len(times))
	}
}

// TestInterruptedTurns stops a bench and a batch of which several requests wait for their turns. Each of them is given
// back at the first signal.
func TestInterruptedTurns(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.jsonl"), filepath.Join(dir, "out.jsonl")
	saved := filepath.Join(dir, "run.jsonl")
	write(t, in, "one\ntwo\nthree\nfour\n")
	q := newQueueing(t)
	for _, args := range [][]string{
		{"ask", "--batch", in, "--out", out, "-c", "3"},
		{"bench", "-c", "3", "-r", "4", "--warmup", "0", "--save", saved},
	} {
		before := q.number(t)
		c := q.ferry(t, args...)
		if args[0] == "bench" {
			c.Args = slices.DeleteFunc(c.Args, func(arg string) bool { return arg == "-n" }) // its nodes are arguments
		}
		var said strings.Builder
		c.Stderr = &said
		check(t, c.Start())
		eventually(t, args[0]+" has three turns", func() bool { return q.number(t) == before+3 })
		check(t, c.Process.Signal(os.Interrupt))
		if err := c.Wait(); err == nil {
			t.Errorf("%s was interrupted and ended well: %s", args[0], said.String())
		}
		q.wait(t, 1).stop(t, os.Interrupt)
	}
	// What was not sent is no failure, and nothing has to be kept of it.
	for _, path := range []string{out, out + ".journal", out + ".failed", saved} {
		if text, err := os.ReadFile(path); !os.IsNotExist(err) {
			t.Errorf("%s, %v: %s", path, err, text)
		}
	}
	if times, _ := q.seen(); len(times) != 1 {
		t.Errorf("%d requests", len(times))
	}
}

// number is the number of the next turn of the one bucket that there is.
func (q *queueing) number(t *testing.T) (n int) {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(q.home, ".local/state/ferry/limits/*.bucket"))
	if len(files) != 1 {
		t.Fatalf("%d buckets", len(files))
	}
	data, err := os.ReadFile(files[0])
	_, after, found := strings.Cut(string(data), " next ")
	if _, bad := fmt.Sscan(after, &n); err != nil || !found || bad != nil {
		t.Fatalf("%v, %v: %.200q", err, bad, data)
	}
	return n
}

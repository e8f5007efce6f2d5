package cmd_test

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// startHAProxy runs a real HAProxy on loopback in front of an upstream, and returns its address.
func startHAProxy(t *testing.T, upstream string) (address string) {
	address = "127.0.0.1:" + freePort(t)
	config := filepath.Join(t.TempDir(), "haproxy.cfg")
	write(t, config, fmt.Sprintf("defaults\n  mode http\n  timeout connect 1m\n  timeout client 1m\n  timeout server 1m\n"+
		"listen gateway\n  bind %s\n  server api %s\n", address, upstream))
	runServer(t, exec.Command(findProgram(t, "haproxy"), "-db", "-f", config), address)
	return address
}

// startApache runs a real Apache on loopback in front of an upstream, and returns its address.
func startApache(t *testing.T, upstream string) (address string) {
	address = "127.0.0.1:" + freePort(t)
	dir := t.TempDir()
	config := filepath.Join(dir, "apache.conf")
	modules := ""
	for _, name := range []string{"mpm_event", "authz_core", "proxy", "proxy_http"} {
		modules += fmt.Sprintf("LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so\n", name, name)
	}
	write(t, config, fmt.Sprintf("%sServerRoot %s\nDefaultRuntimeDir %s\nPidFile pid\nErrorLog error.log\nServerName localhost\n"+
		"User www-data\nGroup www-data\nListen %s\nProxyPass / http://%s/ retry=0\n", modules, dir, dir, address, upstream))
	runServer(t, exec.Command(findProgram(t, "apache2"), "-D", "FOREGROUND", "-f", config), address)
	return address
}

// TestGatewaysThatClose goes through a real HAProxy and a real Apache to an API that drops two requests and answers
// the third. On a new connection such a gateway answers 502; a kept connection it closes without sending a byte. Every
// command has the answer in the end, like the bash script that ferry replaces, whose every curl opens a new connection.
func TestGatewaysThatClose(t *testing.T) {
	for name, start := range map[string]func(t *testing.T, upstream string) string{"haproxy": startHAProxy, "apache2": startApache} {
		t.Run(name, func(t *testing.T) {
			var left atomic.Int64 // requests with the prompt that are still to be read and dropped
			api := newPromptNode(t, func(_, _ int64, c *rawConn, prompt string) bool {
				return (prompt != "dropped" || left.Add(-1) < 0) && c.send(rawAnswer(prompt))
			})
			address := start(t, strings.TrimPrefix(api.url, "http://"))
			left.Store(2)
			var statuses []string
			for range 3 { // as the script does it
				curl := exec.CommandContext(t.Context(), findProgram(t, "curl"), "-sS", "--noproxy", "*", "-o", "/dev/null", "-w", "%{http_code}",
					"-H", "Content-Type: application/json", "-d", `{"prompt":"dropped","max_tokens":100}`, "http://"+address+"/v1/complete")
				out, err := curl.Output()
				check(t, err)
				statuses = append(statuses, string(out))
			}
			equal(t, "what three curls get", statuses, []string{"502", "502", "200"})
			r := newLinkRig(t, "http://"+address)
			r.warm()
			for _, way := range linkWays {
				left.Store(2)
				before := api.requests.Load()
				want, requests := auditLine{Status: 200, Attempts: 3}, int64(3)
				if way == "hold" || way == "batch" {
					want = auditLine{Status: 200, Attempts: 2, Reconnects: 1, Ambiguous: true}
				}
				var got linkAnswer
				if way == "batch" { // the second item reuses the connection of the first
					got = r.batch([]string{"first", "dropped"}, "-c", "1").item("2")
					requests++
				} else {
					got = r.send(way, "dropped")
				}
				got.is(way, 0, answerTo("dropped"))
				equal(t, way+": requests at the API", api.requests.Load()-before, requests)
				equal(t, way+": the audit log", r.lastAudit(), want)
			}
		})
	}
}

// limitedNode is a home whose node allows one request an hour, which is used up.
type limitedNode struct {
	*server
	home string
}

func newLimitedNode(t *testing.T) *limitedNode {
	q := &limitedNode{serve(t, nil), t.TempDir()}
	q.ferry(t, "ask", "--no-stdin", "-n", q.URL, "hello").run().must()
	return q
}

func (q *limitedNode) ferry(t *testing.T, args ...string) *process {
	t.Helper()
	return realFerry(t, append(args, "--limit", "1/hour", "--timeout", "5h")...).with("HOME=" + q.home)
}

// waiter is a process that waits for the rate limit.
type waiter struct {
	*process
	lines *bufio.Reader
}

// wait starts a ferry that waits for the rate limit for the given number of hours, or a little less.
func (q *limitedNode) wait(t *testing.T, hours int) waiter {
	t.Helper()
	w := waiter{process: q.ferry(t, "ask", "--no-stdin", "-n", q.URL, "hello")}
	w.lines = w.stderr()
	w.start()
	line, err := w.lines.ReadString('\n')
	errorIf(t, err != nil || math.Ceil(statedWait(line).Hours()) != float64(hours),
		"said %q, %v; want a wait of %d hours", line, err, hours)
	return w
}

// stop interrupts the process, and expects it to die of the signal.
func (w waiter) stop(s syscall.Signal) {
	w.t.Helper()
	w.send(s)
	_, _ = io.Copy(io.Discard, w.lines)
	w.process.wait().killedBy(s)
}

// TestInterruptedTurn stops a ferry that waits for the rate limit: its reservation is cancelled, and later ones move up.
func TestInterruptedTurn(t *testing.T) {
	q := newLimitedNode(t)
	q.wait(t, 1).stop(syscall.SIGINT)
	first, second := q.wait(t, 1), q.wait(t, 2)
	first.stop(syscall.SIGINT)
	third := q.wait(t, 2) // the second has the time of the first
	second.stop(syscall.SIGTERM)
	fourth := q.wait(t, 2)
	third.stop(syscall.SIGHUP)
	fourth.stop(syscall.SIGTERM)
	q.wait(t, 1).stop(syscall.SIGINT)
	equal(t, "requests", q.count(), 1)
}

// TestInterruptedTurns stops a bench and a batch with several waiting requests: every reservation is cancelled.
func TestInterruptedTurns(t *testing.T) {
	in, out := batchFiles(t, 4)
	saved := out + ".run"
	q := newLimitedNode(t)
	for _, args := range [][]string{
		{"ask", "--batch", in, "--out", out, "-c", "3", "-n", q.URL},
		{"bench", "-c", "3", "-r", "4", "--warmup", "0", "--save", saved, q.URL},
	} {
		before := q.number(t)
		p := q.ferry(t, args...).start()
		eventually(t, args[0]+" has three turns", func() bool { return q.number(t) == before+3 })
		if r := p.send(os.Interrupt).wait(); r.state.Success() {
			r.errorf("want a failure")
		}
		q.wait(t, 1).stop(syscall.SIGINT)
	}
	// Items that were not sent are no failures and leave no files.
	left, err := filepath.Glob(out + "*")
	check(t, err)
	equal(t, "files that are left", left, nil)
	equal(t, "requests", q.count(), 1)
}

// number returns the number of the next reservation in the only bucket.
func (q *limitedNode) number(t *testing.T) (n int) {
	files, err := filepath.Glob(filepath.Join(q.home, ".local/state/ferry/limits/*.bucket"))
	fatalIf(t, err != nil || len(files) != 1, "%d buckets, want 1: %v", len(files), err)
	_, after, _ := strings.Cut(read(t, files[0]), `"next":`)
	_, err = fmt.Sscanf(after, "%d", &n)
	check(t, err)
	return n
}

package cmd_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
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

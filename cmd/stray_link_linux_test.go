package cmd_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestStrayOverSlowLink has a server send a second response some time behind each answer, so that it arrives while the
// next request is on its way. No system has acknowledged that request then, so the response is not taken for its answer:
// the request goes out once more on a new connection.
func TestStrayOverSlowLink(t *testing.T) {
	long(t, "a dozen round trips over a slow link")
	ferry := ferryReal(t)
	if !aloneOnNetwork(t) {
		return
	}
	link := newSlowLink(t, 9, linkDelay, 0)
	address := strayServer(t, link.far)
	dir := t.TempDir()
	in, out, config := filepath.Join(dir, "in"), filepath.Join(dir, "out"), filepath.Join(dir, "config.yaml")
	for path, text := range map[string]string{
		in:     "one\ntwo\nthree\nfour\n",
		config: fmt.Sprintf("nodes:\n  far: {url: %q, api: complete, auth: none, proxy: none}\n", "http://"+address),
	} {
		write(t, path, text)
	}
	l := &lanes{link: link, ferry: ferry, env: emptyEnv(t, raceExit+"="+raceAtOnce, "FERRY_CONFIG="+config)}
	if _, err := l.output("ask", "-q", "-n", "far", "-c", "1", "--batch", in, "--out", out); err != nil {
		t.Fatalf("a batch with stray responses: %v, want exit code 0", err)
	}
	text, err := os.ReadFile(out)
	check(t, err)
	want := map[string]string{"1": "to one", "2": "to two", "3": "to three", "4": "to four"}
	for line := range strings.Lines(string(text)) {
		var answer struct{ ID, Text string }
		check(t, json.Unmarshal([]byte(line), &answer))
		if answer.Text != want[answer.ID] {
			t.Errorf("the answer to item %s is %q, want %q", answer.ID, answer.Text, want[answer.ID])
		}
		delete(want, answer.ID)
	}
	if len(want) > 0 {
		t.Errorf("no answer for %v", want)
	}
}

// strayServer answers each request with its prompt, and sends an answer to no request a quarter of a round trip later.
func strayServer(t *testing.T, at netip.Addr) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", netip.AddrPortFrom(at, 0).String())
	check(t, err)
	t.Cleanup(func() { listener.Close() })
	respond := func(conn net.Conn, text string) {
		body := fmt.Sprintf(`{"status":200,"completion":%q}`, text)
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for reader := bufio.NewReader(conn); ; {
					request, err := http.ReadRequest(reader)
					if err != nil {
						return
					}
					var asked struct{ Prompt string }
					err = json.NewDecoder(request.Body).Decode(&asked)
					_, _ = io.Copy(io.Discard, request.Body)
					if err != nil {
						return
					}
					respond(conn, "to "+asked.Prompt)
					time.AfterFunc(linkDelay/2, func() { respond(conn, "stray") })
				}
			}()
		}
	}()
	return listener.Addr().String()
}

// TestAnswerBeforeThePrompt: a 200 that comes while most of the prompt is still to be sent cannot be the answer to it.
func TestAnswerBeforeThePrompt(t *testing.T) {
	long(t, "prompts of 20 MB")
	for _, way := range []string{"ask", "stream", "batch"} {
		s := newRawNode(t, func(_ int64, c *rawConn) {
			if _, ok := c.begun(); ok {
				c.say(rawAnswer("early"))
				<-c.node.over
			}
		})
		r := newLinkRig(t, s.url)
		code, answer, said := r.send(way, longPrompt())
		if code != 1 || answer != "" || !strings.Contains(said, "an answer came before the server had the request") {
			t.Errorf("%s: exit code %d and %q, want 1 and no answer; %s", way, code, answer, said)
		}
		if line := r.lastAudit(); !line.Ambiguous || line.Status != 0 {
			t.Errorf("%s: the audit log says %+v, want an ambiguous attempt without a status", way, line)
		}
	}
}

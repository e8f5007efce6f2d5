package cmd_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const linkDelay = 100 * time.Millisecond // each way

// TestHoldSlowLink checks that a held connection takes one round trip, where curl takes three. The round trips are
// counted from the packets; the times are only reported. The server is an nginx with TLS 1.3 in front of the demo
// node. Each round runs three complete processes in turn. ferry is the test binary, which starts more slowly.
func TestHoldSlowLink(t *testing.T) {
	skipIfShort(t, "a measurement over a slow link, of real time")
	if os.Getenv("FERRY_LINK") == "" {
		t.Skip("a measurement, which the tests beside it would disturb: make link runs it alone")
	}
	findProgram(t, "nginx")
	if !aloneOnNetwork(t) {
		return
	}
	clean, lossy := newSlowLink(t, 8, linkDelay, 0), newSlowLink(t, 9, linkDelay, 0.05)
	ca := startFarNginx(t, clean.far, lossy.far)
	for _, link := range []*slowLink{clean, lossy} { // in parallel: each mostly waits for its link
		l := newLinkUser(t, link, ca)
		t.Run(fmt.Sprintf("%g %% lost each way", 100*link.loss), func(t *testing.T) { t.Parallel(); l.measure(t, 9) })
	}
}

// TestHoldDeadPath cuts the link under an idle connection: the holder notices it, and the next ask gets its answer.
func TestHoldDeadPath(t *testing.T) {
	skipIfShort(t, "half a minute of real time until a dead path is known")
	if os.Getenv("FERRY_SOAK") == "" {
		t.Skip("half a minute of real time; make soak runs it")
	}
	findProgram(t, "nginx")
	if !aloneOnNetwork(t) {
		return
	}
	link := newSlowLink(t, 8, linkDelay, 0)
	l := newLinkUser(t, link, startFarNginx(t, link.far))
	l.warm(t)
	equal(t, "open connections", l.holder(t).Connections, 1)
	link.dead.Store(true)
	cut := time.Now()
	fatalIf(t, !pollUntil(2*testTimeout, func() bool { return l.holder(t).Connections == 0 }),
		"the path is dead, and the holder still counts on its connection, want it closed")
	t.Logf("the holder noticed after %.1f s that the path was dead", time.Since(cut).Seconds())
	link.dead.Store(false)
	for _, which := range []string{"first", "second"} {
		t.Logf("the %s ask after it was back took %s", which, l.must(t, l.heldArgs))
	}
	equal(t, "times that the holder lent", l.holder(t).Requests, 3)
}

// linkUser is a user at the near end of a link, with two ways to reach its far end.
type linkUser struct {
	link               *slowLink
	ferry, dir         string
	env                []string
	curlArgs, heldArgs []string
}

func newLinkUser(t *testing.T, link *slowLink, ca string) *linkUser {
	url := "https://" + netip.AddrPortFrom(link.far, farPort).String()
	l := newNear(t, link, farConfig(farNode{"far", url, ca, "api: messages"}))
	l.curlArgs = []string{findProgram(t, "curl"), "-q", "-sS", "--fail", "--tlsv1.3", "--cacert", ca, "-H", "x-api-key: canary-key-0008",
		"-H", "anthropic-version: 2026-10-21", "-H", "content-type: application/json", "-d", smallMessage, url + "/v1/messages"}
	l.heldArgs = []string{l.ferry, "ask", "-n", "far", "--hold", "5m", "hi"}
	t.Cleanup(func() { l.stopHolders(t) }) // before the folder and the link are removed
	return l
}

// newNear returns a user at the near end of a link, with a configuration.
func newNear(t *testing.T, link *slowLink, config string) *linkUser {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "config.yaml"), config)
	return &linkUser{link: link, ferry: findProgram(t, "ferry-real"), dir: dir, env: emptyEnv(t, raceExit+"="+raceAtOnce,
		"XDG_RUNTIME_DIR="+dir, "FERRY_CONFIG="+filepath.Join(dir, "config.yaml"), "FAR_KEY=canary-key-0008")}
}

// farNode is a node in a configuration.
type farNode struct{ name, url, ca, more string }

func farConfig(nodes ...farNode) string {
	var b strings.Builder
	b.WriteString("nodes:\n")
	for _, n := range nodes {
		fmt.Fprintf(&b, "  %s: {url: %q, key: \"env:FAR_KEY\", proxy: none, %s", n.name, n.url, n.more)
		if n.ca != "" && !strings.Contains(n.more, "tls:") {
			fmt.Fprintf(&b, ", tls: {ca: %q}", n.ca)
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// stopHolders stops the holders with ferry's own command.
func (l *linkUser) stopHolders(t *testing.T) {
	t.Helper()
	out, err := l.output("config", "hold", "stop")
	errorIf(t, err != nil, "config hold stop: %v, want exit code 0: %s", err, out)
}

// warm starts the holder, and checks that it runs.
func (l *linkUser) warm(t *testing.T) {
	t.Helper()
	l.must(t, l.heldArgs)
	equal(t, "times that the holder lent", l.holder(t).Requests, 1)
}

// measure runs all the ways in turn. It reports how long each took, and counts round trips in the packets of the new
// or held connection.
func (l *linkUser) measure(t *testing.T, rounds int) {
	l.warm(t)
	ways := [][]string{l.curlArgs, {l.ferry, "ask", "-n", "far", "hi"}, l.heldArgs}
	took, trips := make([][]time.Duration, len(ways)), make([][]int, len(ways))
	for range rounds {
		for i, args := range ways {
			saw := l.link.capture(nil)
			took[i] = append(took[i], l.must(t, args))
			port := l.newConnection(t, saw, 1-i/2)
			trips[i] = append(trips[i], saw.connection(port).trips())
		}
	}
	equal(t, "times that the holder lent", l.holder(t).Requests, 1+rounds)
	for i, name := range []string{"curl", "ferry ask", "ferry ask --hold"} {
		median := medianOf(took[i])
		t.Logf("%-17s median %4d ms, %.2f times %s, worst %4d ms", name, median.Milliseconds(), float64(median)/float64(2*linkDelay),
			2*linkDelay, slices.Max(took[i]).Milliseconds())
	}
	errorIf(t, !slices.Contains(trips[2], 1), "round trips of the held asks: got %v, want 1 where nothing was lost", trips[2])
	if l.link.loss == 0 {
		equal(t, "least and most round trips of a held ask", []int{slices.Min(trips[2]), slices.Max(trips[2])}, []int{1, 1})
		equal(t, "least round trips of curl and an ask", []int{slices.Min(trips[0]), slices.Min(trips[1])}, []int{3, 3})
	}
}

// newConnection expects the given number of new connections, and returns the port of the one on which the near end
// sent most. On a lossy link or a busy machine a late handshake makes ferry start others.
func (l *linkUser) newConnection(t *testing.T, saw *capture, want int) (port uint16) {
	ports, made := saw.ports()
	fatalIf(t, len(made) < want || len(made) > want && want == 0 && l.link.loss == 0, "%d new connections, want %d", len(made), want)
	most := 0
	for _, one := range ports {
		if out, _ := saw.connection(one).bytes(); out > most {
			most, port = out, one
		}
	}
	return port
}

func (l *linkUser) must(t *testing.T, args []string) time.Duration {
	t.Helper()
	took, err := l.timed(args)
	check(t, err)
	return took
}

// timed runs a program at the near end and returns the time of the complete process.
func (l *linkUser) timed(args []string) (took time.Duration, err error) {
	var out, said bytes.Buffer
	c := exec.Command(args[0], args[1:]...)
	c.Env, c.Stdout, c.Stderr = l.env, &out, &said
	var start time.Time
	err = l.link.near(func() error { start = time.Now(); return c.Start() })
	if err == nil {
		err = c.Wait()
	}
	took = time.Since(start)
	if err != nil || out.Len() == 0 {
		err = errors.Join(err, fmt.Errorf("%q printed %q and said %q", args, &out, &said))
	}
	return took, err
}

func (l *linkUser) output(args ...string) (out []byte, err error) {
	c := exec.Command(l.ferry, args...)
	c.Env = l.env
	err = l.link.near(func() error {
		out, err = c.Output()
		return err
	})
	return out, err
}

type holderFacts struct {
	Requests    int `json:"requests"`
	Connections int `json:"connections"`
}

// holder returns the facts of the only holder.
func (l *linkUser) holder(t *testing.T) holderFacts {
	var h holderFacts
	out, err := l.output("config", "hold", "-o", "json")
	check(t, err)
	check(t, json.Unmarshal(out, &h))
	return h
}

const farPort = 8443

// startFarNginx runs an nginx with TLS 1.3 in front of the demo node, at the far ends, and returns the file of its
// authority.
func startFarNginx(t *testing.T, at ...netip.Addr) (ca string) {
	return runFarNginx(t, findProgram(t, "nginx"), "", at...)
}

func runFarNginx(t *testing.T, program, more string, at ...netip.Addr) (ca string) {
	by := newAuthority(t, "far", nil)
	var addresses []net.IP
	for _, addr := range at {
		addresses = append(addresses, addr.AsSlice())
	}
	cert, key := writeCertificate(t, by.issueAt(t, addresses...))
	dir := t.TempDir()
	conf := filepath.Join(dir, "nginx.conf")
	write(t, conf, fmt.Sprintf(`error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path temp; proxy_temp_path temp; fastcgi_temp_path temp; uwsgi_temp_path temp; scgi_temp_path temp;
  keepalive_timeout 5m;
  client_body_buffer_size 1m; # the workers may not write where the test does
  server {
    listen %[1]d ssl;
    %[5]s
    ssl_certificate %[2]s;
    ssl_certificate_key %[3]s;
    ssl_protocols TLSv1.3;
    location / { proxy_pass %[4]s; }
  }
}
`, farPort, cert, key, serve(t, nil).URL, more))
	startNginx(t, program, dir, conf, fmt.Sprint("127.0.0.1:", farPort))
	return by.file
}

// medianOf returns the median.
func medianOf(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(all))[len(all)/2]
}

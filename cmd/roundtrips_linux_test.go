package cmd_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"ferry/pkg/demo"
)

// TestRoundTrips counts from the packets on a link how often a command has to wait for the far end: TCP, TLS 1.3 and the
// request once each, and no other time. Where a busy machine has an end speak later than it could, more is counted, and
// never less: the fewest of some tries count.
func TestRoundTrips(t *testing.T) {
	long(t, "some thirty round trips over a slow link")
	nginx, curl, ferry := findNginx(t), findCurl(t), ferryReal(t)
	if !aloneOnNetwork(t) {
		return
	}
	link := newSlowLink(t, 8, linkDelay, 0)
	l := newLanes(t, link, ferry, curl, startFarNginx(t, nginx, link.far))
	more := *l
	more.env = append(emptyEnv(t), raceExit+"="+raceAtOnce, "FERRY_CONFIG="+moreNodes(t, link), "FAR_KEY=canary-key-0008")
	batch, answers := filepath.Join(t.TempDir(), "batch.txt"), filepath.Join(t.TempDir(), "answers.jsonl")
	write(t, batch, "one\ntwo\nthree\nfour\n")
	quiet := []string{ferry, "ask", "-q", "--retry-delay", "0s"}
	anew := []string{"sh", "-c", `rm -f ` + answers + `; "$@" && cat ` + answers, "sh"} // a batch prints nothing by itself
	const tries, first = 5, "ferry ask --hold, the first"
	var table strings.Builder
	fmt.Fprintf(&table, "%-42s %11s %11s %s\n", "", "connections", "round trips", "  bytes out, in")
	for _, c := range []struct {
		name        string
		lanes       *lanes
		args        []string
		made, trips int
	}{
		{"curl", l, l.curlArgs, 1, 3},
		{"ferry ask", l, l.directArgs, 1, 3},
		{first, l, l.heldArgs, 1, 3},
		{"ferry ask --hold, the next", l, l.heldArgs, 0, 1},
		{"ferry ask, once 429", &more, append(quiet, "-n", "again", "hi"), 1, 4},
		{"ferry ask --batch -c 1, 4 times once 429", &more, append(anew,
			append(quiet, "-n", "again", "-c", "1", "--batch", batch, "--out", answers)...), 1, 10},
		{"ferry ask, TLS 1.3 on P-256 alone", &more, append(quiet, "-n", "other", "hi"), 1, 4},
		{"ferry ask, TLS 1.2", &more, append(quiet, "-n", "old", "hi"), 1, 4},
		{"ferry ask, no TLS", &more, append(quiet, "-n", "plain", "hi"), 1, 2},
	} {
		for try := 1; ; try++ {
			if c.name == first {
				if out, err := l.output("config", "hold", "stop"); err != nil {
					t.Fatalf("config hold stop: %v: %s", err, out)
				}
			}
			saw := link.capture(t)
			c.lanes.must(t, c.args)
			ports, made := saw.ports()
			if len(ports) == 0 || len(made) != c.made || saw.others != 0 {
				t.Fatalf("%s: %d connections (%d new), and %d packets of UDP, want 1 (%d) and 0",
					c.name, len(ports), len(made), saw.others, c.made)
			}
			one := saw.connection(ports[0])
			trips := one.trips()
			if (trips > c.trips || len(ports) > 1) && try < tries {
				t.Logf("%s: %d round trips on %d connections, once more: %s", c.name, trips, len(ports), one.spoken())
				continue
			}
			if trips != c.trips || len(ports) > 1 {
				t.Errorf("%s: %d round trips on %d connections after %d tries, want %d on one: %s",
					c.name, trips, len(ports), try, c.trips, one.spoken())
			}
			out, in := one.bytes()
			fmt.Fprintf(&table, "%-42s %11d %11d %8d, %d\n    %s\n", c.name, len(made), trips, out, in, one.spoken())
			break
		}
	}
	t.Log("\n" + table.String())
}

// moreNodes writes a configuration of far nodes that are not as the usual one: one that refuses every second time, and ones
// that take more round trips or fewer.
func moreNodes(t *testing.T, link *slowLink) (config string) {
	t.Helper()
	by := newAuthority(t, "more", nil)
	own := by.issue(t, func(c *x509.Certificate) { c.IPAddresses = append(c.IPAddresses, link.far.AsSlice()) })
	far := func(change func(*tls.Config)) string {
		c := &tls.Config{Certificates: []tls.Certificate{own}}
		change(c)
		return startFarGo(t, link, demo.New(demo.Options{}), c)
	}
	text := fmt.Sprintf(`nodes:
  again: {url: "%s?status=429,200", api: messages, key: "env:FAR_KEY", tls: {ca: %q}, proxy: none}
  old: {url: %q, api: messages, key: "env:FAR_KEY", tls: {ca: %q, min: "1.2"}, proxy: none}
  other: {url: %q, api: messages, key: "env:FAR_KEY", tls: {ca: %q}, proxy: none}
  plain: {url: %q, api: messages, key: "env:FAR_KEY", proxy: none}
`, far(func(*tls.Config) {}), by.file,
		far(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }), by.file,
		far(func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP256} }), by.file,
		startFarGo(t, link, demo.New(demo.Options{}), nil))
	config = filepath.Join(t.TempDir(), "more.yaml")
	write(t, config, text)
	return config
}

// startFarGo runs a handler on Go's own server at the far end, over TLS where there is a configuration, and gives its
// address.
func startFarGo(t *testing.T, link *slowLink, node *demo.Node, config *tls.Config) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", ":0")
	check(t, err)
	server := &http.Server{Handler: node, TLSConfig: config, ErrorLog: quietLog()}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if config == nil {
			_ = server.Serve(listener)
		} else {
			_ = server.ServeTLS(listener, "", "")
		}
	}()
	t.Cleanup(func() { server.Close(); <-ended; _ = node.Close() })
	scheme := map[bool]string{true: "http", false: "https"}[config == nil]
	return scheme + "://" + netip.AddrPortFrom(link.far, uint16(listener.Addr().(*net.TCPAddr).Port)).String()
}

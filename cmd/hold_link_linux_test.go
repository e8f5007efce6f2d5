package cmd_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ferry/pkg/demo"
)

const linkDelay = 100 * time.Millisecond // each way

// TestHoldSlowLink holds the promise of a held connection: one round trip, where curl pays three. The round trips are
// counted from the packets; what they took is reported. The server is an nginx with TLS 1.3 in front of the demo node; all
// three are whole processes, one after the other in each round. Ferry is the test's own binary, which starts slower.
func TestHoldSlowLink(t *testing.T) {
	long(t, "a measurement over a slow link, of real time")
	if os.Getenv("FERRY_LINK") == "" {
		t.Skip("a measurement, which the tests beside it would disturb: make link runs it alone")
	}
	nginx, curl, ferry := findNginx(t), findCurl(t), ferryReal(t)
	if !aloneOnNetwork(t) {
		return
	}
	clean, lossy := newSlowLink(t, 8, linkDelay, 0), newSlowLink(t, 9, linkDelay, 0.05)
	ca := startFarNginx(t, nginx, clean.far, lossy.far)
	measured := map[*slowLink]*lanes{}
	for _, link := range []*slowLink{clean, lossy} {
		measured[link] = newLanes(t, link, ferry, curl, ca)
	}
	t.Run("links", func(t *testing.T) { // side by side: each waits for its link nearly all of the time
		t.Run("without loss", func(t *testing.T) { t.Parallel(); measured[clean].measure(t, 9) })
		t.Run("with loss", func(t *testing.T) { t.Parallel(); measured[lossy].measure(t, 9) })
	})
	if t.Failed() {
		return
	}
	measured[clean].trip = middle(measured[clean].bare)
	measured[lossy].trip = measured[clean].trip
	t.Log(table(measured[clean], measured[lossy]))
	if l := measured[clean]; slices.Max(l.held.trips) != 1 || slices.Min(l.curl.trips) != 3 || slices.Min(l.direct.trips) != 3 {
		t.Errorf("without loss: of a held ask %v round trips, of curl %v, of an ask %v; want always 1, and 3", l.held.trips, l.curl.trips, l.direct.trips)
	}
	if l := measured[lossy]; slices.Min(l.held.trips) != 1 { // some of nine lose nothing
		t.Errorf("with loss: of a held ask %v round trips, want 1 where nothing was lost", l.held.trips)
	}
}

// TestHoldDeadPath cuts the link under a connection that waits: the holder has to notice, which takes it half a minute of
// real time, and the first ask after the path is back has to be answered.
func TestHoldDeadPath(t *testing.T) {
	long(t, "half a minute of real time until a dead path is known")
	if os.Getenv("FERRY_SOAK") == "" {
		t.Skip("half a minute of real time; make soak runs it")
	}
	nginx, curl, ferry := findNginx(t), findCurl(t), ferryReal(t)
	if !aloneOnNetwork(t) {
		return
	}
	link := newSlowLink(t, 8, linkDelay, 0)
	l := newLanes(t, link, ferry, curl, startFarNginx(t, nginx, link.far))
	l.warm(t)
	if open := l.holder(t).Connections; open != 1 {
		t.Fatalf("%d connections are open, want 1", open)
	}
	link.dead.Store(true)
	cut := time.Now()
	for tick := time.NewTicker(250 * time.Millisecond); l.holder(t).Connections != 0; <-tick.C {
		if time.Since(cut) > 2*testTimeout {
			t.Fatal("the path is dead, and the holder still counts on its connection")
		}
	}
	t.Logf("the holder noticed after %.1f s that the path was dead", time.Since(cut).Seconds())
	link.dead.Store(false)
	for _, which := range []string{"first", "second"} {
		t.Logf("the %s ask after it was back took %s", which, l.must(t, l.heldArgs))
	}
	if h := l.holder(t); h.Requests != 3 {
		t.Errorf("the holder lent %d times, want 3", h.Requests)
	}
}

// lanes are three ways over one link, and what each took.
type lanes struct {
	link                           *slowLink
	ferry                          string
	env                            []string
	curlArgs, directArgs, heldArgs []string
	bare                           []time.Duration
	curl, direct, held             lane
	trip                           time.Duration // a round trip as it was measured, without loss
}

// lane is what the runs of one way took, and how many round trips each was by its packets.
type lane struct {
	took  []time.Duration
	trips []int
}

func newLanes(t *testing.T, link *slowLink, ferry, curl, ca string) *lanes {
	t.Helper()
	dir := t.TempDir()
	url := "https://" + netip.AddrPortFrom(link.far, farPort).String()
	config := filepath.Join(dir, "config.yaml")
	text := fmt.Sprintf("nodes:\n  far: {url: %q, api: messages, key: \"env:FAR_KEY\", tls: {ca: %q}, proxy: none}\n", url, ca)
	write(t, config, text)
	l := &lanes{
		link: link, ferry: ferry,
		env: emptyEnv(t, raceExit+"="+raceAtOnce, "XDG_RUNTIME_DIR="+dir, "FERRY_CONFIG="+config, "FAR_KEY=canary-key-0008"),
		curlArgs: []string{curl, "-q", "-sS", "--fail", "--tlsv1.3", "--cacert", ca, "-H", "x-api-key: canary-key-0008",
			"-H", "anthropic-version: 2026-10-21", "-H", "content-type: application/json", "-d", smallMessage, url + "/v1/messages"},
		directArgs: []string{ferry, "ask", "-n", "far", "hi"},
		heldArgs:   []string{ferry, "ask", "-n", "far", "--hold", "5m", "hi"},
	}
	t.Cleanup(func() { // before the folder goes, and the link
		if out, err := l.output("config", "hold", "stop"); err != nil {
			t.Errorf("config hold stop: %v: %s", err, out)
		}
	})
	return l
}

// warm makes the holder, and checks that it is one.
func (l *lanes) warm(t *testing.T) {
	t.Helper()
	l.must(t, l.heldArgs)
	if h := l.holder(t); h.Requests != 1 {
		t.Fatalf("the holder lent %d times, want once", h.Requests)
	}
}

// measure runs all the ways in turn, and counts what was lent.
func (l *lanes) measure(t *testing.T, rounds int) {
	saw := l.link.capture(t)
	l.warm(t)
	_, made := saw.ports()
	if len(made) != 1 {
		t.Fatalf("the holder made %d connections, want 1", len(made))
	}
	held := made[0]
	for range rounds {
		l.bare = append(l.bare, l.bareTrip(t))
		l.goes(t, &l.curl, l.curlArgs, 0)
		l.goes(t, &l.direct, l.directArgs, 0)
		l.goes(t, &l.held, l.heldArgs, held)
	}
	if h := l.holder(t); h.Requests != 1+rounds {
		t.Errorf("the holder lent %d times, want %d: some asks were not held", h.Requests, 1+rounds)
	}
}

// goes runs a program once, and counts the round trips on the connection that it makes, or on the held one.
func (l *lanes) goes(t *testing.T, way *lane, args []string, held uint16) {
	t.Helper()
	saw := l.link.capture(t)
	way.took = append(way.took, l.must(t, args))
	_, made := saw.ports() // with loss, an earlier process's last word can be sent again
	if held == 0 && len(made) == 1 {
		way.trips = append(way.trips, saw.connection(made[0]).trips())
	} else if held != 0 && len(made) == 0 {
		way.trips = append(way.trips, saw.connection(held).trips())
	} else {
		t.Fatalf("%q: %d new connections", args, len(made))
	}
}

func (l *lanes) must(t *testing.T, args []string) time.Duration {
	t.Helper()
	took, err := l.timed(args)
	check(t, err)
	return took
}

// timed runs a program at the near end and gives what the whole process took.
func (l *lanes) timed(args []string) (took time.Duration, err error) {
	var out, said bytes.Buffer
	c := exec.Command(args[0], args[1:]...)
	c.Env, c.Stdout, c.Stderr = l.env, &out, &said
	err = l.link.near(func() error {
		start := time.Now()
		err := c.Run()
		took = time.Since(start)
		return err
	})
	if err != nil || out.Len() == 0 {
		err = errors.Join(err, fmt.Errorf("%q printed %q and said %q", args, &out, &said))
	}
	return took, err
}

func (l *lanes) output(args ...string) (out []byte, err error) {
	c := exec.Command(l.ferry, args...)
	c.Env = l.env
	err = l.link.near(func() error {
		out, err = c.Output()
		return err
	})
	return out, err
}

// bareTrip is one round trip: the kernel's first packet of a TCP connection, and the answer to it.
func (l *lanes) bareTrip(t *testing.T) (took time.Duration) {
	t.Helper()
	err := l.link.near(func() error {
		start := time.Now()
		conn, err := net.Dial("tcp", netip.AddrPortFrom(l.link.far, farPort).String())
		took = time.Since(start)
		if err == nil {
			err = conn.Close()
		}
		return err
	})
	check(t, err)
	return took
}

type holderFacts struct {
	Requests    int `json:"requests"`
	Connections int `json:"connections"`
}

// holder asks the one holder about itself.
func (l *lanes) holder(t *testing.T) holderFacts {
	t.Helper()
	var h holderFacts
	out, err := l.output("config", "hold", "-o", "json")
	if err == nil {
		err = json.Unmarshal(out, &h)
	}
	if err != nil {
		t.Fatalf("config hold: %v: %s", err, out)
	}
	return h
}

func middle(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(all))[len(all)/2]
}

// long is a median in round trips, as the kernel makes them over this link: whatever carries its packets is late by a
// few milliseconds too.
func (l *lanes) long(all []time.Duration) float64 { return float64(middle(all)) / float64(l.trip) }

// table shows the medians side by side, and the worst of each.
func table(clean, lossy *lanes) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s a round trip (%s as measured), medians of %d rounds\n%-17s | 0 %% loss: ms  trips  worst ms | 5 %% each way: ms  trips  worst ms\n",
		2*linkDelay, clean.trip.Round(time.Millisecond), len(clean.held.took), "")
	row := func(name string, none, some []time.Duration) {
		fmt.Fprintf(&b, "%-17s | %10d %6.2f %9d | %15d %6.2f %9d\n", name,
			middle(none).Milliseconds(), clean.long(none), slices.Max(append(none, 0)).Milliseconds(),
			middle(some).Milliseconds(), lossy.long(some), slices.Max(append(some, 0)).Milliseconds())
	}
	row("one round trip", clean.bare, lossy.bare)
	row("curl", clean.curl.took, lossy.curl.took)
	row("ferry ask", clean.direct.took, lossy.direct.took)
	row("ferry ask --hold", clean.held.took, lossy.held.took)
	return b.String()
}

// ferryReal is the path of realFerry's program.
func ferryReal(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("ferry-real")
	check(t, err)
	return path
}

func findCurl(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("curl")
	if err != nil {
		needed(t, "curl, to compare with")
	}
	return path
}

const farPort = 8443

// startFarNginx runs an nginx with TLS 1.3 in front of the demo node, at the far ends, and gives the file of its authority.
func startFarNginx(t *testing.T, nginx string, at ...netip.Addr) (ca string) {
	t.Helper()
	node := demo.New(demo.Options{})
	behind := httptest.NewServer(node)
	t.Cleanup(func() { behind.Close(); _ = node.Close() })
	by := newAuthority(t, "far", nil)
	cert, key := files(t, by.issue(t, func(c *x509.Certificate) {
		for _, addr := range at {
			c.IPAddresses = append(c.IPAddresses, addr.AsSlice())
		}
	}))
	dir := t.TempDir()
	text := fmt.Sprintf(`daemon off;
pid nginx.pid;
error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path temp; proxy_temp_path temp; fastcgi_temp_path temp; uwsgi_temp_path temp; scgi_temp_path temp;
  keepalive_timeout 5m;
  server {
    listen %d ssl;
    ssl_certificate %s;
    ssl_certificate_key %s;
    ssl_protocols TLSv1.3;
    location / { proxy_pass %s; }
  }
}
`, farPort, cert, key, behind.URL)
	conf := filepath.Join(dir, "nginx.conf")
	write(t, conf, text)
	var said bytes.Buffer
	c := exec.Command(nginx, "-p", dir, "-c", conf, "-e", "stderr")
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	c.Stderr = &said
	check(t, c.Start())
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	t.Cleanup(func() { _ = c.Process.Signal(syscall.SIGTERM); <-ended })
	awaitPort(t, fmt.Sprint("127.0.0.1:", farPort), ended, &said)
	return by.file
}

// awaitPort waits until somebody listens.
func awaitPort(t *testing.T, address string, ended chan error, said *bytes.Buffer) {
	t.Helper()
	deadline := time.Now().Add(testTimeout)
	for tick := time.NewTicker(10 * time.Millisecond); ; <-tick.C {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("nginx ended: %v\n%s", err, said)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("nginx does not listen")
		}
	}
}

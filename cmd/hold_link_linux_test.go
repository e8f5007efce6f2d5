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

// TestHoldSlowLink holds the promise of a held connection: one round trip, where curl pays three. The round trips are
// counted from the packets; what they took is reported. The server is an nginx with TLS 1.3 in front of the demo node; all
// three are whole processes, one after the other in each round. Ferry is the test's own binary, which starts slower.
func TestHoldSlowLink(t *testing.T) {
	long(t, "a measurement over a slow link, of real time")
	if os.Getenv("FERRY_LINK") == "" {
		t.Skip("a measurement, which the tests beside it would disturb: make link runs it alone")
	}
	findProgram(t, "nginx")
	if !aloneOnNetwork(t) {
		return
	}
	clean, lossy := newSlowLink(t, 8, linkDelay, 0), newSlowLink(t, 9, linkDelay, 0.05)
	ca := startFarNginx(t, clean.far, lossy.far)
	measured := map[*slowLink]*lanes{}
	for _, link := range []*slowLink{clean, lossy} {
		measured[link] = newLanes(t, link, ca)
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

// TestHoldDeadPath cuts the link under an idle connection: the holder notices, and the next ask is answered.
func TestHoldDeadPath(t *testing.T) {
	long(t, "half a minute of real time until a dead path is known")
	soak(t, "half a minute of real time")
	findProgram(t, "nginx")
	if !aloneOnNetwork(t) {
		return
	}
	link := newSlowLink(t, 8, linkDelay, 0)
	l := newLanes(t, link, startFarNginx(t, link.far))
	l.warm(t)
	equal(t, "open connections", l.holder(t).Connections, 1)
	link.dead.Store(true)
	cut := time.Now()
	fatalIf(t, !before(2*testTimeout, func() bool { return l.holder(t).Connections == 0 }),
		"the path is dead, and the holder still counts on its connection, want it closed")
	t.Logf("the holder noticed after %.1f s that the path was dead", time.Since(cut).Seconds())
	link.dead.Store(false)
	for _, which := range []string{"first", "second"} {
		t.Logf("the %s ask after it was back took %s", which, l.must(t, l.heldArgs))
	}
	equal(t, "times that the holder lent", l.holder(t).Requests, 3)
}

// lanes are three ways over one link, and what each took.
type lanes struct {
	link                           *slowLink
	ferry, dir                     string
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

func newLanes(t *testing.T, link *slowLink, ca string) *lanes {
	url := "https://" + netip.AddrPortFrom(link.far, farPort).String()
	l := newNear(t, link, farConfig(farNode{"far", url, ca, "api: messages"}))
	l.curlArgs = []string{findProgram(t, "curl"), "-q", "-sS", "--fail", "--tlsv1.3", "--cacert", ca, "-H", "x-api-key: canary-key-0008",
		"-H", "anthropic-version: 2026-10-21", "-H", "content-type: application/json", "-d", smallMessage, url + "/v1/messages"}
	l.directArgs = []string{l.ferry, "ask", "-n", "far", "hi"}
	l.heldArgs = []string{l.ferry, "ask", "-n", "far", "--hold", "5m", "hi"}
	t.Cleanup(func() { l.ends(t) }) // before the folder goes, and the link
	return l
}

// newNear is a user at the near end of a link, with a configuration.
func newNear(t *testing.T, link *slowLink, config string) *lanes {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "config.yaml"), config)
	return &lanes{link: link, ferry: findProgram(t, "ferry-real"), dir: dir, env: emptyEnv(t, raceExit+"="+raceAtOnce,
		"XDG_RUNTIME_DIR="+dir, "FERRY_CONFIG="+filepath.Join(dir, "config.yaml"), "FAR_KEY=canary-key-0008")}
}

// farNode is a node of a configuration.
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

// ends has ferry end the holders.
func (l *lanes) ends(t *testing.T) {
	t.Helper()
	out, err := l.output("config", "hold", "stop")
	errorIf(t, err != nil, "config hold stop: %v, want exit code 0: %s", err, out)
}

// warm makes the holder, and checks that it is one.
func (l *lanes) warm(t *testing.T) {
	t.Helper()
	l.must(t, l.heldArgs)
	equal(t, "times that the holder lent", l.holder(t).Requests, 1)
}

// measure runs all the ways in turn, and counts what was lent.
func (l *lanes) measure(t *testing.T, rounds int) {
	saw := l.link.capture(t)
	l.warm(t)
	held := l.made(t, saw, 1)
	for range rounds {
		l.bare = append(l.bare, l.bareTrip(t))
		l.goes(t, &l.curl, l.curlArgs, 0)
		l.goes(t, &l.direct, l.directArgs, 0)
		l.goes(t, &l.held, l.heldArgs, held)
	}
	equal(t, "times that the holder lent", l.holder(t).Requests, 1+rounds)
}

// goes runs a program once, and counts the round trips on the connection that it makes, or on the held one.
func (l *lanes) goes(t *testing.T, way *lane, args []string, held uint16) {
	saw := l.link.capture(t)
	way.took = append(way.took, l.must(t, args))
	port := held
	if held == 0 {
		port = l.made(t, saw, 1)
	} else {
		l.made(t, saw, 0)
	}
	way.trips = append(way.trips, saw.connection(port).trips())
}

// made expects so many new connections, and gives the one on which the near end sent most. With loss a late handshake has
// others begin beside it.
func (l *lanes) made(t *testing.T, saw *capture, want int) (port uint16) {
	_, made := saw.ports()
	fatalIf(t, len(made) < want || len(made) > want && l.link.loss == 0, "%d new connections, want %d", len(made), want)
	most := 0
	for _, one := range made {
		if out, _ := saw.connection(one).bytes(); out > most {
			most, port = out, one
		}
	}
	return port
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
	var h holderFacts
	out, err := l.output("config", "hold", "-o", "json")
	check(t, err)
	check(t, json.Unmarshal(out, &h))
	return h
}

// inTrips is a median in round trips, as the kernel makes them over this link.
func (l *lanes) inTrips(all []time.Duration) float64 { return float64(middle(all)) / float64(l.trip) }

// table shows the medians side by side, and the worst of each.
func table(clean, lossy *lanes) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s a round trip (%s as measured), medians of %d rounds\n%-17s | 0 %% loss: ms  trips  worst ms | 5 %% each way: ms  trips  worst ms\n",
		2*linkDelay, clean.trip.Round(time.Millisecond), len(clean.held.took), "")
	row := func(name string, none, some []time.Duration) {
		fmt.Fprintf(&b, "%-17s | %10d %6.2f %9d | %15d %6.2f %9d\n", name,
			middle(none).Milliseconds(), clean.inTrips(none), slices.Max(append(none, 0)).Milliseconds(),
			middle(some).Milliseconds(), lossy.inTrips(some), slices.Max(append(some, 0)).Milliseconds())
	}
	row("one round trip", clean.bare, lossy.bare)
	row("curl", clean.curl.took, lossy.curl.took)
	row("ferry ask", clean.direct.took, lossy.direct.took)
	row("ferry ask --hold", clean.held.took, lossy.held.took)
	return b.String()
}

const farPort = 8443

// startFarNginx runs an nginx with TLS 1.3 in front of the demo node, at the far ends, and gives the file of its authority.
func startFarNginx(t *testing.T, at ...netip.Addr) (ca string) {
	by := newAuthority(t, "far", nil)
	var addresses []net.IP
	for _, addr := range at {
		addresses = append(addresses, addr.AsSlice())
	}
	cert, key := files(t, by.issueAt(t, addresses...))
	dir := t.TempDir()
	conf := filepath.Join(dir, "nginx.conf")
	write(t, conf, fmt.Sprintf(`error_log stderr;
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
`, farPort, cert, key, serve(t, nil).URL))
	startNginx(t, dir, conf, fmt.Sprint("127.0.0.1:", farPort))
	return by.file
}

// middle is a median.
func middle(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(all))[len(all)/2]
}

package cmd_test

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// linkRuns returns how often `make link` runs each way over a link. It skips a test that needs more runs, or an nginx
// with HTTP/3 where there is none.
func linkRuns(t *testing.T, least int) int {
	skipIfShort(t, "a measurement over a slow link, of real time")
	runs, err := strconv.Atoi(os.Getenv("FERRY_LINK"))
	switch {
	case err != nil:
		t.Skip("a measurement, which the tests beside it would disturb: make link runs it alone")
	case runs < least:
		t.Skip("a measurement that needs many rounds")
	}
	debian13Program(t, "nginx")
	return runs
}

// longRuns are enough runs to distinguish means on a lossy link.
const longRuns = 100

// startFarHTTP3 runs Debian 13's nginx, which also supports HTTP/3, at the far ends.
func startFarHTTP3(t *testing.T, at ...netip.Addr) (ca string) {
	return runFarNginx(t, debian13Program(t, "nginx"), fmt.Sprintf("listen %d quic reuseport; http3 on;", farPort), at...)
}

// way is one way to send a prompt, and the number of round trips that it takes on a path without loss.
type way struct {
	name        string
	args        []string
	made, trips int
}

// ways returns the measured ways. The first is curl, for comparison.
func (l *linkUser) ways(curl3 string) []way {
	ask := func(more ...string) []string {
		return append([]string{l.ferry, "ask", "-q", "-n", "far", "--timeout", "60s"}, append(more, "hi")...)
	}
	curl := append(slices.Clone(l.curlArgs), "-m", "60")
	return []way{
		{"curl", curl, 1, 3},
		{"curl --http3-only", append([]string{curl3, curl[1], "--http3-only"}, curl[2:]...), 1, 2},
		{"ask", ask(), 1, 3},
		{"ask --http3", ask("--http3"), 1, 2},
		{"ask --http3-only", ask("--http3-only"), 1, 2},
		{"ask --hold", ask("--hold", "5m"), 0, 1},
		{"ask --hold --http3-only", ask("--hold", "5m", "--http3-only"), 0, 1},
	}
}

// TestPath compares the ways to send a prompt over a link of 200 ms, without loss and with 15 % of the packets lost
// each way. The round trips are counted on the link without loss; the times are reported.
func TestPath(t *testing.T) {
	runs := linkRuns(t, 0)
	curl3 := debian13Program(t, "curl")
	if !aloneOnNetwork(t) {
		return
	}
	links := []*slowLink{newSlowLink(t, 8, linkDelay, 0), newSlowLink(t, 9, linkDelay, 0.15)}
	ca := startFarHTTP3(t, links[0].far, links[1].far)
	t.Run("round trips", func(t *testing.T) {
		l := newLinkUser(t, links[0], ca)
		for _, w := range l.ways(curl3) {
			if w.made == 0 {
				l.must(t, w.args) // starts the holder
			}
			l.count(t, w, nil)
		}
	})
	links[0].watch.Store(nil)
	for _, link := range links {
		t.Run(fmt.Sprintf("%g %% lost each way", 100*link.loss), func(t *testing.T) {
			t.Parallel() // each mostly waits for its link
			user := func() *linkUser { return newLinkUser(t, link, ca) }
			t.Log("\n" + compareWays(t, runs, user, func(l *linkUser) []way { return l.ways(curl3) }))
		})
	}
}

// TestPathBlocked runs ferry on a network that drops UDP, against a server without HTTP/3, and on a network that drops
// UDP after the handshake. TCP begins a quarter of a second after HTTP/3, and the first two cases cost no more than
// that. A request that was sent over HTTP/3 is not resent: after half a minute without a packet the connection counts
// as dead.
func TestPathBlocked(t *testing.T) {
	linkRuns(t, 0)
	if !aloneOnNetwork(t) {
		return
	}
	var links []*slowLink
	for number := range byte(3) {
		links = append(links, newSlowLink(t, 8+number, linkDelay, 0))
	}
	ca := startFarHTTP3(t, links[0].far, links[2].far)
	by := newAuthority(t, "plain", nil)
	noHTTP3 := startFarGo(t, links[1], &tls.Config{Certificates: []tls.Certificate{by.issueAt(t, links[1].far.AsSlice())}})
	asPlain := farNode{"far", noHTTP3, by.file, "api: messages"}
	isUDP := func(data []byte) bool { protocol, _ := ipPayload(data); return protocol == 17 }
	for _, c := range []struct {
		name string
		user *linkUser
		lost func(data []byte) bool
	}{
		{"UDP dropped", newLinkUser(t, links[0], ca), isUDP},
		{"no HTTP/3", newNear(t, links[1], farConfig(asPlain)), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			overTCP := c.user.must(t, []string{c.user.ferry, "ask", "-q", "-n", "far", "hi"})
			for try := 1; ; try++ {
				saw := c.user.link.capture(c.lost)
				took := c.user.must(t, []string{c.user.ferry, "ask", "-q", "-n", "far", "--http3", "hi"})
				after, port := saw.firstTCP()
				trips := saw.connection(port).trips()
				if (after > 300*time.Millisecond || trips != 3) && try < 5 {
					continue // a busy machine is late
				}
				t.Logf("TCP began after %d ms and took %d round trips; the ask took %d ms, over TCP alone %d ms",
					after.Milliseconds(), trips, took.Milliseconds(), overTCP.Milliseconds())
				errorIf(t, after > 300*time.Millisecond || trips != 3,
					"TCP began %s after HTTP/3 and took %d round trips, want at most 300 ms and 3", after, trips)
				return
			}
		})
	}
	t.Run("UDP dropped after the handshake", func(t *testing.T) {
		t.Parallel()
		user := newLinkUser(t, links[2], ca)
		var done atomic.Bool
		watch := func(outward bool, data []byte) bool {
			_, rest := ipPayload(data)
			if isUDP(data) && outward && len(rest) > 8 && rest[8]&0x80 == 0 { // a short header: the handshake has ended
				done.Store(true)
			}
			return isUDP(data) && done.Load()
		}
		links[2].watch.Store(&watch)
		took, err := user.timed([]string{user.ferry, "ask", "-q", "-n", "far", "--http3", "hi"})
		t.Logf("after %.1f s: %v", took.Seconds(), err)
		errorIf(t, err == nil || !strings.Contains(err.Error(), "no packet arrived over HTTP/3 for 30s") || took > testTimeout,
			"after %s: %v, want no packet for 30s, within %s", took, err, testTimeout)
	})
}

// firstTCP returns how long after the first QUIC handshake the first TCP handshake began, and its port.
func (c *capture) firstTCP() (after time.Duration, port uint16) {
	c.mu.Lock()
	defer c.mu.Unlock()
	begins := func(udp bool) int {
		return slices.IndexFunc(c.packets, func(p packet) bool { return p.syn && p.outward && p.udp == udp })
	}
	tcp, quic := begins(false), begins(true)
	if tcp < 0 || quic < 0 {
		return time.Hour, 0
	}
	return c.packets[tcp].at - c.packets[quic].at, c.packets[tcp].port
}

// TestPathPick checks the purpose of `pick: fastest`: over two lossy links the first answer arrives earlier than from
// the better node only, and a dead node costs nothing.
func TestPathPick(t *testing.T) {
	runs := linkRuns(t, 0)
	if !aloneOnNetwork(t) {
		return
	}
	near := newSlowLink(t, 8, linkDelay, 0.15)
	second, dead := near.secondLink(t, 9, 130*time.Millisecond, 0.15), near.secondLink(t, 10, linkDelay, 0)
	dead.dead.Store(true)
	ca := startFarHTTP3(t, near.far, second.far, dead.far)
	var nodes []farNode
	for i, name := range []string{"near", "second", "dead"} {
		at := netip.AddrPortFrom([]*slowLink{near, second, dead}[i].far, farPort)
		nodes = append(nodes, farNode{name, fmt.Sprint("https://", at), ca, "api: messages"})
	}
	user := func() *linkUser { return newNear(t, near, farConfig(nodes...)) }
	t.Log("\n" + compareWays(t, runs, user, func(l *linkUser) (all []way) {
		for _, nodes := range []string{"near", "second", "near,second", "near,dead", "dead,near"} {
			for _, more := range [][]string{nil, {"--http3"}} {
				ask := []string{l.ferry, "ask", "-q", "-n", nodes, "--pick", "fastest", "--timeout", "60s", "hi"}
				name := strings.Join(append([]string{nodes}, more...), " ")
				all = append(all, way{name: name, args: append(ask, more...), made: 1})
			}
		}
		return all
	}))
}

// TestPathSize finds the prompt size from which TCP is faster than HTTP/3 on a new connection with 15 % loss.
func TestPathSize(t *testing.T) {
	runs := linkRuns(t, longRuns)
	if !aloneOnNetwork(t) {
		return
	}
	link := newSlowLink(t, 8, linkDelay, 0.15)
	ca := startFarHTTP3(t, link.far)
	for _, size := range []int{8, 16, 32, 64, 128} {
		prompt := filepath.Join(t.TempDir(), "prompt.txt")
		write(t, prompt, strings.Repeat("word ", size<<10/5))
		user := func() *linkUser { return newLinkUser(t, link, ca) }
		t.Logf("a prompt of %d KiB\n%s", size, compareWays(t, runs*2/5, user, func(l *linkUser) []way {
			ask := []string{l.ferry, "ask", "-q", "-n", "far", "--timeout", "2m", "--no-stdin", "-f", prompt}
			return []way{
				{name: "ask", args: ask, made: 1},
				{name: "ask --http3-only", args: append(slices.Clone(ask), "--http3-only"), made: 1},
			}
		}))
	}
}

// TestPathTable measures the numbers of the table in `ferry help path`.
func TestPathTable(t *testing.T) {
	runs := linkRuns(t, longRuns)
	if !aloneOnNetwork(t) {
		return
	}
	var links []*slowLink
	var at []netip.Addr
	for i, trip := range []time.Duration{20, 100, 200, 300} {
		for k, loss := range []float64{0, 0.01, 0.05, 0.15} {
			links = append(links, newSlowLink(t, byte(8+4*i+k), trip*time.Millisecond/2, loss))
			at = append(at, links[len(links)-1].far)
		}
	}
	ca := startFarHTTP3(t, at...)
	for i, link := range links {
		t.Run(fmt.Sprintf("%d ms, %g %% lost each way", []int{20, 100, 200, 300}[i/4], 100*link.loss), func(t *testing.T) {
			t.Parallel()
			t.Log("\n" + compareWays(t, runs/5, func() *linkUser { return newLinkUser(t, link, ca) }, func(l *linkUser) []way {
				all := l.ways("")
				return []way{all[0], all[2], all[3]}
			}))
		})
	}
}

// count runs a way until it takes the expected number of round trips and connections. A busy machine is sometimes late
// and opens another connection, so the best of several tries counts. If before is not nil, it is called before each
// try.
func (l *linkUser) count(t *testing.T, w way, before func()) (saw, one *capture) {
	t.Helper()
	const tries = 5
	var said []string
	for {
		if before != nil {
			before()
		}
		saw = l.link.capture(nil)
		l.must(t, w.args)
		spoken, made := saw.ports()
		fatalIf(t, len(spoken) == 0, "%s sent no packet", w.name)
		one = saw.connection(spoken[0])
		said = append(said, fmt.Sprintf("%d round trips on %d connections, %d of them new: %s",
			one.trips(), len(spoken), len(made), one.sequence()))
		if one.trips() == w.trips && len(spoken) == 1 && len(made) == w.made {
			t.Logf("%s: %s", w.name, said[len(said)-1])
			return saw, one
		}
		if len(said) == tries {
			t.Errorf("%s: want %d round trips on one connection (%d new), got\n%s", w.name, w.trips, w.made, strings.Join(said, "\n"))
			return saw, one
		}
	}
}

// compareWays has several users run all ways at once, each time in a new order, until each way has run the given
// number of times. It returns a table of the times of the processes. ferry must succeed; the table has the number of
// curl's failures.
func compareWays(t *testing.T, runs int, user func() *linkUser, ways func(*linkUser) []way) string {
	users := make([]*linkUser, min(4, (runs+3)/4))
	for i := range users {
		users[i] = user()
	}
	names := ways(users[0])
	took, failed := make([][]time.Duration, len(names)), make([]int, len(names))
	var mu sync.Mutex
	var all sync.WaitGroup
	left := runs
	for _, l := range users {
		mine := ways(l)
		for _, w := range mine {
			if w.made == 0 {
				l.must(t, w.args)
			}
		}
		all.Go(func() {
			for {
				mu.Lock()
				left--
				over := left < 0
				mu.Unlock()
				if over {
					return
				}
				for _, i := range rand.Perm(len(mine)) {
					d, err := l.timed(mine[i].args)
					mu.Lock()
					if err == nil {
						took[i] = append(took[i], d)
					} else if failed[i]++; mine[i].args[0] == l.ferry {
						t.Error(err)
					}
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	var b strings.Builder
	fmt.Fprintf(&b, "%-26s %4s %6s %6s %6s %6s %6s %6s   %6s %6s\n",
		"seconds", "n", "failed", "mean", "p50", "p90", "p95", "p99", "x mean", "x p95")
	for i, w := range names {
		slices.Sort(took[i])
		fmt.Fprintf(&b, "%-26s %4d %6d %6.2f %6.2f %6.2f %6.2f %6.2f   %6.2f %6.2f\n", w.name, len(took[i]), failed[i], mean(took[i]),
			quantile(took[i], 0.5), quantile(took[i], 0.9), quantile(took[i], 0.95), quantile(took[i], 0.99),
			mean(took[i])/mean(took[0]), quantile(took[i], 0.95)/quantile(took[0], 0.95))
	}
	return b.String()
}

// mean returns the mean in seconds.
func mean(all []time.Duration) float64 {
	var sum time.Duration
	for _, d := range all {
		sum += d
	}
	return sum.Seconds() / float64(max(len(all), 1))
}

// quantile returns a quantile of sorted durations, in seconds.
func quantile(all []time.Duration, share float64) float64 {
	if len(all) == 0 {
		return 0
	}
	return all[min(int(share*float64(len(all))), len(all)-1)].Seconds()
}

package cmd_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ferry/pkg/transport"
)

// soak skips what make soak alone runs.
func soak(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("FERRY_SOAK") == "" {
		t.Skip(why + "; make soak runs it")
	}
}

// round is what each way took in one round, by its name, and the port of its connection.
type round struct {
	took map[string][]time.Duration
	port map[string]uint16
}

// wireLink is one of two links side by side: without loss, and with a twentieth of the packets lost each way.
type wireLink struct {
	*slowLink
	name   string
	loss   float64
	saw    *capture
	mu     sync.Mutex
	rounds []round
}

// measureWire runs rounds on both links at once. Within a round all ways come one after the other.
func measureWire(t *testing.T, workers, rounds int, begin func(link *slowLink) func() (round, error)) []*wireLink {
	links := []*wireLink{{name: "0 % loss"}, {name: "5 % loss each way", loss: 0.05}}
	var all sync.WaitGroup
	for i, l := range links {
		l.slowLink = newSlowLink(t, byte(8+i), linkDelay, l.loss)
		l.saw = l.capture(t)
		for range workers {
			one := begin(l.slowLink)
			all.Go(func() {
				for range rounds {
					r, err := one()
					if err != nil {
						t.Error(err)
						return
					}
					l.mu.Lock()
					l.rounds = append(l.rounds, r)
					l.mu.Unlock()
				}
			})
		}
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return links
}

// all are the figures of one way, round by round.
func (l *wireLink) all(way string) (all []time.Duration) {
	for _, r := range l.rounds {
		all = append(all, r.took[way]...)
	}
	return all
}

const spreadHead = "median    25%    75%    95%  worst"

// spread shows a median, the quartiles, the 95th percentile and the worst, in milliseconds.
func (l *wireLink) spread(way string) string {
	all := slices.Sorted(slices.Values(l.all(way)))
	at := func(share float64) int64 { return all[min(int(share*float64(len(all))), len(all)-1)].Milliseconds() }
	return fmt.Sprintf("  %-32s %6d %6d %6d %6d %6d", way, at(0.5), at(0.25), at(0.75), at(0.95), at(1))
}

// saves is the median of what one way took less than the other in the same round, and the interval that holds it in 19 of
// 20 measurements, from the ranks of the binomial distribution.
func (l *wireLink) saves(fast, slow string) (median time.Duration, text string) {
	all := l.all(slow)
	for i, took := range l.all(fast) {
		all[i] -= took
	}
	slices.Sort(all)
	n := len(all)
	wide := int(math.Ceil(0.98 * math.Sqrt(float64(n))))
	return all[n/2], fmt.Sprintf("  %s saves %d ms (%d to %d)\n", fast, all[n/2].Milliseconds(),
		all[max(n/2-wide, 0)].Milliseconds(), all[min(n/2+wide, n-1)].Milliseconds())
}

// crossed gives of one way's connections the medians of what crossed, and the fewest round trips: a busy machine adds some.
func (l *wireLink) crossed(way string) (out, in, trips int) {
	var outs, ins, all []int
	for _, r := range l.rounds {
		one := l.saw.connection(r.port[way])
		o, i := one.bytes()
		outs, ins, all = append(outs, o), append(ins, i), append(all, one.trips())
	}
	at := func(all []int) int { return slices.Sorted(slices.Values(all))[len(all)/2] }
	return at(outs), at(ins), slices.Min(all)
}

const (
	wirePrompts = 64 // of a batch
	wireAtOnce  = 16
)

// TestHTTP2 holds the reasons for which ferry speaks HTTP/1.1 on TCP: neither a request on a new connection nor a batch has
// its answers sooner over HTTP/2. More rounds than these make the intervals narrow: pkg/transport has the figures of sixty.
func TestHTTP2(t *testing.T) {
	long(t, "a measurement over a slow link, of real time")
	soak(t, "a measurement of a choice that is made")
	if !aloneOnNetwork(t) {
		return
	}
	by := newAuthority(t, "protocols", nil)
	var table strings.Builder
	for _, l := range measureWire(t, 3, 9, func(link *slowLink) func() (round, error) { return protocolRounds(t, link, by) }) {
		fmt.Fprintf(&table, "%-34s %s\n", fmt.Sprintf("%s, %d rounds, ms", l.name, len(l.rounds)), spreadHead)
		for _, protocol := range []string{"HTTP/1.1", "HTTP/2"} {
			for _, what := range []string{", one request", ", a batch", ", its prompts"} {
				fmt.Fprintln(&table, l.spread(protocol+what))
			}
		}
		for _, what := range []string{", one request", ", a batch"} {
			saved, text := l.saves("HTTP/2"+what, "HTTP/1.1"+what)
			table.WriteString(text)
			if l.loss == 0 {
				atMost(t, "what HTTP/2 saves of"+what+" where nothing is lost", saved, linkDelay)
			}
		}
	}
	t.Log("\n" + table.String())
}

// protocolRounds gives a worker's round: a request and a batch over each protocol, each on connections of its own.
func protocolRounds(t *testing.T, link *slowLink, by *authority) func() (round, error) {
	to := startFarGo(t, link, &tls.Config{Certificates: []tls.Certificate{by.issueAt(t, link.far.AsSlice())}})
	target, err := url.Parse(to)
	check(t, err)
	return func() (round, error) {
		took := map[string][]time.Duration{}
		for version, name := range map[int]string{1: "HTTP/1.1", 2: "HTTP/2"} {
			for _, prompts := range []int{1, wirePrompts} {
				rt, err := overHTTP(version, link, by, target)
				if err != nil {
					return round{}, err
				}
				started := time.Now()
				each, err := askAll(t.Context(), rt, version, to, prompts)
				what := map[bool]string{true: ", one request", false: ", a batch"}[prompts == 1]
				took[name+what] = []time.Duration{time.Since(started)}
				rt.(interface{ CloseIdleConnections() }).CloseIdleConnections()
				if err != nil {
					return round{}, fmt.Errorf("%d prompts over %s: %w", prompts, name, err)
				}
				took[name+", its prompts"] = each
			}
		}
		return round{took: took}, nil
	}
}

// overHTTP is ferry's own transport, or one of HTTP/2 that makes one connection, however many ask at once.
func overHTTP(version int, link *slowLink, by *authority, target *url.URL) (http.RoundTripper, error) {
	if version == 1 {
		return transport.New(transport.Options{
			Target: target, TLS: transport.TLS{CA: by.file}, Dial: link.dial, Connections: wireAtOnce,
		})
	}
	rt := &http.Transport{
		DisableCompression: true,
		TLSClientConfig:    &tls.Config{RootCAs: pool(by), MinVersion: tls.VersionTLS13},
		DialContext:        link.dial,
		MaxConnsPerHost:    1, // without it each of those that ask at once would begin one
		Protocols:          new(http.Protocols),
	}
	rt.Protocols.SetHTTP2(true)
	return rt, nil
}

// askAll asks so many prompts of a thousand bytes, of which the answers have two thousand, at most wireAtOnce at a time.
func askAll(ctx context.Context, rt http.RoundTripper, version int, to string, prompts int) (each []time.Duration, err error) {
	body := strings.Replace(smallMessage, "canary-prompt-0004", strings.Repeat("word ", 200), 1)
	work := make(chan struct{}, prompts)
	for range prompts {
		work <- struct{}{}
	}
	close(work)
	var mu sync.Mutex
	var workers sync.WaitGroup
	for range min(wireAtOnce, prompts) {
		workers.Go(func() {
			for range work {
				started := time.Now()
				bad := askOnce(ctx, rt, version, to+"/v1/messages?big=2000", body)
				mu.Lock()
				each = append(each, time.Since(started))
				if bad != nil {
					err = bad
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	return each, err
}

func askOnce(ctx context.Context, rt http.RoundTripper, version int, to, body string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	r.Header = with("canary-key-0008")
	resp, err := rt.RoundTrip(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	least := map[bool]int64{true: 2000}[strings.HasSuffix(to, "?big=2000")]
	if err == nil && (resp.StatusCode != http.StatusOK || n < least || resp.ProtoMajor != version) {
		err = fmt.Errorf("answered %s %s and %d bytes, want HTTP/%d", resp.Proto, resp.Status, n, version)
	}
	return err
}

// handshakes are the ways to begin a connection of which one might be worth keeping something for, and their round trips.
var handshakes = []struct {
	name    string
	version uint16
	kept    bool
	trips   int
}{
	{"TLS 1.3, full", tls.VersionTLS13, false, 3}, {"TLS 1.3, with a ticket", tls.VersionTLS13, true, 3},
	{"TLS 1.2, full", tls.VersionTLS12, false, 4}, {"TLS 1.2, with a ticket", tls.VersionTLS12, true, 3},
}

// TestSessionTickets holds the reason for which ferry keeps no session tickets: under TLS 1.3 a connection that resumes
// takes as many round trips as one that does not, since Go's client sends no early data. The server's chain is as long as
// a public one, so that a ticket has something to save. pkg/transport has the figures of 360 rounds.
func TestSessionTickets(t *testing.T) {
	long(t, "a measurement over a slow link, of real time")
	soak(t, "a measurement of a choice that is made")
	if !aloneOnNetwork(t) {
		return
	}
	root := newAuthority(t, "root", nil)
	above := newAuthority(t, "above", root)
	issuer := newAuthority(t, "issuer", above)
	var table strings.Builder
	for _, l := range measureWire(t, 5, 6, func(link *slowLink) func() (round, error) { return ticketRounds(t, link, root, issuer, above) }) {
		fmt.Fprintf(&table, "%-34s %s\n", fmt.Sprintf("%s, %d rounds, ms", l.name, len(l.rounds)), spreadHead)
		for _, way := range handshakes {
			out, in, trips := l.crossed(way.name)
			fmt.Fprintf(&table, "%s\n%s, %d bytes out, %d in\n", l.spread(way.name+": handshake"), l.spread(way.name), out, in)
			if l.loss == 0 {
				equal(t, way.name+": round trips", trips, way.trips)
			}
		}
		for k := 0; k < len(handshakes); k += 2 {
			_, text := l.saves(handshakes[k+1].name, handshakes[k].name)
			table.WriteString(text)
		}
	}
	t.Log("\n" + table.String())
}

// ticketRounds gives a worker's round: a request each way, with tickets of its own.
func ticketRounds(t *testing.T, link *slowLink, root, issuer, above *authority) func() (round, error) {
	pair := issuer.issue(t, func(c *x509.Certificate) {
		c.IPAddresses = append(c.IPAddresses, link.far.AsSlice())
		for i := range 100 {
			c.DNSNames = append(c.DNSNames, fmt.Sprintf("node-%03d.example", i))
		}
	}, issuer, above)
	to := startFarGo(t, link, &tls.Config{Certificates: []tls.Certificate{pair}})
	var configs []*tls.Config
	for _, way := range handshakes {
		c := &tls.Config{RootCAs: pool(root), MinVersion: way.version, MaxVersion: way.version}
		if way.kept {
			c.ClientSessionCache = tls.NewLRUClientSessionCache(4)
			_, _, _, err := askAnew(t.Context(), link, to, c, false)
			check(t, err)
		}
		configs = append(configs, c)
	}
	return func() (round, error) {
		r := round{map[string][]time.Duration{}, map[string]uint16{}}
		for i, way := range handshakes {
			shook, whole, port, err := askAnew(t.Context(), link, to, configs[i], way.kept)
			if err != nil {
				return r, fmt.Errorf("%s: %w", way.name, err)
			}
			r.took[way.name+": handshake"], r.took[way.name], r.port[way.name] = []time.Duration{shook}, []time.Duration{whole}, port
		}
		return r, nil
	}
}

// askAnew asks once on a new connection, and gives what it took until the handshake was done and until the answer was there.
func askAnew(ctx context.Context, link *slowLink, to string, config *tls.Config, resumes bool) (shook, whole time.Duration, port uint16, err error) {
	rt := &http.Transport{TLSClientConfig: config, DialContext: link.dial, DisableKeepAlives: true}
	started := time.Now()
	resumed := false
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		TLSHandshakeDone: func(state tls.ConnectionState, _ error) { shook, resumed = time.Since(started), state.DidResume },
		GotConn:          func(c httptrace.GotConnInfo) { port = uint16(c.Conn.LocalAddr().(*net.TCPAddr).Port) },
	})
	err = askOnce(ctx, rt, 1, to+"/v1/messages", smallMessage)
	if whole = time.Since(started); err == nil && resumed != resumes {
		err = fmt.Errorf("resumed: %t, want %t", resumed, resumes)
	}
	return shook, whole, port, err
}

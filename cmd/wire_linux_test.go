package cmd_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ferry/pkg/transport"
)

const (
	wirePrompts = 64 // of a batch
	wireAtOnce  = 16
)

// carried is what one round took.
type carried struct {
	one, all [2]time.Duration   // a request on a new connection, and a batch, for each protocol
	prompts  [2][]time.Duration // each of the batch, from its start to its answer
}

// TestHTTP2 holds the reasons for which ferry speaks HTTP/1.1 alone: neither a request on a new connection nor a batch has
// its answers sooner over HTTP/2. More rounds than these make the intervals narrow: pkg/transport has the figures of sixty.
func TestHTTP2(t *testing.T) {
	long(t, "a measurement over a slow link, of real time")
	soak(t, "a measurement of a choice that is made")
	if !aloneOnNetwork(t) {
		return
	}
	by := newAuthority(t, "protocols", nil)
	rounds := onWireLinks(t, 3, 9, func(link *slowLink) func() (carried, error) {
		return protocolRounds(t, link, by)
	})
	var table strings.Builder
	for i, of := range rounds {
		fmt.Fprintf(&table, "%-36s %s\n", fmt.Sprintf("%s, %d rounds, ms", wireLinks[i].name, len(of)), spreadHead)
		var one, all [2][]time.Duration
		for p, name := range []string{"HTTP/1.1", "HTTP/2"} {
			one[p] = column(of, func(c carried) time.Duration { return c.one[p] })
			all[p] = column(of, func(c carried) time.Duration { return c.all[p] })
			var prompts []time.Duration
			for _, c := range of {
				prompts = append(prompts, c.prompts[p]...)
			}
			fmt.Fprintf(&table, "  %-9s one request              %s\n", name, spread(one[p]))
			fmt.Fprintf(&table, "  %-9s a batch                  %s\n", name, spread(all[p]))
			fmt.Fprintf(&table, "  %-9s its prompts              %s\n", name, spread(prompts))
		}
		saved, savedOfAll := gainOf(one[0], one[1]), gainOf(all[0], all[1])
		fmt.Fprintf(&table, "  HTTP/2 saves of one request %s, of a batch %s\n", saved, savedOfAll)
		if wireLinks[i].loss > 0 {
			continue
		}
		for what, g := range map[string]gain{"one request": saved, "a batch": savedOfAll} {
			if g.middle > linkDelay {
				t.Errorf("of %s HTTP/2 saves %s where nothing is lost, want no round trip", what, g)
			}
		}
	}
	t.Log(indented(&table))
}

// protocolRounds gives a worker's round: a request and a batch over each protocol, each on connections of its own.
func protocolRounds(t *testing.T, link *slowLink, by *authority) func() (carried, error) {
	t.Helper()
	to := startFarGo(t, link, &tls.Config{Certificates: []tls.Certificate{by.issueAt(t, link.far.AsSlice())}})
	makers := []func() (http.RoundTripper, error){
		func() (http.RoundTripper, error) { return overHTTP1(link, by, to) },
		func() (http.RoundTripper, error) { return overHTTP2(link, by), nil },
	}
	return func() (c carried, err error) {
		for p, maker := range makers {
			for _, prompts := range []int{1, wirePrompts} {
				rt, err := maker()
				if err != nil {
					return c, err
				}
				started := time.Now()
				each, err := askAll(t.Context(), rt, p+1, to, prompts)
				took := time.Since(started)
				rt.(interface{ CloseIdleConnections() }).CloseIdleConnections()
				if err != nil {
					return c, fmt.Errorf("%d prompts over HTTP/%d: %w", prompts, p+1, err)
				}
				if prompts == 1 {
					c.one[p] = took
				} else {
					c.all[p], c.prompts[p] = took, each
				}
			}
		}
		return c, nil
	}
}

// overHTTP1 is ferry's own transport.
func overHTTP1(link *slowLink, by *authority, to string) (http.RoundTripper, error) {
	target, err := url.Parse(to)
	if err != nil {
		return nil, err
	}
	return transport.New(transport.Options{
		Target: target, TLS: transport.TLS{CA: by.file}, Dial: link.dial, Connections: wireAtOnce,
	})
}

// overHTTP2 makes one connection, however many ask at once.
func overHTTP2(link *slowLink, by *authority) http.RoundTripper {
	rt := &http.Transport{
		DisableCompression: true,
		TLSClientConfig:    &tls.Config{RootCAs: pool(by), MinVersion: tls.VersionTLS13},
		DialContext:        link.dial,
		MaxConnsPerHost:    1, // without it each of those that ask at once would begin one
		Protocols:          new(http.Protocols),
	}
	rt.Protocols.SetHTTP2(true)
	return rt
}

// askAll asks so many prompts of a thousand bytes, of which the answers have two thousand, at most wireAtOnce at a time.
func askAll(ctx context.Context, rt http.RoundTripper, version int, to string, prompts int) (each []time.Duration, err error) {
	body := []byte(strings.Replace(smallMessage, "canary-prompt-0004", strings.Repeat("word ", 200), 1))
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

func askOnce(ctx context.Context, rt http.RoundTripper, version int, to string, body []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return err
	}
	askAsMessages(r)
	resp, err := rt.RoundTrip(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || n < 2000 || resp.ProtoMajor != version) {
		err = fmt.Errorf("answered %s %s and %d bytes", resp.Proto, resp.Status, n)
	}
	return err
}

// wireLinks are the two links that the wire's choices are measured over, side by side: one that loses nothing, and one
// that loses a twentieth of the packets each way.
var wireLinks = []struct {
	name   string
	number byte
	loss   float64
}{{"0 % loss", 8, 0}, {"5 % loss each way", 9, 0.05}}

// onWireLinks runs a measurement on both links at once, in workers that each do so many rounds, and gives what each made
// of it. Within a round everything that is compared comes one after the other.
func onWireLinks[R any](t *testing.T, workers, rounds int, begin func(link *slowLink) func() (R, error)) [][]R {
	t.Helper()
	var all sync.WaitGroup
	results := make([][]R, len(wireLinks))
	for i, of := range wireLinks {
		link := newSlowLink(t, of.number, linkDelay, of.loss)
		var mu sync.Mutex
		for range workers {
			round := begin(link)
			all.Go(func() {
				for range rounds {
					r, err := round()
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					results[i] = append(results[i], r)
					mu.Unlock()
				}
			})
		}
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return results
}

// spread shows a median, the quartiles, the 95th percentile and the worst, in milliseconds.
func spread(all []time.Duration) string {
	all = slices.Sorted(slices.Values(all))
	at := func(share float64) int64 { return all[min(int(share*float64(len(all))), len(all)-1)].Milliseconds() }
	return fmt.Sprintf("%6d %6d %6d %6d %6d", at(0.5), at(0.25), at(0.75), at(0.95), at(1))
}

const spreadHead = "median    25%    75%    95%  worst"

// gain is the median of what one way took more than the other in the same round, and the interval that holds it in 19 of
// 20 measurements, from the ranks of the binomial distribution.
type gain struct{ low, middle, high time.Duration }

func gainOf(slow, fast []time.Duration) gain {
	all := make([]time.Duration, len(slow))
	for i := range slow {
		all[i] = slow[i] - fast[i]
	}
	slices.Sort(all)
	n := len(all)
	wide := int(math.Ceil(0.98 * math.Sqrt(float64(n))))
	return gain{all[max(n/2-wide, 0)], all[n/2], all[min(n/2+wide, n-1)]}
}

func (g gain) String() string {
	return fmt.Sprintf("%d ms (%d to %d)", g.middle.Milliseconds(), g.low.Milliseconds(), g.high.Milliseconds())
}

// column takes one figure out of each round.
func column[R any](rounds []R, take func(R) time.Duration) (all []time.Duration) {
	for _, r := range rounds {
		all = append(all, take(r))
	}
	return all
}

// soak skips what make soak alone runs.
func soak(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("FERRY_SOAK") == "" {
		t.Skip(why + "; make soak runs it")
	}
}

// indented is a table as it stands in a log.
func indented(b *strings.Builder) string { return "\n" + b.String() }

// handshakes are the ways to begin a connection of which one might be worth keeping something for.
var handshakes = []struct {
	name    string
	version uint16
	kept    bool
}{
	{"TLS 1.3, full", tls.VersionTLS13, false}, {"TLS 1.3, with a ticket", tls.VersionTLS13, true},
	{"TLS 1.2, full", tls.VersionTLS12, false}, {"TLS 1.2, with a ticket", tls.VersionTLS12, true},
}

// begun is what one request on a new connection took.
type begun struct {
	shook, whole time.Duration // until the handshake was done, and until the answer was there
	port         uint16
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
	captures := map[*slowLink]*capture{}
	var links []*slowLink
	rounds := onWireLinks(t, 5, 6, func(link *slowLink) func() ([]begun, error) {
		if captures[link] == nil {
			captures[link] = link.capture(t)
			links = append(links, link)
		}
		return ticketRounds(t, link, root, issuer, above)
	})
	var table strings.Builder
	for i, link := range links {
		fmt.Fprintf(&table, "%-36s %s | %s | bytes out, in\n%-36s %-34s | the whole request\n",
			fmt.Sprintf("%s, %d rounds, ms", wireLinks[i].name, len(rounds[i])), spreadHead, spreadHead, "", "to the end of the handshake")
		for n, way := range handshakes {
			shook := column(rounds[i], func(r []begun) time.Duration { return r[n].shook })
			whole := column(rounds[i], func(r []begun) time.Duration { return r[n].whole })
			out, in, trips := crossed(captures[link], rounds[i], n)
			fmt.Fprintf(&table, "  %-34s %s | %s | %5d, %5d\n", way.name, spread(shook), spread(whole), out, in)
			if want := map[string]int{"TLS 1.2, full": 4}[way.name]; wireLinks[i].loss == 0 && trips != max(want, 3) {
				t.Errorf("%s took %d round trips", way.name, trips)
			}
		}
		for n, version := range []string{"TLS 1.3", "TLS 1.2"} {
			took := func(way int) []time.Duration {
				return column(rounds[i], func(r []begun) time.Duration { return r[way].whole })
			}
			saved := gainOf(took(2*n), took(2*n+1))
			fmt.Fprintf(&table, "  a ticket saves under %s: %s\n", version, saved)
		}
	}
	t.Log(indented(&table))
}

// ticketRounds gives a worker's round: a request each way. It has tickets of its own, from a connection before the first
// round.
func ticketRounds(t *testing.T, link *slowLink, root, issuer, above *authority) func() ([]begun, error) {
	t.Helper()
	pair := issuer.issue(t, func(c *x509.Certificate) {
		c.IPAddresses = append(c.IPAddresses, link.far.AsSlice())
		for i := range 100 {
			c.DNSNames = append(c.DNSNames, fmt.Sprintf("node-%03d.example", i))
		}
	}, issuer, above)
	url := startFarGo(t, link, &tls.Config{Certificates: []tls.Certificate{pair}})
	var configs []*tls.Config
	for _, way := range handshakes {
		c := &tls.Config{RootCAs: pool(root), MinVersion: way.version, MaxVersion: way.version, NextProtos: []string{"http/1.1"}}
		if way.kept {
			c.ClientSessionCache = tls.NewLRUClientSessionCache(4)
			if _, err := begin(t, link, url, c, false); err != nil {
				t.Fatal(err)
			}
		}
		configs = append(configs, c)
	}
	return func() (all []begun, err error) {
		for i, c := range configs {
			b, err := begin(t, link, url, c, handshakes[i].kept)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", handshakes[i].name, err)
			}
			all = append(all, b)
		}
		return all, nil
	}
}

// begin makes a connection, asks once and closes it.
func begin(t *testing.T, link *slowLink, to string, config *tls.Config, resumes bool) (b begun, err error) {
	at, err := url.Parse(to)
	if err != nil {
		return b, err
	}
	started := time.Now()
	conn, err := link.dial(t.Context(), "tcp", at.Host)
	if err != nil {
		return b, err
	}
	b.port = uint16(conn.LocalAddr().(*net.TCPAddr).Port)
	config = config.Clone()
	config.ServerName = at.Hostname()
	client := tls.Client(conn, config)
	defer client.Close()
	if err := client.HandshakeContext(t.Context()); err != nil {
		return b, err
	}
	b.shook = time.Since(started)
	if got := client.ConnectionState().DidResume; got != resumes {
		return b, fmt.Errorf("resumed: %t, want %t", got, resumes)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to+"/v1/messages", strings.NewReader(smallMessage))
	if err != nil {
		return b, err
	}
	askAsMessages(r)
	if err := r.Write(client); err != nil {
		return b, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(client), r)
	if err != nil {
		return b, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	b.whole = time.Since(started)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("answered %s", resp.Status)
	}
	return b, err
}

func askAsMessages(r *http.Request) {
	r.Header.Set("X-Api-Key", "canary-key-0008")
	r.Header.Set("Anthropic-Version", "2026-10-21")
	r.Header.Set("Content-Type", "application/json")
}

// crossed gives of one way's connections the medians of what crossed, and the fewest round trips: a busy machine adds some.
func crossed(c *capture, rounds [][]begun, way int) (out, in, trips int) {
	var outs, ins, all []int
	for _, r := range rounds {
		one := c.connection(r[way].port)
		o, i := one.bytes()
		outs, ins, all = append(outs, o), append(ins, i), append(all, one.trips())
	}
	at := func(all []int) int { return slices.Sorted(slices.Values(all))[len(all)/2] }
	return at(outs), at(ins), slices.Min(all)
}

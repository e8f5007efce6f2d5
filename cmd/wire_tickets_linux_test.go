package cmd_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"ferry/pkg/demo"
)

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
	if !soaks() {
		t.Skip("a measurement of a choice that is made; make soak runs it")
	}
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
	url := startFarGo(t, link, demo.New(demo.Options{}), &tls.Config{Certificates: []tls.Certificate{pair}})
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

package cmd_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"ferry/pkg/demo"
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
	if !soaks() {
		t.Skip("a measurement of a choice that is made; make soak runs it")
	}
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
	to := startFarGo(t, link, demo.New(demo.Options{}), &tls.Config{Certificates: []tls.Certificate{
		by.issue(t, func(c *x509.Certificate) { c.IPAddresses = append(c.IPAddresses, link.far.AsSlice()) })}})
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

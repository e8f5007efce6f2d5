// Package transport owns the building of one http.RoundTripper for one node: the floor of TLS, certificates, the proxy,
// the connect timeout and the caps on what a server may send. It refuses to follow redirects, to send a request a
// second time, to speak plain http to a public address, and to read the environment: the caller hands it the proxy.
package transport

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"net/url"
	"time"

	"ferry/pkg/guard"
)

// Options say how to reach one node.
type Options struct {
	// Target is the node's address; its scheme decides between TLS and plain http.
	Target *url.URL
	// Proxy is what ProxyFor or a node's own setting gave; nil is a direct connection.
	Proxy *url.URL
	// ProxyFrom is where the proxy was named, such as HTTPS_PROXY, for hints.
	ProxyFrom string
	// TLS is for the node's handshake; a proxy's own handshake never uses it.
	TLS TLS
	// Pins are the public keys of which one has to be in the node's verified chain; none is any.
	Pins []guard.Pin
	// Node is what the node is called, for hints.
	Node string
	// Insecure allows plain http to a public address.
	Insecure bool
	// ConnectTimeout bounds DNS, TCP, proxy and TLS together, as curl's does. 0 is no bound.
	ConnectTimeout time.Duration
	// MaxBody is the most bytes of a body that are read, after decompression. 0 is DefaultMaxBody.
	MaxBody int64
	// Cold makes a new connection for each request and keeps none.
	Cold bool
	// Connections is the most that are kept open for a next request. 0 is 64.
	Connections int
	// Dial replaces the network, for a node inside this process. The checks on plain http do not apply to it.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Lend gives connections on which a request can be written at once, instead of making them: the lender has made
	// them with Connect. Certificates and the proxy were its part, and so is the connect timeout.
	Lend func(ctx context.Context) (net.Conn, error)
}

const (
	// DefaultMaxBody is the cap on a whole answer.
	DefaultMaxBody = 64 << 20
	// MaxHeader is the cap on a reply's header; net/http's own is 10 MiB.
	MaxHeader = 64 << 10
)

// New builds the transport. The error is a bad certificate file or a proxy of an unknown scheme: nothing was sent.
//
// HTTP/1.1 alone is spoken, and no TLS session ticket is kept. Both were measured on 2026-11-23 over a link of 200 ms a
// round trip, without loss and with 5 % of the packets lost each way (TestHTTP2 and TestSessionTickets in cmd, medians):
//
//   - A request on a new connection takes as long over HTTP/2: 615 and 612 ms, 3 round trips. A batch of 64 prompts of 1 kB,
//     answers of 2 kB, 16 at once, takes longer: 1.37 s on connections that are kept and 1.65 s over HTTP/2, with loss
//     2.60 s and 3.07 s. One connection begins with one congestion window, and its streams wait for each other's lost
//     packets: with loss the middle prompt took 339 and 609 ms. Nor has HTTP/1.1 silent replays, as GOAWAY and
//     REFUSED_STREAM have.
//   - Under TLS 1.3 a ticket saves 0 ms (0 to 1 at 95 %), with loss 0 ms (-2 to 1): Go's client sends no early data, so that
//     resuming takes the same round trips. Under TLS 1.2, which a node has to ask for, it would save one of four. A held
//     connection (pkg/hold) saves all but one, and writes nothing to a disk.
func New(o Options) (http.RoundTripper, error) {
	rt := &http.Transport{
		DisableCompression:     true, // a server that was not asked cannot send a bomb; capped bounds one that does
		MaxResponseHeaderBytes: MaxHeader,
		DisableKeepAlives:      o.Cold,
		MaxIdleConnsPerHost:    cmp.Or(o.Connections, 64),
		IdleConnTimeout:        90 * time.Second,
	}
	if err := o.dials(rt); err != nil {
		return nil, err
	}
	return &checking{next: &capped{next: rt, limit: o.MaxBody}, pool: rt, options: o}, nil
}

// dials says how rt gets its connections.
func (o Options) dials(rt *http.Transport) error {
	if o.Lend != nil {
		rt.DialContext = linked(func(ctx context.Context, _, _ string) (net.Conn, error) { return o.Lend(ctx) })
		rt.DialTLSContext = rt.DialContext
		return nil
	}
	var err error
	if rt.TLSClientConfig, err = o.TLS.config(o.Target); err != nil {
		return err
	}
	if rt.TLSClientConfig != nil {
		rt.TLSClientConfig.VerifyConnection = o.checkPins
	}
	dialer := dialer{options: o, net: &net.Dialer{Control: o.refusePlain}}
	if o.Dial != nil {
		rt.DialContext = linked(dialer.bounded(o.Dial))
		return nil
	}
	rt.DialContext = linked(dialer.bounded(dialer.net.DialContext))
	return dialer.useProxy(rt)
}

// hostPort is a target's host and port; where it names none, the scheme's port.
func hostPort(target *url.URL) string {
	port := target.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[target.Scheme]
	}
	return net.JoinHostPort(target.Hostname(), port)
}

// plain reports whether requests cross the network unencrypted.
func (o Options) plain() bool { return o.Target.Scheme == "http" && o.Dial == nil }

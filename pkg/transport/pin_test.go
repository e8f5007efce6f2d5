package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"ferry/pkg/guard"
)

func pinOf(t *testing.T, pair tls.Certificate) guard.Pin {
	t.Helper()
	cert, err := x509.ParseCertificate(pair.Certificate[0])
	check(t, err)
	return guard.PinOf(cert)
}

// chained returns pair with the certificates of its authorities appended.
func chained(pair tls.Certificate, above ...*authority) tls.Certificate {
	for _, a := range above {
		pair.Certificate = append(slices.Clone(pair.Certificate), a.cert.Raw)
	}
	return pair
}

func TestPins(t *testing.T) {
	root, stranger := privateCA(t), privateCA(t)
	middle := signAuthority(root, yesterday(), nextYear())
	leaf := chained(middle.issue(nil), middle)
	appended := chained(leaf, stranger)
	other := pinOf(t, root.issue(nil))
	tests := []struct {
		name   string
		server tls.Certificate
		pins   []guard.Pin
		holds  bool
	}{
		{"the leaf's key", leaf, []guard.Pin{pinOf(t, leaf)}, true},
		{"the intermediate's key", leaf, []guard.Pin{guard.PinOf(middle.cert)}, true},
		{"the root's key, which the server does not even send", leaf, []guard.Pin{guard.PinOf(root.cert)}, true},
		{"the second of two, in a rotation", leaf, []guard.Pin{other, pinOf(t, leaf)}, true},
		{"none", leaf, nil, true},
		{"another key", leaf, []guard.Pin{other}, false},
		{"two other keys", leaf, []guard.Pin{other, {}}, false},
		{"a certificate that the server only appended", appended, []guard.Pin{guard.PinOf(stranger.cert)}, false},
		{"an appended one beside the right one", appended, []guard.Pin{guard.PinOf(stranger.cert), pinOf(t, leaf)}, true},
		{"a new certificate of the same authority", chained(middle.issue(nil), middle), []guard.Pin{pinOf(t, leaf)}, false},
	}
	for _, max := range []uint16{tls.VersionTLS13, tls.VersionTLS12} {
		for _, test := range tests {
			t.Run(tls.VersionName(max)+" "+test.name, func(t *testing.T) {
				config := upTo(max, serving(test.server))
				s := tlsSink(t, config)
				o := root.node(t, s.address)
				o.TLS.Min, o.Pins, o.Node = "1.2", test.pins, "hongkong"
				if test.holds {
					o.Target = mustURL(t, tlsServer(t, config).URL)
					expectAnswer(t, o, " the prompt")
					return
				}
				_, _, err := post(t, o)
				refused(t, err, s.address, "its certificate has none of the pinned keys: pinned "+guard.JoinPins(test.pins, ", ")+
					"; its chain has sha256//", "ferry config pin hongkong")
				s.gotNothing(t)
			})
		}
	}
}

// TestPinsNeedTheCheckToo checks that a matching pin does not make an invalid certificate acceptable.
func TestPinsNeedTheCheckToo(t *testing.T) {
	ca, other := privateCA(t), privateCA(t)
	leaf := ca.issue(nil)
	s := tlsSink(t, serving(leaf))
	o := other.node(t, s.address)
	o.Pins = []guard.Pin{pinOf(t, leaf)}
	_, _, err := post(t, o)
	refused(t, err, s.address, "its certificate is signed by an unknown authority", "tls: {ca: FILE}")
}

// TestPinsOnResumption resumes sessions. The handshake of a resumed session shows no certificate, and it must still
// be checked against the current pins.
func TestPinsOnResumption(t *testing.T) {
	for _, max := range []uint16{tls.VersionTLS13, tls.VersionTLS12} {
		t.Run(tls.VersionName(max), func(t *testing.T) {
			ca := privateCA(t)
			leaf := ca.issue(nil)
			s := tlsServer(t, upTo(max, serving(leaf)))
			cache := tls.NewLRUClientSessionCache(4)
			ask := func(pins ...guard.Pin) (resumed bool, err error) {
				rt := build(t, Options{Target: mustURL(t, s.URL), TLS: TLS{CA: ca.file, Min: "1.2"}, Pins: pins, Cold: true})
				config := rt.tls
				config.ClientSessionCache = cache
				check := config.VerifyConnection
				config.VerifyConnection = func(state tls.ConnectionState) error {
					resumed = state.DidResume
					return check(state)
				}
				_, _, err = roundTrip(rt, request(t, s.URL, body("the prompt")))
				return resumed, err
			}
			resumed, err := ask()
			fatalIf(t, err != nil || resumed, "the first handshake: resumed %t, %v, want a full one", resumed, err)
			resumed, err = ask(pinOf(t, leaf))
			errorIf(t, err != nil || !resumed, "the right pin: resumed %t, %v, want a resumed one", resumed, err)
			resumed, err = ask(pinOf(t, ca.issue(nil)))
			refused(t, err, s.Listener.Addr().String(), "its certificate has none of the pinned keys", "")
			errorIf(t, !resumed, "the session was not resumed, want it resumed: nothing is tested")
		})
	}
}

// TestPinsAreNotTheProxys checks that the node's pins do not apply to the proxy's handshake, and that the node is
// rejected if only the proxy has the pinned key.
func TestPinsAreNotTheProxys(t *testing.T) {
	needsSystemCA(t)
	ca := privateCA(t)
	leaf, proxys := ca.issue(nil), systemCA.issue(nil)
	node, silent := tlsServer(t, serving(leaf)), tlsSink(t, serving(leaf))
	for _, via := range []*tls.Config{nil, serving(proxys)} {
		o := ca.node(t, node.Listener.Addr().String())
		o.Proxy, o.Pins = startProxy(t, &connectProxy{}, via), []guard.Pin{pinOf(t, leaf)}
		expectAnswer(t, o, " the prompt")
		o.Target, o.Pins = mustURL(t, "https://"+silent.address), []guard.Pin{pinOf(t, proxys)}
		_, _, err := post(t, o)
		refused(t, err, silent.address, "its certificate has none of the pinned keys", "")
	}
	silent.gotNothing(t)
}

func TestInspect(t *testing.T) {
	root := privateCA(t)
	middle := signAuthority(root, yesterday(), nextYear())
	leaf := chained(middle.issue(nil), middle)
	s := tlsSink(t, serving(leaf))
	look := func(o Options) (*tls.ConnectionState, error) {
		rt, seen, err := Inspect(o)
		if err != nil {
			return nil, err
		}
		defer closeIdle(rt)
		_, err = rt.RoundTrip(request(t, o.Target.String(), body("the prompt")))
		fatalIf(t, err == nil, "a request went through")
		return seen(), err
	}
	o := root.node(t, s.address)
	o.Pins = []guard.Pin{{}} // a wrong pin, which Inspect must ignore
	for _, via := range []bool{false, true} {
		proxy := &connectProxy{}
		if via {
			o.Proxy = startProxy(t, proxy, nil)
		}
		state, err := look(o)
		fatalIf(t, state == nil || len(state.VerifiedChains) != 1 || len(state.VerifiedChains[0]) != 3,
			"through a proxy %t: got %+v, %v, want one chain of 3", via, state, err)
		errorIf(t, via && !slices.Equal(proxy.seen(), []string{"CONNECT " + s.address}),
			"the proxy saw %q, want CONNECT alone", proxy.seen())
	}
	o.Proxy, o.TLS.CA = nil, privateCA(t).file
	state, err := look(o)
	errorIf(t, state != nil, "got the chain %+v, want none that is not verified", state)
	refused(t, err, s.address, "its certificate is signed by an unknown authority", "")
	s.gotNothing(t)
	o.Target = mustURL(t, "http://"+s.address)
	_, _, err = Inspect(o)
	errorIf(t, !errors.Is(err, errNoTLS), "plain http: got %v, want %v", err, errNoTLS)
}

// TestPinsBeforeAByte counts the bytes sent after a wrong pin was found: only the alert.
func TestPinsBeforeAByte(t *testing.T) {
	ca := privateCA(t)
	s := tlsSink(t, ca.config())
	var writes, bytes atomic.Int64
	o := ca.node(t, s.address)
	o.Pins, o.Dial = []guard.Pin{{}}, countedDial(s.address, &writes, &bytes)
	rt := build(t, o)
	config := rt.tls
	check := config.VerifyConnection
	config.VerifyConnection = func(state tls.ConnectionState) error {
		bytes.Store(0)
		return check(state)
	}
	r := request(t, "https://"+s.address, body(strings.Repeat("the prompt", 1000)))
	_, err := rt.RoundTrip(r)
	refused(t, err, s.address, "its certificate has none of the pinned keys", "")
	n := bytes.Load()
	errorIf(t, n == 0 || n > 64, "%d bytes were written after the check, want 1 to 64: an alert has two and its record's frame", n)
}

// countedConn counts the writes and the bytes written.
type countedConn struct {
	net.Conn
	writes, bytes *atomic.Int64
}

// countedDial returns a dialer of an address that counts the writes of its connections.
func countedDial(address string, writes, bytes *atomic.Int64) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		return countedConn{conn, writes, bytes}, err
	}
}

func (c countedConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	c.bytes.Add(int64(len(p)))
	return c.Conn.Write(p)
}

package transport

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ferry/pkg/guard"
)

// TestProxyFor holds the choice of a proxy to curl's, checked against curl 7.88: the proxy of the target's scheme, else
// ALL_PROXY; no exception for loopback; "*" alone in NO_PROXY; no ports in it.
func TestProxyFor(t *testing.T) {
	const p, q, all = "http://p.test:1", "http://q.test:2", "socks5://all.test:3"
	tests := []struct {
		name   string
		env    ProxyEnv
		target string
		want   string
	}{
		{"nothing", ProxyEnv{}, "https://x.test", ""},
		{"https", ProxyEnv{HTTP: p, HTTPS: q, All: all}, "https://x.test", q},
		{"http", ProxyEnv{HTTP: p, HTTPS: q, All: all}, "http://x.test", p},
		{"the other scheme's does not count", ProxyEnv{HTTP: p}, "https://x.test", ""},
		{"nor the other way", ProxyEnv{HTTPS: q}, "http://x.test", ""},
		{"all", ProxyEnv{All: all}, "https://x.test", all},
		{"all, http", ProxyEnv{All: all, HTTPS: q}, "http://x.test", all},
		{"loopback is no exception", ProxyEnv{All: all}, "http://127.0.0.1:1", all},
		{"nor localhost", ProxyEnv{All: all}, "http://localhost:1", all},
		{"nor ::1", ProxyEnv{All: all}, "http://[::1]:1", all},

		{"no_proxy: star", ProxyEnv{All: all, No: "*"}, "https://x.test", ""},
		{"no_proxy: star with spaces", ProxyEnv{All: all, No: " * "}, "https://x.test", ""},
		{"no_proxy: star in a list is no star", ProxyEnv{All: all, No: "*,y.test"}, "https://x.test", all},
		{"no_proxy: no wild cards", ProxyEnv{All: all, No: "*.x.test"}, "https://a.x.test", all},
		{"no_proxy: the domain", ProxyEnv{All: all, No: "x.test"}, "https://x.test:8443/path", ""},
		{"no_proxy: under the domain", ProxyEnv{All: all, No: "x.test"}, "https://a.b.x.test", ""},
		{"no_proxy: only the same end", ProxyEnv{All: all, No: "x.test"}, "https://notx.test", all},
		{"no_proxy: a leading dot names the domain too", ProxyEnv{All: all, No: ".x.test"}, "https://x.test", ""},
		{"no_proxy: a leading dot, under it", ProxyEnv{All: all, No: ".x.test"}, "https://a.x.test", ""},
		{"no_proxy: a trailing dot", ProxyEnv{All: all, No: "x.test."}, "https://x.test", ""},
		{"no_proxy: a trailing dot in the target", ProxyEnv{All: all, No: "x.test"}, "https://x.test.", ""},
		{"no_proxy: any case", ProxyEnv{All: all, No: "X.Test"}, "https://a.x.TEST", ""},
		{"no_proxy: commas and spaces", ProxyEnv{All: all, No: "a.test, b.test c.test"}, "https://c.test", ""},
		{"no_proxy: in the middle", ProxyEnv{All: all, No: "a.test, b.test c.test"}, "https://b.test", ""},
		{"no_proxy: not in the list", ProxyEnv{All: all, No: "a.test,,. b.test"}, "https://d.test", all},
		{"no_proxy: a port is not understood", ProxyEnv{All: all, No: "x.test:443"}, "https://x.test:443", all},
		{"no_proxy: an address", ProxyEnv{All: all, No: "192.0.2.7"}, "https://192.0.2.7", ""},
		{"no_proxy: another address", ProxyEnv{All: all, No: "192.0.2.7"}, "https://192.0.2.70", all},
		{"no_proxy: the end of an address", ProxyEnv{All: all, No: "2.7"}, "https://192.0.2.7", all},
		{"no_proxy: a block", ProxyEnv{All: all, No: "192.0.2.0/24"}, "https://192.0.2.7", ""},
		{"no_proxy: a block with host bits", ProxyEnv{All: all, No: "192.0.2.9/24"}, "https://192.0.2.7", ""},
		{"no_proxy: outside the block", ProxyEnv{All: all, No: "192.0.2.0/24"}, "https://192.0.3.7", all},
		{"no_proxy: a block of IPv6", ProxyEnv{All: all, No: "2001:db8::/32"}, "https://[2001:db8::1]", ""},
		{"no_proxy: an address of IPv6", ProxyEnv{All: all, No: "2001:db8::1"}, "https://[2001:db8:0::1]:1", ""},
		{"no_proxy: in brackets", ProxyEnv{All: all, No: "[2001:db8::1]"}, "https://[2001:db8::1]", ""},
		{"no_proxy: no block is no name", ProxyEnv{All: all, No: "192.0.2.0/99"}, "https://192.0.2.7", all},
		{"no_proxy: a name is no address", ProxyEnv{All: all, No: "127.0.0.1"}, "https://localhost", all},

		{"no scheme", ProxyEnv{All: "p.test:8"}, "https://x.test", "http://p.test:8"},
		{"a name and a password", ProxyEnv{All: "http://u:w@p.test:8"}, "https://x.test", "http://u:w@p.test:8"},
		{"big letters", ProxyEnv{All: "HTTP://p.test:8"}, "https://x.test", "http://p.test:8"},
		{"socks5h", ProxyEnv{All: "socks5h://p.test:8"}, "https://x.test", "socks5h://p.test:8"},
		// curl's ports: 1080, and 443 of https.
		{"no port", ProxyEnv{All: "p.test"}, "https://x.test", "http://p.test:1080"},
		{"no port, https", ProxyEnv{All: "https://p.test"}, "https://x.test", "https://p.test:443"},
		{"no port, socks5", ProxyEnv{All: "socks5://u@p.test"}, "https://x.test", "socks5://u@p.test:1080"},
		{"no port, IPv6", ProxyEnv{All: "http://[::1]"}, "https://x.test", "http://[::1]:1080"},
	}
	for _, test := range tests {
		got, err := test.env.ProxyFor(mustURL(t, test.target))
		text := ""
		if got != nil {
			text = got.String()
		}
		if err != nil || text != test.want {
			t.Errorf("%s: %q, %v; want %q", test.name, text, err, test.want)
		}
	}
}

func TestParseProxyRefusesWithoutEcho(t *testing.T) {
	for _, raw := range []string{
		"", "http://", "http://:80", "ftp://user:hunter2@p.test", "socks4://user:hunter2@p.test", "http://user:hunter2@p.test:port",
		"http://user:hunter2%zz@p.test", "user:hunter2://p.test", "http://user:hun\nter2@p.test", "://user:hunter2@p.test",
		"http://user:hunter2@", "hunter2:x://p.test",
	} {
		got, err := ParseProxy(raw)
		var refused *ProxyError
		if !errors.As(err, &refused) || got != nil {
			t.Errorf("%q: %v, %v", raw, got, err)
			continue
		}
		for _, text := range []string{err.Error(), refused.Hint(), fmt.Sprintf("%+v", err)} {
			if text == "" || strings.Contains(text, "hun") || strings.Contains(text, "ter2") {
				t.Errorf("%q: %q", raw, text)
			}
		}
	}
	if _, err := (ProxyEnv{All: "ftp://p.test"}).ProxyFor(mustURL(t, "https://x.test")); err == nil {
		t.Error("a bad ALL_PROXY is passed over")
	}
	if _, err := New(Options{Target: mustURL(t, "http://127.0.0.1"), Proxy: mustURL(t, "ftp://p.test")}); err == nil {
		t.Error("New takes a proxy of any scheme")
	}
}

// connectProxy is a small proxy: CONNECT and plain requests, with a password where auth is not "".
type connectProxy struct {
	auth string

	mu       sync.Mutex
	requests []string
	header   []http.Header
}

func (p *connectProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.requests = append(p.requests, r.Method+" "+r.RequestURI)
	p.header = append(p.header, r.Header.Clone())
	p.mu.Unlock()
	if p.auth != "" && r.Header.Get("Proxy-Authorization") != p.auth {
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	if r.Method != http.MethodConnect {
		r.Header.Del("Proxy-Authorization")
		r.RequestURI = ""
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
		return
	}
	far, err := net.Dial("tcp", r.Host)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	near, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		far.Close()
		return
	}
	_, _ = io.WriteString(near, "HTTP/1.1 200 OK\r\n\r\n")
	splice(near, far)
}

// splice carries bytes both ways until one side ends.
func splice(a, b net.Conn) {
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			a.Close()
			b.Close()
		})
	}
	both.Wait()
}

func (p *connectProxy) seen() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests
}

func startProxy(t *testing.T, p *connectProxy, config *tls.Config) *url.URL {
	t.Helper()
	s := httptest.NewUnstartedServer(p)
	s.Config.ErrorLog = quiet
	if config == nil {
		s.Start()
	} else {
		s.TLS = config
		s.StartTLS()
	}
	t.Cleanup(s.Close)
	return mustURL(t, s.URL)
}

// basic is "user:hunter2" as RFC 7617 writes it.
const basic = "Basic dXNlcjpodW50ZXIy"

func TestPlainHTTPThroughAProxy(t *testing.T) {
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s|%s", r.RequestURI, r.Header.Get("Proxy-Authorization"))
	}))
	defer target.Close()
	p := &connectProxy{auth: basic}
	via := startProxy(t, p, nil)
	via.User = url.UserPassword("user", "hunter2")
	_, text, err := post(t, Options{Target: mustURL(t, target.URL+"/v1"), Proxy: via, ConnectTimeout: time.Minute})
	if err != nil || text != "/v1|" {
		t.Errorf("%q, %v; the proxy's password is the proxy's alone", text, err)
	}
	if seen := p.seen(); len(seen) != 1 || seen[0] != "POST "+target.URL+"/v1" {
		t.Errorf("the proxy saw %q", seen)
	}
}

func TestCONNECT(t *testing.T) {
	ca := privateCA(t)
	target := tlsServer(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(nil)}})
	address := target.Listener.Addr().String()
	o := Options{Target: mustURL(t, target.URL), TLS: TLS{CA: ca.file}, ConnectTimeout: time.Minute}

	p := &connectProxy{auth: basic}
	o.Proxy = startProxy(t, p, nil)
	o.Proxy.User = url.UserPassword("user", "hunter2")
	if _, text, err := post(t, o); err != nil || text != "TLS 1.3 "+address+" the prompt" {
		t.Errorf("%q, %v", text, err)
	}
	if seen := p.seen(); len(seen) != 1 || seen[0] != "CONNECT "+address {
		t.Errorf("the proxy saw %q", seen)
	}
	if text := fmt.Sprint(p.header); strings.Contains(text, "prompt") {
		t.Errorf("the proxy saw %s", text)
	}

	o.Proxy.User = url.UserPassword("user", "wrong")
	_, _, err := post(t, o)
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "proxyconnect" || !strings.HasSuffix(err.Error(), "the proxy "+o.Proxy.Host+" answered 407 Proxy Authentication Required") {
		t.Errorf("a wrong password: %v", err)
	}
	if strings.Contains(err.Error(), "wrong") {
		t.Errorf("the password is in %v", err)
	}

	o.Target = mustURL(t, "https://"+unused(t))
	o.Proxy.User = url.UserPassword("user", "hunter2")
	if _, _, err = post(t, o); !errors.As(err, &op) || !strings.HasSuffix(err.Error(), "answered 502 Bad Gateway") {
		t.Errorf("a node that the proxy does not reach: %v", err)
	}

	o.Proxy = mustURL(t, "http://"+unused(t))
	if _, _, err = post(t, o); !errors.As(err, &op) || op.Op != "proxyconnect" {
		t.Errorf("no proxy there: %v", err)
	}
}

// unused is an address at which nothing listens.
func unused(t *testing.T) string {
	l := listen(t)
	l.Close()
	return l.Addr().String()
}

// TestHTTPSProxy holds that the node's tls settings are the node's alone: not its authority, not its floor, not its
// client certificate go into the proxy's handshake (net/http would use one configuration for both).
func TestHTTPSProxy(t *testing.T) {
	needsSystemCA(t)
	ca := privateCA(t)
	target := tlsServer(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(nil)}})
	cert, key := ca.files(ca.issue(nil))
	o := Options{
		Target: mustURL(t, target.URL), TLS: TLS{CA: ca.file, Min: "1.3", Cert: cert, Key: key}, ConnectTimeout: time.Minute,
	}

	shown := -1
	o.Proxy = startProxy(t, &connectProxy{}, &tls.Config{
		Certificates: []tls.Certificate{systemCA.issue(nil)}, MaxVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert,
		VerifyConnection: func(state tls.ConnectionState) error { shown = len(state.PeerCertificates); return nil },
	})
	_, text, err := post(t, o)
	if err != nil || !strings.HasPrefix(text, "TLS 1.3 ") {
		t.Errorf("%q, %v", text, err)
	}
	if shown != 0 {
		t.Errorf("the proxy was shown %d client certificates", shown)
	}

	for name, config := range map[string]*tls.Config{
		"its certificate is signed by an unknown authority":            {Certificates: []tls.Certificate{ca.issue(nil)}},
		"it refused the TLS handshake: protocol version not supported": {Certificates: []tls.Certificate{systemCA.issue(nil)}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
		"it asks for a client certificate":                             {Certificates: []tls.Certificate{systemCA.issue(nil)}, ClientAuth: tls.RequireAnyClientCert},
	} {
		s := tlsSink(t, config)
		o.Proxy = mustURL(t, "https://"+s.address)
		_, _, err = post(t, o)
		refused(t, err, s.address, name, "this is the proxy")
		if n := s.received.Load(); n != 0 {
			t.Errorf("%s: the proxy was sent %d bytes", name, n)
		}
	}
}

// socksServer is a small SOCKS5 server (RFC 1928, 1929) that notes what it is asked for and always goes to the same
// place.
type socksServer struct {
	to, user, password string

	mu    sync.Mutex
	asked []string
}

func (s *socksServer) start(t *testing.T, scheme string) *url.URL {
	t.Helper()
	sink := newSink(t, func(conn net.Conn) io.Reader {
		if err := s.serve(conn); err != nil {
			_, _ = conn.Write([]byte{5, 1, 0, 1, 0, 0, 0, 0, 0, 0}) // general failure
		}
		return nil
	})
	return mustURL(t, scheme+"://"+sink.address)
}

func (s *socksServer) serve(conn net.Conn) error {
	in := bufio.NewReader(conn)
	read := func(n int) []byte {
		b := make([]byte, n)
		_, _ = io.ReadFull(in, b)
		return b
	}
	methods := read(int(read(2)[1]))
	if s.user == "" {
		_, _ = conn.Write([]byte{5, 0})
	} else {
		if !strings.Contains(string(methods), "\x02") {
			return errors.New("no password offered")
		}
		_, _ = conn.Write([]byte{5, 2})
		user := string(read(int(read(2)[1])))
		password := string(read(int(read(1)[0])))
		if user != s.user || password != s.password {
			_, _ = conn.Write([]byte{1, 1})
			return nil
		}
		_, _ = conn.Write([]byte{1, 0})
	}
	head := read(4)
	host := ""
	switch head[3] {
	case 1:
		host = netip.AddrFrom4([4]byte(read(4))).String()
	case 3:
		host = "name " + string(read(int(read(1)[0])))
	case 4:
		host = netip.AddrFrom16([16]byte(read(16))).String()
	}
	port := strconv.Itoa(int(binary.BigEndian.Uint16(read(2))))
	s.mu.Lock()
	s.asked = append(s.asked, host+" "+port)
	s.mu.Unlock()
	far, err := net.Dial("tcp", s.to)
	if err != nil {
		return err
	}
	_, _ = conn.Write([]byte{5, 0, 0, 1, 127, 0, 0, 1, 0, 0})
	splice(conn, far)
	return nil
}

func (s *socksServer) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.asked) == 0 {
		return ""
	}
	return s.asked[len(s.asked)-1]
}

// TestSOCKS holds who looks the name up, as with curl: socks5 here, socks5h there.
func TestSOCKS(t *testing.T) {
	ca := privateCA(t)
	target := tlsServer(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(nil)}})
	s := &socksServer{to: target.Listener.Addr().String(), user: "user", password: "hunter2"}
	o := Options{TLS: TLS{CA: ca.file}, ConnectTimeout: time.Minute}

	o.Target, o.Proxy = mustURL(t, "https://node.test:4433"), s.start(t, "socks5h")
	o.Proxy.User = url.UserPassword("user", "hunter2")
	if _, text, err := post(t, o); err != nil || text != "TLS 1.3 node.test:4433 the prompt" {
		t.Errorf("socks5h: %q, %v", text, err)
	}
	if s.last() != "name node.test 4433" {
		t.Errorf("socks5h asked for %q", s.last())
	}

	o.Proxy.User = url.UserPassword("user", "wrong")
	if _, _, err := post(t, o); err == nil || strings.Contains(err.Error(), "wrong") {
		t.Errorf("a wrong password: %v", err)
	}

	// localhost is in every hosts file: no name leaves this machine.
	o.Target, o.Proxy = mustURL(t, "https://localhost:4433"), s.start(t, "socks5")
	o.Proxy.User = url.UserPassword("user", "hunter2")
	if _, text, err := post(t, o); err != nil || text != "TLS 1.3 localhost:4433 the prompt" {
		t.Errorf("socks5: %q, %v", text, err)
	}
	if got := s.last(); got != "127.0.0.1 4433" && got != "::1 4433" {
		t.Errorf("socks5 asked for %q, want an address", got)
	}

	broken := &socksServer{to: unused(t)}
	o.Proxy = broken.start(t, "socks5h")
	var op *net.OpError
	if _, _, err := post(t, o); !errors.As(err, &op) || op.Op != "socks connect" {
		t.Errorf("a node that the proxy does not reach: %v", err)
	}
}

// TestPlainHTTPIsForLoopbackAndPrivateAddresses holds the decision at dial time, on addresses: what a name resolves to
// today may be another tomorrow.
func TestPlainHTTPIsForLoopbackAndPrivateAddresses(t *testing.T) {
	tests := []struct {
		address string
		allowed bool
	}{
		{"127.0.0.1:80", true},
		{"127.8.8.8:80", true},
		{"[::1]:80", true},
		{"10.1.2.3:80", true},
		{"172.16.0.1:80", true},
		{"172.31.255.255:80", true},
		{"192.168.1.1:80", true},
		{"[fd12:3456::1]:80", true},
		{"[::ffff:10.1.2.3]:80", true},
		{"172.32.0.1:80", false},
		{"192.0.2.1:80", false},
		{"8.8.8.8:80", false},
		{"169.254.169.254:80", false},
		{"100.64.0.1:80", false},
		{"0.0.0.0:80", false},
		{"[2001:db8::1]:80", false},
		{"[fe80::1%eth0]:80", false},
		{"[::ffff:8.8.8.8]:80", false},
		{"", false},
	}
	for _, test := range tests {
		for _, scheme := range []string{"http", "https"} {
			for _, insecure := range []bool{false, true} {
				o := Options{Target: mustURL(t, scheme+"://node.test"), Insecure: insecure}
				err := o.refusePlain("tcp", test.address, nil)
				var plain *guard.PlainHTTPError
				refused := scheme == "http" && !insecure && !test.allowed
				if errors.As(err, &plain) != refused || (err == nil) == refused {
					t.Errorf("%s to %q, insecure %t: %v", scheme, test.address, insecure, err)
				}
				if refused && plain.Host != "node.test" {
					t.Errorf("the error names %q", plain.Host)
				}
			}
		}
	}
}

// TestPlainHTTPIsRefusedBeforeConnecting asks for an address of documentation (RFC 5737): net's Control hook, which
// runs before connect(2), has to end it.
func TestPlainHTTPIsRefusedBeforeConnecting(t *testing.T) {
	o := Options{Target: mustURL(t, "http://192.0.2.1:81/v1"), ConnectTimeout: time.Minute}
	_, _, err := post(t, o)
	var plain *guard.PlainHTTPError
	if !errors.As(err, &plain) || plain.Host != "192.0.2.1:81" {
		t.Errorf("%v", err)
	}
}

// TestPlainHTTPByProxy holds that a proxy, which looks names up where ferry cannot see it, gets no plain request to a
// name that could be public.
func TestPlainHTTPByProxy(t *testing.T) {
	tests := []struct {
		target   string
		insecure bool
		refused  bool
	}{
		{"http://example.com/v1", false, true},
		{"http://192.0.2.1/v1", false, true},
		{"http://gateway.internal/v1", false, true},
		{"http://example.com/v1", true, false},
		{"http://192.168.1.2/v1", false, false},
		{"http://127.0.0.1:1/v1", false, false},
		{"http://LocalHost:1/v1", false, false},
		{"http://[::1]:1/v1", false, false},
	}
	for _, scheme := range []string{"http", "socks5h"} {
		for _, test := range tests {
			// A proxy that hangs up: what matters is whether it is asked.
			p := newSink(t, func(conn net.Conn) io.Reader {
				_, _ = io.ReadFull(conn, make([]byte, 1))
				return nil
			})
			o := Options{Target: mustURL(t, test.target), Proxy: mustURL(t, scheme+"://"+p.address), Insecure: test.insecure}
			_, _, err := post(t, o)
			var plain *guard.PlainHTTPError
			if err == nil || errors.As(err, &plain) != test.refused {
				t.Errorf("%s by %s, insecure %t: %v", test.target, scheme, test.insecure, err)
			}
		}
	}
	closed := &closing{Reader: strings.NewReader("prompt")}
	rt := build(t, Options{Target: mustURL(t, "http://example.com"), Proxy: mustURL(t, "http://"+unused(t))})
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://example.com", closed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rt.RoundTrip(r); err == nil || !closed.done {
		t.Errorf("%v; the body was closed: %t", err, closed.done)
	}
}

type closing struct {
	io.Reader
	done bool
}

func (c *closing) Close() error { c.done = true; return nil }

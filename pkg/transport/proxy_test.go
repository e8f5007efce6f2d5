package transport

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestProxyFor checks that a proxy is chosen as in curl (checked against curl 7.88): the proxy of the target's
// scheme, else ALL_PROXY; "*" only as the complete NO_PROXY; no ports in NO_PROXY. Unlike curl, ferry uses no proxy
// for loopback.
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
		{"loopback has none", ProxyEnv{All: all}, "http://127.0.0.1:1", ""},
		{"nor over TLS", ProxyEnv{HTTPS: q, All: all}, "https://127.8.9.1:1", ""},
		{"nor localhost", ProxyEnv{HTTP: p, All: all}, "http://LocalHost:1", ""},
		{"nor a name under it", ProxyEnv{All: all}, "http://model.localhost.:1", ""},
		{"nor ::1", ProxyEnv{All: all}, "http://[::1]:1", ""},
		{"nor a mapped address", ProxyEnv{All: all}, "http://[::ffff:127.0.0.1]:1", ""},
		{"a name that only begins so has one", ProxyEnv{All: all}, "https://localhost.test:1", all},
		{"a private address has one", ProxyEnv{All: all}, "http://192.168.1.2:1", all},
		{"a bad proxy does not matter to loopback", ProxyEnv{All: "ftp://p.test"}, "http://127.0.0.1:1", ""},

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
		{"no_proxy: a name is no address", ProxyEnv{All: all, No: "192.0.2.7"}, "https://x.test", all},

		{"no scheme", ProxyEnv{All: "p.test:8"}, "https://x.test", "http://p.test:8"},
		{"a name and a password", ProxyEnv{All: "http://u:w@p.test:8"}, "https://x.test", "http://u:w@p.test:8"},
		{"big letters", ProxyEnv{All: "HTTP://p.test:8"}, "https://x.test", "http://p.test:8"},
		{"socks5h", ProxyEnv{All: "socks5h://p.test:8"}, "https://x.test", "socks5h://p.test:8"},
		// curl's default ports: 1080, and 443 for https.
		{"no port", ProxyEnv{All: "p.test"}, "https://x.test", "http://p.test:1080"},
		{"no port, https", ProxyEnv{All: "https://p.test"}, "https://x.test", "https://p.test:443"},
		{"no port, socks5", ProxyEnv{All: "socks5://u@p.test"}, "https://x.test", "socks5://u@p.test:1080"},
		{"no port, IPv6", ProxyEnv{All: "http://[::1]"}, "https://x.test", "http://[::1]:1080"},
	}
	for _, test := range tests {
		got, _, err := test.env.ProxyFor(mustURL(t, test.target))
		text := ""
		if got != nil {
			text = got.String()
		}
		errorIf(t, err != nil || text != test.want, "%s: %q, %v; want %q", test.name, text, err, test.want)
	}
}

// TestProxyFrom checks which variable or rule is reported as having chosen the proxy or the direct connection.
func TestProxyFrom(t *testing.T) {
	const p = "http://p.test:1"
	for _, test := range []struct {
		env          ProxyEnv
		target, want string
	}{
		{ProxyEnv{}, "https://x.test", ""},
		{ProxyEnv{No: "*"}, "https://x.test", ""},
		{ProxyEnv{HTTP: p}, "https://x.test", ""},
		{ProxyEnv{HTTP: p, HTTPS: p, All: p}, "https://x.test", "HTTPS_PROXY"},
		{ProxyEnv{HTTP: p, HTTPS: p, All: p}, "http://x.test", "HTTP_PROXY"},
		{ProxyEnv{All: p}, "http://x.test", "ALL_PROXY"},
		{ProxyEnv{All: p, No: "x.test"}, "http://x.test", "NO_PROXY"},
		{ProxyEnv{All: p, No: "*"}, "http://127.0.0.1:1", "loopback"},
	} {
		if _, from, err := test.env.ProxyFor(mustURL(t, test.target)); from != test.want || err != nil {
			t.Errorf("%+v, %s: %q, %v; want %q", test.env, test.target, from, err, test.want)
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
			t.Errorf("%q: got %v, %v, want an error", raw, got, err)
			continue
		}
		for _, text := range []string{err.Error(), refused.Hint(), fmt.Sprintf("%+v", err)} {
			errorIf(t, text == "" || strings.Contains(text, "hun") || strings.Contains(text, "ter2"),
				"%q: got %q, want words without the password", raw, text)
		}
	}
	if _, _, err := (ProxyEnv{All: "ftp://p.test"}).ProxyFor(mustURL(t, "https://x.test")); err == nil {
		t.Error("a bad ALL_PROXY is passed over, want an error")
	}
	if _, err := New(Options{Target: mustURL(t, "http://127.0.0.1"), Proxy: mustURL(t, "ftp://p.test")}); err == nil {
		t.Error("New takes a proxy of any scheme, want an error")
	}
}

func TestPlainHTTPThroughAProxy(t *testing.T) {
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s|%s", r.RequestURI, r.Header.Get("Proxy-Authorization"))
	}))
	defer target.Close()
	p := &connectProxy{auth: basic}
	via := startProxy(t, p, nil)
	via.User = url.UserPassword("user", "hunter2")
	_, text, err := post(t, Options{Target: mustURL(t, target.URL+"/v1"), Proxy: via, ConnectTimeout: time.Minute})
	errorIf(t, err != nil || text != "/v1|", "%q, %v; the proxy's password is the proxy's alone", text, err)
	errorIf(t, !slices.Equal(p.seen(), []string{"POST " + target.URL + "/v1"}), "the proxy saw %q, want one request of it", p.seen())
	via.User = nil
	_, _, err = post(t, Options{Target: mustURL(t, target.URL+"/v1"), Proxy: via, ConnectTimeout: time.Minute})
	ofProxy(t, "no password", err, "the proxy "+via.String()+" answered 407 Proxy Authentication Required", "it needs a user and a password")
}

func TestCONNECT(t *testing.T) {
	ca := privateCA(t)
	target := tlsServer(t, ca.config())
	address := target.Listener.Addr().String()
	o := Options{Target: mustURL(t, target.URL), TLS: TLS{CA: ca.file}, ConnectTimeout: time.Minute}

	p := &connectProxy{auth: basic}
	o.Proxy = startProxy(t, p, nil)
	o.Proxy.User = url.UserPassword("user", "hunter2")
	if _, text, err := post(t, o); err != nil || text != "TLS 1.3 "+address+" the prompt" {
		t.Errorf("%q, %v", text, err)
	}
	errorIf(t, !slices.Equal(p.seen(), []string{"CONNECT " + address}), "the proxy saw %q, want one request of it", p.seen())
	header := fmt.Sprint(p.header)
	errorIf(t, strings.Contains(header, "prompt"), "the proxy saw %s, want nothing of the request", header)

	o.Proxy.User = url.UserPassword("user", "wrong")
	_, _, err := post(t, o)
	ofProxy(t, "a wrong password", err, "the proxy "+ShowProxy(o.Proxy)+" answered 407 Proxy Authentication Required to a connection to "+address,
		"does not accept the user and the password")
	o.Proxy.User = nil
	_, _, err = post(t, o)
	ofProxy(t, "no password", err, "the proxy "+ShowProxy(o.Proxy)+" answered 407 Proxy Authentication Required to a connection to "+address,
		"it needs a user and a password: write them before an @")

	o.Target = mustURL(t, "https://"+closedAddress(t))
	o.Proxy.User = url.UserPassword("user", "hunter2")
	_, _, err = post(t, o)
	ofProxy(t, "a node that the proxy does not reach", err, "the proxy "+ShowProxy(o.Proxy)+" answered 502 Bad Gateway", "it did not reach the node")
}

// ofProxy checks that an error names the proxy, and that its hint says where the proxy was set.
func ofProxy(t *testing.T, name string, err error, text, advice string) {
	t.Helper()
	var fault *ProxyError
	fatalIf(t, !errors.As(err, &fault), "%s: %v (%T), want a *ProxyError", name, err, err)
	errorIf(t, !strings.HasPrefix(err.Error(), text), "%s: %v, want %s", name, err, text)
	if hint := fault.Hint(); !strings.Contains(hint, advice) || !strings.Contains(hint, "the proxy comes from ") {
		t.Errorf("%s: hint %q, want %q in it", name, hint, advice)
	}
	for _, secret := range []string{"wrong", "hunter2"} {
		errorIf(t, strings.Contains(err.Error()+fault.Hint(), secret), "%s: the password is in %v, want it hidden", name, err)
	}
}

// TestProxyFaults checks that a failure before the node is reached is attributed to the proxy, in New and when
// connecting.
func TestProxyFaults(t *testing.T) {
	ca := privateCA(t)
	target := tlsServer(t, ca.config())
	address := target.Listener.Addr().String()
	closing := newSink(t, func(conn net.Conn) io.Reader {
		_, _ = io.ReadFull(conn, make([]byte, 3)) // the length of the shortest greeting
		return nil
	}).address
	answers := func(status string) string {
		return newSink(t, func(conn net.Conn) io.Reader {
			_, _ = http.ReadRequest(bufio.NewReader(conn))
			_, _ = io.WriteString(conn, "HTTP/1.1 "+status+" "+strings.Repeat("x", 5000)+"\r\n\r\n")
			return nil
		}).address
	}
	refuses := func(code byte) string {
		return newSink(t, func(conn net.Conn) io.Reader {
			_, _ = io.ReadFull(conn, make([]byte, 3))
			_, _ = conn.Write([]byte{5, 0})
			_, _ = io.ReadFull(conn, make([]byte, 10))
			_, _ = conn.Write([]byte{5, code, 0, 1, 0, 0, 0, 0, 0, 0})
			return nil
		}).address
	}
	wantsPassword := newSink(t, func(conn net.Conn) io.Reader {
		_, _ = io.ReadFull(conn, make([]byte, 3))
		_, _ = conn.Write([]byte{5, 0xff})
		return nil
	}).address
	free := closedAddress(t)
	tests := []struct{ proxy, want, hint string }{
		{"http://" + free, "cannot connect through the proxy http://" + free + ": connection refused", ""},
		{"socks5h://" + free, "cannot connect through the proxy socks5h://" + free + ": connection refused", ""},
		{"http://" + closing, "cannot connect through the proxy http://" + closing + ": ", ""},
		{"socks5://" + closing, "the proxy socks5://" + closing + " did not connect to " + address + ": EOF", ""},
		{"http://proxy..invalid:1", "no address for the proxy http://proxy..invalid:1: ", ""},
		{"socks5h://proxy..invalid:1", "no address for the proxy socks5h://proxy..invalid:1: ", ""},
		{"http://" + answers("403"), " answered 403 Forbidden to a connection to " + address, "its rules do not allow this host or port"},
		{"http://" + answers("502"), " answered 502 Bad Gateway to a connection to " + address, "it did not reach the node"},
		{"http://" + answers("599"), " answered 599 to a connection to " + address, "it did not reach the node"},
		{"socks5h://" + refuses(1), " did not connect to " + address + ": general SOCKS server failure", ""},
		{"socks5h://" + refuses(2), " did not connect to " + address + ": connection not allowed by ruleset", ""},
		{"socks5h://" + refuses(4), " did not connect to " + address + ": host unreachable", ""},
		{"socks5://" + refuses(5), " did not connect to " + address + ": connection refused", ""},
		{"socks5://" + refuses(77), " did not connect to " + address + ": unknown code: 77", ""},
		{"socks5h://" + wantsPassword, " did not connect to " + address + ": no acceptable authentication methods", ""},
	}
	for _, test := range tests {
		o := Options{
			Target: mustURL(t, target.URL), TLS: TLS{CA: ca.file}, Proxy: mustURL(t, test.proxy), ProxyFrom: "HTTPS_PROXY", ConnectTimeout: time.Minute,
		}
		want := test.want
		if strings.HasPrefix(want, " ") {
			want = "the proxy " + test.proxy + want
		}
		_, _, err := post(t, o)
		ofProxy(t, test.proxy, err, want, test.hint)
		ofProxy(t, test.proxy, err, want, "the proxy comes from HTTPS_PROXY, and --proxy none uses no proxy")
		errorIf(t, len(err.Error()) > 300, "%s: %d bytes of an error, want at most 300", test.proxy, len(err.Error()))
	}
	// Errors after the proxy are the node's.
	p := startProxy(t, &connectProxy{}, nil)
	o := Options{Target: mustURL(t, target.URL), Proxy: p, ConnectTimeout: time.Minute}
	_, _, err := post(t, o)
	refused(t, err, address, "its certificate is signed by an unknown authority", "")
	// With socks5, it is the node's name that cannot be resolved.
	o.Target, o.Proxy = mustURL(t, "https://node..invalid"), mustURL(t, "socks5://"+closing)
	var fault *ProxyError
	var dns *net.DNSError
	if _, _, err = post(t, o); errors.As(err, &fault) || !errors.As(err, &dns) {
		t.Errorf("a node without an address: got %v, want no error", err)
	}
}

// TestHTTPSProxy checks that the node's tls settings are not used in the proxy's handshake: not its authority,
// minimum version or client certificate (net/http would use one configuration for both).
func TestHTTPSProxy(t *testing.T) {
	needsSystemCA(t)
	ca := privateCA(t)
	target := tlsServer(t, ca.config())
	cert, key := ca.files(ca.issue(nil))
	o := Options{
		Target: mustURL(t, target.URL), TLS: TLS{CA: ca.file, Min: "1.3", Cert: cert, Key: key}, ConnectTimeout: time.Minute,
	}

	shown := -1
	o.Proxy = startProxy(t, &connectProxy{}, &tls.Config{
		Certificates: []tls.Certificate{systemCA.issue(nil)}, MaxVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert,
		VerifyConnection: func(state tls.ConnectionState) error { shown = len(state.PeerCertificates); return nil },
	})
	expectAnswer(t, o, "TLS 1.3 ")
	errorIf(t, shown != 0, "the proxy was shown %d client certificates, want none", shown)

	for name, config := range map[string]*tls.Config{
		"its certificate is signed by an unknown authority":         {Certificates: []tls.Certificate{ca.issue(nil)}},
		"refused the TLS handshake: protocol version not supported": {Certificates: []tls.Certificate{systemCA.issue(nil)}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
		"asks for a client certificate":                             {Certificates: []tls.Certificate{systemCA.issue(nil)}, ClientAuth: tls.RequireAnyClientCert},
	} {
		s := tlsSink(t, config)
		o.Proxy = mustURL(t, "https://"+s.address)
		_, _, err := post(t, o)
		refused(t, err, s.address, name, "this is the proxy")
		s.gotNothing(t)
	}
}

// TestSOCKS checks where the name is resolved, as in curl: with socks5 locally, with socks5h by the proxy.
func TestSOCKS(t *testing.T) {
	ca := privateCA(t)
	target := tlsServer(t, ca.config())
	s := &socksServer{to: target.Listener.Addr().String(), user: "user", password: "hunter2"}
	o := Options{TLS: TLS{CA: ca.file}, ConnectTimeout: time.Minute}

	o.Target, o.Proxy = mustURL(t, "https://node.test:4433"), s.start(t, "socks5h")
	o.Proxy.User = url.UserPassword("user", "hunter2")
	expectAnswer(t, o, "TLS 1.3 node.test:4433 the prompt")
	got := s.last()
	errorIf(t, got != "name node.test 4433", "socks5h asked for %q, want name node.test 4433", got)

	o.Proxy.User = url.UserPassword("user", "wrong")
	if _, _, err := post(t, o); err == nil || strings.Contains(err.Error(), "wrong") {
		t.Errorf("a wrong password: got %v, want an error without it", err)
	}

	// localhost is in every hosts file, so no DNS query leaves this machine.
	o.Target, o.Proxy = mustURL(t, "https://localhost:4433"), s.start(t, "socks5")
	o.Proxy.User = url.UserPassword("user", "hunter2")
	expectAnswer(t, o, "TLS 1.3 localhost:4433 the prompt")
	got = s.last()
	errorIf(t, got != "127.0.0.1 4433" && got != "::1 4433", "socks5 asked for %q, want an address", got)

	broken := &socksServer{to: closedAddress(t)}
	o.Proxy = broken.start(t, "socks5h")
	_, _, err := post(t, o)
	ofProxy(t, "a node that the proxy does not reach", err, "the proxy "+o.Proxy.String()+" did not connect to localhost:4433: general SOCKS server failure", "")
}

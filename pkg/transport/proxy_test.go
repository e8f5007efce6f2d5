package transport

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
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
		_, from, err := test.env.ProxyFor(mustURL(t, test.target))
		errorIf(t, from != test.want || err != nil, "%+v, %s: %q, %v; want %q", test.env, test.target, from, err, test.want)
	}
}

func TestParseProxyRefusesWithoutEcho(t *testing.T) {
	for _, raw := range []string{
		"", "http://", "http://:80", "ftp://user:hunter2@p.test", "socks4://user:hunter2@p.test", "http://user:hunter2@p.test:port",
		"http://user:hunter2%zz@p.test", "user:hunter2://p.test", "http://user:hun\nter2@p.test", "://user:hunter2@p.test",
		"http://user:hunter2@", "hunter2:x://p.test",
	} {
		got, err := ParseProxy(raw)
		refused, ok := errors.AsType[*ProxyError](err)
		fatalIf(t, !ok || got != nil, "%q: got %v, %v, want an error", raw, got, err)
		for _, text := range []string{err.Error(), refused.Hint(), fmt.Sprintf("%+v", err)} {
			errorIf(t, text == "" || strings.Contains(text, "hun") || strings.Contains(text, "ter2"),
				"%q: got %q, want words without the password", raw, text)
		}
	}
	_, _, err := ProxyEnv{All: "ftp://p.test"}.ProxyFor(mustURL(t, "https://x.test"))
	errorIf(t, err == nil, "a bad ALL_PROXY is passed over, want an error")
	_, err = New(Options{Target: mustURL(t, "http://127.0.0.1"), Proxy: mustURL(t, "ftp://p.test")})
	errorIf(t, err == nil, "New takes a proxy of any scheme, want an error")
}

func TestPlainHTTPThroughAProxy(t *testing.T) {
	o, target := serve(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s|%s", r.RequestURI, r.Header.Get("Proxy-Authorization"))
	})
	p := &connectProxy{auth: basic}
	o.Target, o.Proxy = mustURL(t, target.URL+"/v1"), startProxy(t, p, nil)
	o.Proxy.User = url.UserPassword("user", "hunter2")
	_, text, err := post(t, o)
	errorIf(t, err != nil || text != "/v1|", "%q, %v; the proxy's password is the proxy's alone", text, err)
	errorIf(t, !slices.Equal(p.seen(), []string{"POST " + target.URL + "/v1"}), "the proxy saw %q, want one request of it", p.seen())
	o.Proxy.User = nil
	_, _, err = post(t, o)
	ofProxy(t, "no password", err, "the proxy "+o.Proxy.String()+" answered 407 Proxy Authentication Required",
		"it needs a user and a password")
}

func TestCONNECT(t *testing.T) {
	ca := privateCA(t)
	target := tlsServer(t, ca.config())
	address := target.Listener.Addr().String()
	o := ca.node(t, address)

	p := &connectProxy{auth: basic}
	o.Proxy = startProxy(t, p, nil)
	o.Proxy.User = url.UserPassword("user", "hunter2")
	_, text, err := post(t, o)
	errorIf(t, err != nil || text != "TLS 1.3 "+address+" the prompt", "%q, %v", text, err)
	errorIf(t, !slices.Equal(p.seen(), []string{"CONNECT " + address}), "the proxy saw %q, want one request of it", p.seen())
	header := fmt.Sprint(p.header)
	errorIf(t, strings.Contains(header, "prompt"), "the proxy saw %s, want nothing of the request", header)

	unauthorized := "the proxy " + ShowProxy(o.Proxy) + " answered 407 Proxy Authentication Required to a connection to " +
		address
	o.Proxy.User = url.UserPassword("user", "wrong")
	_, _, err = post(t, o)
	ofProxy(t, "a wrong password", err, unauthorized, "does not accept the user and the password")
	o.Proxy.User = nil
	_, _, err = post(t, o)
	ofProxy(t, "no password", err, unauthorized, "it needs a user and a password: write them before an @")

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
	const greeting = 3 // bytes of the shortest one
	closing := scripted(t, greeting)
	answers := func(status string) string {
		return newSink(t, func(conn net.Conn) io.Reader {
			_, _ = http.ReadRequest(bufio.NewReader(conn))
			_, _ = io.WriteString(conn, "HTTP/1.1 "+status+" "+strings.Repeat("x", 5000)+"\r\n\r\n")
			return nil
		}).address
	}
	refuses := func(code byte) string {
		return scripted(t, greeting, "\x05\x00", 10, string([]byte{5, code, 0, 1, 0, 0, 0, 0, 0, 0}))
	}
	wantsPassword := scripted(t, greeting, "\x05\xff")
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
		o := ca.node(t, address)
		o.Proxy, o.ProxyFrom = mustURL(t, test.proxy), "HTTPS_PROXY"
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
	o := Options{Target: mustURL(t, target.URL), Proxy: startProxy(t, &connectProxy{}, nil), ConnectTimeout: time.Minute}
	_, _, err := post(t, o)
	refused(t, err, address, "its certificate is signed by an unknown authority", "")
	// With socks5, it is the node's name that cannot be resolved.
	o.Target, o.Proxy = mustURL(t, "https://node..invalid"), mustURL(t, "socks5://"+closing)
	_, _, err = post(t, o)
	errorIf(t, errors.As(err, new(*ProxyError)) || !errors.As(err, new(*net.DNSError)),
		"a node without an address: got %v, want an error of the look-up", err)
}

// TestHTTPSProxy checks that the node's tls settings are not used in the proxy's handshake: not its authority,
// minimum version or client certificate (net/http would use one configuration for both).
func TestHTTPSProxy(t *testing.T) {
	needsSystemCA(t)
	ca := privateCA(t)
	target := tlsServer(t, ca.config())
	o := ca.node(t, target.Listener.Addr().String())
	o.TLS.Min = "1.3"
	o.TLS.Cert, o.TLS.Key = ca.files(ca.issue(nil))

	shown := -1
	looks, old := upTo(tls.VersionTLS12, systemCA.config()), upTo(tls.VersionTLS11, systemCA.config())
	looks.ClientAuth = tls.RequestClientCert
	looks.VerifyConnection = func(state tls.ConnectionState) error { shown = len(state.PeerCertificates); return nil }
	o.Proxy = startProxy(t, &connectProxy{}, looks)
	expectAnswer(t, o, "TLS 1.3 ")
	errorIf(t, shown != 0, "the proxy was shown %d client certificates, want none", shown)

	old.MinVersion = tls.VersionTLS10
	for name, config := range map[string]*tls.Config{
		"its certificate is signed by an unknown authority":         ca.config(),
		"refused the TLS handshake: protocol version not supported": old,
		"asks for a client certificate":                             systemCA.asks(),
	} {
		s := tlsSink(t, config)
		o.Proxy = mustURL(t, "https://"+s.address)
		_, _, err := post(t, o)
		refused(t, err, s.address, name, "this is the proxy")
		s.gotNothing(t)
	}
}

// socksServer is a small SOCKS5 server (RFC 1928, 1929) that reports the requested address and always connects to the
// same one.
type socksServer struct {
	to, user, password string
	asked              chan string
}

// last returns the last requested address, "" if there is none.
func (s *socksServer) last() string {
	select {
	case asked := <-s.asked:
		return asked
	default:
		return ""
	}
}

func (s *socksServer) start(t *testing.T, scheme string) *url.URL {
	t.Helper()
	s.asked = make(chan string, 9)
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
	s.asked <- host + " " + port
	far, err := net.Dial("tcp", s.to)
	if err != nil {
		return err
	}
	_, _ = conn.Write([]byte{5, 0, 0, 1, 127, 0, 0, 1, 0, 0})
	splice(conn, far)
	return nil
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

	o.Target, o.Resolve = mustURL(t, "https://node.test:4433"), []netip.Addr{netip.MustParseAddr("192.0.2.7")}
	expectAnswer(t, o, "TLS 1.3 node.test:4433 the prompt")
	got = s.last()
	errorIf(t, got != "192.0.2.7 4433", "socks5 with an address for the node asked for %q, want 192.0.2.7", got)

	o.Target, o.Resolve = mustURL(t, "https://localhost:4433"), nil
	broken := &socksServer{to: closedAddress(t)}
	o.Proxy = broken.start(t, "socks5h")
	_, _, err := post(t, o)
	ofProxy(t, "a node that the proxy does not reach", err, "the proxy "+o.Proxy.String()+" did not connect to localhost:4433: general SOCKS server failure", "")
}

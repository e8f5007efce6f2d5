package transport

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ferry/pkg/guard"
)

// TestPlainHTTPIsForLoopbackAndPrivateAddresses checks the decision at dial time, by address: a name may resolve to
// another address tomorrow.
func TestPlainHTTPIsForLoopbackAndPrivateAddresses(t *testing.T) {
	for _, test := range []struct {
		allowed   bool
		addresses []string
	}{
		{true, []string{"127.0.0.1:80", "127.8.8.8:80", "[::1]:80"}},
		{true, []string{"10.1.2.3:80", "172.16.0.1:80", "172.31.255.255:80", "192.168.1.1:80"}},
		{true, []string{"[fd12:3456::1]:80", "[::ffff:10.1.2.3]:80"}},
		{false, []string{"172.32.0.1:80", "192.0.2.1:80", "8.8.8.8:80", "169.254.169.254:80", "100.64.0.1:80", "0.0.0.0:80"}},
		{false, []string{"[2001:db8::1]:80", "[fe80::1%eth0]:80", "[::ffff:8.8.8.8]:80", ""}},
	} {
		for _, address := range test.addresses {
			for _, scheme := range []string{"http", "https"} {
				for _, insecure := range []bool{false, true} {
					want := "plain http to node.test,"
					if scheme == "https" || insecure || test.allowed {
						want = ""
					}
					o := Options{Target: mustURL(t, scheme+"://node.test"), Insecure: insecure}
					err := o.checkDialAddress("tcp", address, nil)
					refusedPlain(t, fmt.Sprintf("%s to %q, insecure %t", scheme, address, insecure), err, want)
				}
			}
		}
	}
}

// refusedPlain checks that an error refuses plain http with a text that begins with want; "" means no error.
func refusedPlain(t *testing.T, what string, err error, want string) {
	t.Helper()
	wrong := err != nil
	if want != "" {
		plain, ok := errors.AsType[*guard.PlainHTTPError](err)
		wrong = !ok || !strings.HasPrefix(plain.Error(), want) || plain.Hint() == ""
	}
	errorIf(t, wrong, "%s: got %v, want %q", what, err, want)
}

// TestPlainHops checks every kind of proxy and target: no hop uses plain http to a public address, neither the hop to
// the proxy nor the proxy's hop to the target, and no proxy password is sent over such a hop.
func TestPlainHops(t *testing.T) {
	const public, private, loopback = "8.8.8.8:3128", "10.1.2.3:3128", "127.0.0.1:3128"
	const plain, password, byTarget = "plain http through the proxy ", "an unencrypted password to the proxy ", "plain http to "
	tests := []struct{ target, proxy, at, want string }{
		{"http://127.0.0.1:11434", "http://p.test:1", public, plain},
		{"http://127.0.0.1:11434", "http://u:w@p.test:1", public, plain},
		{"http://127.0.0.1:11434", "http://p.test:1", private, ""},
		{"http://127.0.0.1:11434", "http://p.test:1", loopback, ""},
		{"http://127.0.0.1:11434", "https://p.test:1", public, ""},
		{"http://127.0.0.1:11434", "socks5://p.test:1", public, plain},
		{"http://127.0.0.1:11434", "socks5h://p.test:1", public, plain},
		{"http://127.0.0.1:11434", "socks5h://p.test:1", private, ""},
		{"http://LocalHost:1", "http://p.test:1", loopback, ""},
		{"http://LocalHost:1", "socks5h://p.test:1", loopback, ""},
		{"http://[::1]:1", "http://p.test:1", loopback, ""},
		{"http://[::1]:1", "socks5h://p.test:1", loopback, ""},
		{"http://192.168.1.2", "socks5h://p.test:1", private, ""},
		{"http://192.168.1.2", "http://p.test:1", public, plain},
		{"http://192.168.1.2", "http://p.test:1", private, ""},
		{"http://192.168.1.2", "https://p.test:1", public, ""},

		{"http://8.8.8.8", "http://p.test:1", loopback, byTarget + "8.8.8.8,"},
		{"http://8.8.8.8", "https://p.test:1", public, byTarget + "8.8.8.8,"},
		{"http://8.8.8.8", "socks5://p.test:1", private, byTarget + "8.8.8.8,"},
		{"http://example.com", "http://p.test:1", loopback, byTarget + "example.com, whose address only the proxy knows"},
		{"http://example.com", "https://p.test:1", public, byTarget + "example.com, whose address only the proxy knows"},
		{"http://example.com", "socks5://p.test:1", private, byTarget + "example.com, whose address only the proxy knows"},
		{"http://example.com", "socks5h://p.test:1", private, byTarget + "example.com, whose address only the proxy knows"},
		{"http://8.8.8.8", "socks5h://p.test:1", private, byTarget + "8.8.8.8,"},
		{"http://gateway.internal", "socks5h://p.test:1", private, byTarget + "gateway.internal, whose address only the proxy knows"},
		{"http://gateway.internal", "http://p.test:1", private, byTarget + "gateway.internal, whose address only the proxy knows"},
		{"http://localhost.example.com", "http://p.test:1", private, byTarget + "localhost.example.com, whose address only the proxy knows"},

		{"https://example.com", "http://p.test:1", public, ""},
		{"https://example.com", "http://u:w@p.test:1", public, password},
		{"https://example.com", "http://token@p.test:1", public, password},
		{"https://example.com", "http://u:w@p.test:1", private, ""},
		{"https://example.com", "http://u:w@p.test:1", loopback, ""},
		{"https://example.com", "https://u:w@p.test:1", public, ""},
		{"https://example.com", "socks5://p.test:1", public, ""},
		{"https://example.com", "socks5h://u:w@p.test:1", public, password},
		{"https://example.com", "socks5://u:w@p.test:1", private, ""},
		{"https://127.0.0.1:1", "http://p.test:1", public, ""},
	}
	for _, test := range tests {
		for _, insecure := range []bool{false, true} {
			o := Options{Target: mustURL(t, test.target), Proxy: mustURL(t, test.proxy), Insecure: insecure}
			err := o.checkPlainProxy()
			if err == nil {
				err = o.checkDialAddress("tcp", test.at, nil)
			}
			want := test.want
			if insecure {
				want = ""
			}
			what := fmt.Sprintf("%s through %s at %s, insecure %t", test.target, test.proxy, test.at, insecure)
			refusedPlain(t, what, err, want)
			errorIf(t, err != nil && strings.Contains(err.Error(), "u:w"), "the password is in %v, want it hidden", err)
		}
	}
}

// TestPlainHopIsRefusedBeforeConnecting uses targets and proxies at an address for documentation (RFC 5737), and a
// loopback proxy for a target that could be public. The connection must be refused before a packet is sent: net's
// Control hook runs before connect(2).
func TestPlainHopIsRefusedBeforeConnecting(t *testing.T) {
	asked := newSink(t, func(conn net.Conn) io.Reader { return conn })
	for _, scheme := range []string{"http", "socks5", "socks5h"} {
		for _, hop := range []struct{ target, proxy, want string }{
			{"http://192.0.2.1:81/v1", "", "plain http to 192.0.2.1:81,"},
			{"http://127.0.0.1:1", scheme + "://192.0.2.1:3128", "plain http through the proxy " + scheme + "://192.0.2.1:3128, which"},
			{"https://127.0.0.1:1", scheme + "://u:w@192.0.2.1:3128", "an unencrypted password to the proxy " + scheme + "://192.0.2.1:3128, which"},
			{"http://example.com/v1", scheme + "://" + asked.address, "plain http to example.com, whose address only the proxy knows"},
			{"http://192.0.2.1/v1", scheme + "://" + asked.address, "plain http to 192.0.2.1,"},
		} {
			o := Options{Target: mustURL(t, hop.target), ConnectTimeout: time.Minute}
			if hop.proxy != "" {
				o.Proxy = mustURL(t, hop.proxy)
			}
			_, _, err := post(t, o)
			refusedPlain(t, hop.target+" through "+hop.proxy, err, hop.want)
		}
	}
	asked.gotNothing(t)
}

// TestPlainHopIsTaken uses a proxy that hangs up: the test only checks that the proxy is contacted.
func TestPlainHopIsTaken(t *testing.T) {
	for _, scheme := range []string{"http", "socks5h"} {
		for target, insecure := range map[string]bool{"http://example.com/v1": true, "http://192.168.1.2/v1": false, "http://127.0.0.1:1/v1": false} {
			var asked atomic.Int64
			p := newSink(t, func(conn net.Conn) io.Reader {
				n, _ := io.ReadFull(conn, make([]byte, 1))
				asked.Add(int64(n))
				return nil
			})
			o := Options{Target: mustURL(t, target), Proxy: mustURL(t, scheme+"://"+p.address), Insecure: insecure}
			_, _, err := post(t, o)
			errorIf(t, err == nil || errors.As(err, new(*guard.PlainHTTPError)) || asked.Load() == 0,
				"%s by %s: got %v, want that the proxy is asked", target, scheme, err)
		}
	}
}

// TestRefusedBodyIsClosed checks that the body of a request is closed if the request is refused before a connection
// is made.
func TestRefusedBodyIsClosed(t *testing.T) {
	closed := &closing{Reader: strings.NewReader("prompt")}
	rt := build(t, Options{Target: mustURL(t, "http://example.com"), Proxy: mustURL(t, "http://"+closedAddress(t))})
	_, err := rt.RoundTrip(request(t, "http://example.com", closed))
	errorIf(t, err == nil || !closed.done, "got %v, the body was closed: %t, want an error and true", err, closed.done)
}

type closing struct {
	io.Reader
	done bool
}

func (c *closing) Close() error { c.done = true; return nil }

package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"ferry/pkg/guard"
)

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
				errorIf(t, errors.As(err, &plain) != refused || (err == nil) == refused,
					"%s to %q, insecure %t: got %v, want refused %t", scheme, test.address, insecure, err, refused)
				if refused && plain != nil {
					errorIf(t, plain.Host != "node.test", "the error names %q, want node.test", plain.Host)
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
	errorIf(t, !errors.As(err, &plain) || plain.Host != "192.0.2.1:81", "got %v, want plain http to 192.0.2.1:81 refused", err)
}

// TestPlainHops holds every kind of proxy and target to the rule: no hop in plain http goes to a public address, be it
// the hop to the proxy or the proxy's own to the target, and no password of a proxy either.
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
			err := o.refusesPlainByProxy()
			if err == nil {
				err = o.refusePlain("tcp", test.at, nil)
			}
			want := test.want
			if insecure {
				want = ""
			}
			var refused *guard.PlainHTTPError
			if errors.As(err, &refused) != (want != "") || err != nil && (!strings.HasPrefix(err.Error(), want) || refused.Hint() == "") {
				t.Errorf("%s through %s at %s, insecure %t: %v, want %q", test.target, test.proxy, test.at, insecure, err, want)
			}
			if err != nil && strings.Contains(err.Error(), "u:w") {
				t.Errorf("the password is in %v, want it hidden", err)
			}
		}
	}
}

// TestPlainHopIsRefusedBeforeConnecting names proxies at an address of documentation (RFC 5737): the connection is
// refused before a packet leaves, also on the way of held connections.
func TestPlainHopIsRefusedBeforeConnecting(t *testing.T) {
	for _, scheme := range []string{"http", "socks5", "socks5h"} {
		for _, hop := range []struct{ target, proxy, want string }{
			{"http://127.0.0.1:1", scheme + "://192.0.2.1:3128", "plain http through the proxy " + scheme + "://192.0.2.1:3128, which"},
			{"https://127.0.0.1:1", scheme + "://u:w@192.0.2.1:3128", "an unencrypted password to the proxy " + scheme + "://192.0.2.1:3128, which"},
		} {
			o := Options{Target: mustURL(t, hop.target), Proxy: mustURL(t, hop.proxy), ConnectTimeout: time.Minute}
			_, _, err := post(t, o)
			var plain *guard.PlainHTTPError
			if !errors.As(err, &plain) || !strings.HasPrefix(plain.Error(), hop.want) {
				t.Errorf("%s through %s: %v, want %s", hop.target, hop.proxy, err, hop.want)
			}
		}
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
			errorIf(t, err == nil || errors.As(err, &plain) != test.refused,
				"%s by %s, insecure %t: got %v, want refused %t", test.target, scheme, test.insecure, err, test.refused)
		}
	}
	closed := &closing{Reader: strings.NewReader("prompt")}
	rt := build(t, Options{Target: mustURL(t, "http://example.com"), Proxy: mustURL(t, "http://"+unused(t))})
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://example.com", closed)
	check(t, err)
	if _, err := rt.RoundTrip(r); err == nil || !closed.done {
		t.Errorf("got %v, the body was closed: %t, want an error and true", err, closed.done)
	}
}

type closing struct {
	io.Reader
	done bool
}

func (c *closing) Close() error { c.done = true; return nil }

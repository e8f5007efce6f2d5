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

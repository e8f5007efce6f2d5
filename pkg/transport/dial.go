package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"syscall"
	"time"

	"ferry/pkg/guard"

	"golang.org/x/net/proxy"
)

// dialer makes the connections under one transport.
type dialer struct {
	options Options
	net     *net.Dialer
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// bounded bounds what it takes until a connection is of use: DNS, TCP and a proxy by a context, and what net/http does
// with the connection afterwards, a CONNECT and TLS, by a deadline of the connection, which settled takes away. A request
// on a kept connection pays for none of it.
func (d dialer) bounded(dial dialFunc) dialFunc {
	if d.options.ConnectTimeout == 0 {
		return dial
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		end := time.Now().Add(d.options.ConnectTimeout)
		ctx, cancel := context.WithDeadline(ctx, end)
		defer cancel()
		conn, err := dial(ctx, network, address)
		if err != nil {
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				err = d.options.TooLate()
			}
			return nil, err
		}
		if d.options.Dial == nil {
			err = conn.SetDeadline(end)
		}
		if err != nil {
			conn.Close()
			return nil, err
		}
		return conn, nil
	}
}

// settled ends the bound on a connection's beginning.
func (o Options) settled(conn net.Conn) {
	if o.ConnectTimeout > 0 && o.Dial == nil {
		_ = conn.SetDeadline(time.Time{}) // of a connection that is closed by now the request will say so itself
	}
}

// TooLate is the error of a connection that was not ready in time.
func (o Options) TooLate() *ConnectTimeoutError {
	late := &ConnectTimeoutError{Host: o.Target.Host, Timeout: o.ConnectTimeout}
	if o.Proxy != nil {
		late.Proxy = ShowProxy(o.Proxy)
	}
	return late
}

// late gives the error of a bound that ran out, from one of the time before there was a connection; nil for any other.
func (o Options) late(err error) error {
	var late *ConnectTimeoutError
	switch {
	case errors.As(err, &late):
		return late
	case o.ConnectTimeout > 0 && o.Dial == nil && errors.Is(err, os.ErrDeadlineExceeded):
		return o.TooLate()
	}
	return nil
}

// refusePlain stops an unencrypted connection to a public address at the last moment, when the address is known: a name
// that resolves to a private one today may not tomorrow. Behind a proxy it is the proxy that is dialled: the hop to it is
// encrypted where it is https:// itself. Elsewhere an https target shows it no more than the target's name and the
// proxy's own password. The hop from the proxy to the target is refusesPlainByProxy's.
func (o Options) refusePlain(_, address string, _ syscall.RawConn) error {
	hop := &guard.PlainHTTPError{Host: o.Target.Host}
	exposed := o.plain()
	if o.Proxy != nil {
		password := !exposed && o.Proxy.User != nil
		hop = &guard.PlainHTTPError{Host: ShowProxy(o.Proxy), Proxy: true, Password: password}
		exposed = o.Proxy.Scheme != "https" && (exposed || password)
	}
	if !exposed || o.Insecure {
		return nil
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil || !near(at.Addr()) {
		return hop
	}
	return nil
}

// near reports whether an address is this machine or a private network (RFC 1918, RFC 4193).
func near(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsLoopback() || a.IsPrivate()
}

// Refused is why nothing would be sent, as far as the addresses tell without a connection: plain http to a public one. A
// name may still turn out to have such an address.
func (o Options) Refused() error {
	if err := o.refusesPlainByProxy(); err != nil {
		return err
	}
	hop := o.Target
	if o.Proxy != nil {
		hop = o.Proxy
	}
	at, err := netip.ParseAddr(hop.Hostname())
	if err != nil {
		return nil
	}
	return o.refusePlain("", netip.AddrPortFrom(at, 0).String(), nil)
}

// refusesPlainByProxy is the error of a target that may not be asked over plain http through a proxy, however the proxy
// is reached: from there the request goes on unencrypted, and a name is resolved where ferry cannot see it.
func (o Options) refusesPlainByProxy() error {
	host := o.Target.Hostname()
	at, err := netip.ParseAddr(host)
	if !o.plain() || o.Insecure || o.Proxy == nil || guard.IsLoopback(host) || err == nil && near(at) {
		return nil
	}
	return &guard.PlainHTTPError{Host: o.Target.Host, Unknown: err != nil}
}

// useProxy makes rt connect through the proxy of the options.
func (d dialer) useProxy(rt *http.Transport) error {
	via := d.options.Proxy
	if via == nil {
		return nil
	}
	switch via.Scheme {
	case "http", "https":
		rt.Proxy = http.ProxyURL(via)
		rt.OnProxyConnectResponse = func(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
			return d.options.refusedByProxy(resp)
		}
		if via.Scheme == "https" {
			// Without a dialer of its own the proxy's handshake would run with the node's certificates and floor.
			rt.DialTLSContext = linked(d.bounded(d.dialProxyTLS))
		}
	case "socks5", "socks5h":
		dial, err := d.socks(via)
		if err != nil {
			return err
		}
		rt.DialContext = linked(d.bounded(dial))
	default:
		return unknownProxy(via)
	}
	return nil
}

func unknownProxy(via *url.URL) error {
	return badProxy(fmt.Sprintf("unknown scheme %q", via.Scheme))
}

func (d dialer) dialProxyTLS(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.net.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	roots, err := systemRoots()
	if err != nil {
		conn.Close()
		return nil, err
	}
	client := tls.Client(Polled(conn), &tls.Config{
		ServerName: d.options.Proxy.Hostname(),
		RootCAs:    roots,
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
	})
	via := peer{host: address, floor: tls.VersionTLS12, proxy: true}
	if err := client.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, via.distrust(err, true)
	}
	return proxyConn{client, via}, nil
}

// proxyConn names the proxy in what TLS 1.3 says only after the handshake is done here, such as that it wants a client
// certificate.
type proxyConn struct {
	net.Conn
	via peer
}

// NetConn is the connection to the proxy, under its TLS.
func (c proxyConn) NetConn() net.Conn { return c.Conn.(*tls.Conn).NetConn() }

func (c proxyConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		err = c.via.distrust(err, false)
	}
	return n, err
}

// socks dials through a SOCKS5 proxy (RFC 1928). As with curl, socks5 looks the name up here and socks5h there.
func (d dialer) socks(via *url.URL) (dialFunc, error) {
	var auth *proxy.Auth
	if via.User != nil {
		password, _ := via.User.Password()
		auth = &proxy.Auth{User: via.User.Username(), Password: password}
	}
	made, err := proxy.SOCKS5("tcp", via.Host, auth, d.net)
	if err != nil {
		return nil, badProxy(err.Error())
	}
	through := made.(proxy.ContextDialer)
	if via.Scheme == "socks5h" {
		return through.DialContext, nil
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		if err != nil {
			return nil, err
		}
		return through.DialContext(ctx, network, net.JoinHostPort(found[0].Unmap().String(), port))
	}, nil
}

package transport

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"syscall"
	"time"

	"ferry/pkg/guard"

	"github.com/quic-go/quic-go/http3"
	"golang.org/x/net/proxy"
)

// connect makes a connection for a request with a body of length bytes. The connect timeout covers everything: DNS,
// TCP, the proxy, TLS and the pins. The durations go to the context's trace.
func (t *Transport) connect(ctx context.Context, length int64) (clientConn, error) {
	o := t.options
	t.mu.Lock()
	if o.HTTP3 == TryHTTP3 && (length > maxHTTP3Body || t.noUDP) {
		o.HTTP3 = NoHTTP3
	}
	t.mu.Unlock()
	outer, end := ctx, time.Time{}
	if o.ConnectTimeout > 0 {
		end = time.Now().Add(o.ConnectTimeout)
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end)
		defer cancel()
	}
	trace, started := TraceOf(ctx), o.Now()
	made, err := o.establish(ctx, t.tls)
	switch {
	case err == nil:
	case outer.Err() != nil:
		return nil, context.Cause(outer)
	case ctx.Err() != nil, !end.IsZero() && IsTimeout(err) && !time.Now().Before(end):
		return nil, o.NewConnectTimeoutError() // the connection's deadline can expire a moment before the context's
	default:
		return nil, err
	}
	began := started.Add(trace.DNS)
	info := made.info()
	if o.HTTP3 == TryHTTP3 && !info.http3 {
		t.blockUDP()
	}
	if !info.tcp.IsZero() {
		trace.Connect = info.tcp.Sub(began)
		began = info.tcp
	}
	if info.tlsVersion != 0 {
		trace.TLS = info.ready.Sub(began)
	}
	return made, nil
}

// establish makes the connection with the protocols that the options allow. It races the addresses. config is nil if the
// node is not reached over TLS.
func (o Options) establish(ctx context.Context, config *tls.Config) (clientConn, error) {
	tcp := func(ctx context.Context, at netip.AddrPort, step func(time.Duration)) (clientConn, error) {
		return o.byTCP(ctx, config, at, step)
	}
	if o.Dial != nil {
		TraceOf(ctx).reach(Connecting)
		return tcp(ctx, netip.AddrPort{}, func(time.Duration) {})
	}
	if err := o.checkPlainProxy(); err != nil {
		return nil, err
	}
	addresses, err := o.lookUp(ctx)
	if err != nil {
		return nil, err
	}
	TraceOf(ctx).reach(Connecting)
	if o.HTTP3 == NoHTTP3 || o.Proxy != nil || config == nil {
		return o.race(ctx, addresses, tcp)
	}
	overQUIC := config.Clone()
	overQUIC.NextProtos, overQUIC.MinVersion = []string{http3.NextProtoH3}, tls.VersionTLS13
	quic := func(ctx context.Context, at netip.AddrPort, step func(time.Duration)) (clientConn, error) {
		return o.byQUIC(ctx, overQUIC, at, step)
	}
	if o.HTTP3 == OnlyHTTP3 {
		return o.race(ctx, addresses, quic)
	}
	return o.raceProtocols(ctx, addresses, quic, tcp)
}

// raceProtocols races HTTP/3 against TCP, which starts a moment later.
func (o Options) raceProtocols(ctx context.Context, all []netip.AddrPort, quic, tcp handshake) (clientConn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	byQUIC, byTCP := make(chan raceResult), make(chan raceResult)
	start := func(do handshake, ends chan raceResult) {
		conn, err := o.race(ctx, all, do)
		raceResult{conn, err}.sendTo(ctx, ends)
	}
	go start(quic, byQUIC)
	late := time.NewTimer(tcpDelay)
	defer late.Stop()
	begun := false
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-late.C:
		case e := <-byTCP:
			return e.conn, e.err
		case e := <-byQUIC:
			if e.err == nil || errors.As(e.err, new(*guard.TrustError)) {
				return e.conn, e.err
			}
		}
		if !begun {
			begun = true
			go start(tcp, byTCP)
		}
	}
}

// lookUp finds the addresses of the node, or of its proxy, in the order in which they are tried: sorted by the system
// (RFC 6724), with the two address families alternating, so that a dead family costs one step (RFC 8305).
func (o Options) lookUp(ctx context.Context) (all []netip.AddrPort, err error) {
	trace, started := TraceOf(ctx), o.Now()
	hop := HostPort(o.Target)
	if o.Proxy != nil {
		hop = o.Proxy.Host
	}
	defer func() { err = o.proxyError(ctx, err) }()
	host, portText, err := net.SplitHostPort(hop)
	if err != nil {
		return nil, err
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", portText)
	if err != nil {
		return nil, err
	}
	found := o.Resolve
	if o.Proxy != nil || len(found) == 0 {
		found, err = net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	}
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	var first, second []netip.AddrPort
	for _, address := range found {
		at := netip.AddrPortFrom(address.Unmap(), uint16(port))
		if at.Addr().Is4() == found[0].Unmap().Is4() {
			first = append(first, at)
		} else {
			second = append(second, at)
		}
	}
	for n := range max(len(first), len(second)) {
		all = append(all, first[min(n, len(first)):min(n+1, len(first))]...)
		all = append(all, second[min(n, len(second)):min(n+1, len(second))]...)
	}
	if _, err := netip.ParseAddr(host); err != nil { // the host is a name
		trace.DNS = o.Now().Sub(started)
		for _, at := range all {
			trace.Addresses = append(trace.Addresses, at.Addr())
		}
	}
	return all, nil
}

// keepAliveProbes detects within half a minute that the path of an idle connection is dead. Several probes in a row
// must stay unanswered, because a lossy path loses single probes.
var keepAliveProbes = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 4 * time.Second, Count: 4}

// byTCP makes one HTTP/1.1 connection to one address of the node or its proxy.
func (o Options) byTCP(
	ctx context.Context, config *tls.Config, at netip.AddrPort, step func(time.Duration),
) (clientConn, error) {
	started := time.Now()
	tcp, err := o.dial(ctx, at)
	if err != nil {
		return nil, err
	}
	sock := &socket{Conn: tcp}
	if system, ok := tcp.(syscall.Conn); ok {
		sock.raw, _ = system.SyscallConn() // nil if the connection is closed; using it then fails
		_, sock.acknowledges = tcp.(*net.TCPConn)
	}
	stream := net.Conn(sock)
	if o.Proxy != nil {
		step(o.lateProxy(at))
		started = time.Now()
		if stream, err = o.throughProxy(ctx, sock); err != nil {
			sock.Close()
			return nil, o.proxyError(ctx, err)
		}
	}
	made := &conn{Conn: stream, socket: sock, now: o.Now, expect: o.Expect}
	made.remote, made.tcp = stream.RemoteAddr().String(), o.Now()
	if config != nil {
		TraceOf(ctx).reach(Securing)
		late := o.lateTLS(at, time.Since(started))
		step(late)
		sock.onRead = func() { step(late) } // a handshake may take two round trips
		sock.delayFlight = o.Proxy == nil
		client, err := o.secure(ctx, config, stream)
		sock.delayFlight, sock.onRead = false, nil
		if err != nil {
			_ = sock.flush() // the TLS alert, which the node may log
			sock.Close()
			return nil, err
		}
		made.Conn, made.ready, made.tlsVersion = client, o.Now(), client.ConnectionState().Version
	} else if o.Proxy != nil && !o.socks() {
		made.proxy = &o
	}
	made.inbound.from = made.Conn
	return made, nil
}

// dial connects to one address of the node or its proxy, or to the node inside this process.
func (o Options) dial(ctx context.Context, at netip.AddrPort) (net.Conn, error) {
	if o.Dial != nil {
		return o.Dial(ctx, "tcp", o.Target.Host)
	}
	d := net.Dialer{Control: o.checkDialAddress, KeepAliveConfig: keepAliveProbes}
	c, err := d.DialContext(ctx, "tcp", at.String())
	return c, o.proxyError(ctx, err)
}

// secure performs the TLS handshake with the node.
func (o Options) secure(ctx context.Context, config *tls.Config, stream net.Conn) (*tls.Conn, error) {
	client := tls.Client(stream, config)
	if err := client.HandshakeContext(ctx); err != nil {
		return nil, o.peer().trustError(err, true)
	}
	return client, nil
}

// peer returns the node's description for TLS errors.
func (o Options) peer() peer {
	return peer{host: o.Target.Host, floor: o.TLS.floor(), certified: o.TLS.Cert != ""}
}

// socks reports whether the proxy uses SOCKS5 (RFC 1928).
func (o Options) socks() bool {
	return o.Proxy != nil && (o.Proxy.Scheme == "socks5" || o.Proxy.Scheme == "socks5h")
}

// throughProxy asks the proxy at the other end of the connection to connect to the node. A plain http request to an
// HTTP proxy does not need that.
func (o Options) throughProxy(ctx context.Context, to *socket) (net.Conn, error) {
	if o.socks() {
		return o.throughSocks(ctx, to)
	}
	through := net.Conn(to)
	if o.Proxy.Scheme == "https" {
		secured, err := o.secureProxy(ctx, to)
		if err != nil {
			return nil, err
		}
		through = secured
	}
	if o.Target.Scheme == "http" {
		return through, nil
	}
	stop := context.AfterFunc(ctx, func() { to.SetDeadline(time.Unix(1, 0)) })
	err := o.sendConnect(through)
	if !stop() && err == nil {
		err = os.ErrDeadlineExceeded
	}
	return through, err
}

// sendConnect sends CONNECT to the proxy (RFC 9110 section 9.3.6).
func (o Options) sendConnect(through net.Conn) error {
	address := HostPort(o.Target)
	request := "CONNECT " + address + " HTTP/1.1\r\nHost: " + address + "\r\n"
	if o.Proxy.User != nil {
		request += "Proxy-Authorization: " + o.proxyAuth() + "\r\n"
	}
	if _, err := io.WriteString(through, request+"\r\n"); err != nil {
		return err
	}
	reader := bufio.NewReaderSize(io.LimitReader(through, MaxHeader), 512)
	resp, err := http.ReadResponse(reader, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return err
	}
	if err := o.checkProxyResponse(resp); err != nil {
		return err
	}
	if reader.Buffered() > 0 {
		return &guard.TrustError{Host: o.Proxy.Host, Reason: "(the proxy) sends data before the node is connected", Handshake: true}
	}
	return nil
}

// proxyAuth returns the Proxy-Authorization value with the proxy's user and password (RFC 7617).
func (o Options) proxyAuth() string {
	password, _ := o.Proxy.User.Password()
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(o.Proxy.User.Username()+":"+password))
}

// secureProxy performs the TLS handshake with an https:// proxy. The node's certificates and minimum version do not
// apply to it.
func (o Options) secureProxy(ctx context.Context, to *socket) (net.Conn, error) {
	roots, err := systemRoots()
	if err != nil {
		return nil, err
	}
	client := tls.Client(to, &tls.Config{
		ServerName: o.Proxy.Hostname(),
		RootCAs:    roots,
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
	})
	via := peer{host: o.Proxy.Host, floor: tls.VersionTLS12, proxy: true}
	if err := client.HandshakeContext(ctx); err != nil {
		return nil, via.trustError(err, true)
	}
	return proxyConn{client, via}, nil
}

// proxyConn names the proxy in errors that TLS 1.3 reports only after the client has finished its handshake, such as
// a missing client certificate.
type proxyConn struct {
	net.Conn
	via peer
}

func (c proxyConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		err = c.via.trustError(err, false)
	}
	return n, err
}

// throughSocks asks a SOCKS5 proxy (RFC 1928) to connect to the node. As in curl, socks5 resolves the node's name
// locally and socks5h lets the proxy resolve it.
func (o Options) throughSocks(ctx context.Context, to *socket) (net.Conn, error) {
	var auth *proxy.Auth
	if o.Proxy.User != nil {
		password, _ := o.Proxy.User.Password()
		auth = &proxy.Auth{User: o.Proxy.User.Username(), Password: password}
	}
	made, err := proxy.SOCKS5("tcp", o.Proxy.Host, auth, connected{to})
	if err != nil {
		return nil, badProxy(err.Error())
	}
	address := HostPort(o.Target)
	if o.Proxy.Scheme == "socks5" {
		host, port, err := net.SplitHostPort(o.resolvedHostPort())
		if err != nil {
			return nil, err
		}
		found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		if err != nil {
			return nil, err
		}
		address = net.JoinHostPort(found[0].Unmap().String(), port)
	}
	return made.(proxy.ContextDialer).DialContext(ctx, "tcp", address)
}

// connected is a dialer that returns the existing connection to a SOCKS proxy.
type connected struct{ net.Conn }

func (c connected) Dial(string, string) (net.Conn, error) { return c.Conn, nil }

func (c connected) DialContext(context.Context, string, string) (net.Conn, error) { return c.Conn, nil }

// ConnectTimeoutError reports that no connection was ready in time, with DNS, TCP, proxy and TLS included.
type ConnectTimeoutError struct {
	Host    string
	Proxy   string // "" if there is none
	Timeout time.Duration
}

func (e *ConnectTimeoutError) Error() string {
	via := ""
	if e.Proxy != "" {
		via = " through the proxy " + e.Proxy
	}
	return fmt.Sprintf("no connection to %s%s within %s", e.Host, via, e.Timeout)
}

// Hint returns what the user can do about it.
func (e *ConnectTimeoutError) Hint() string { return "--connect-timeout allows more time" }

// NewConnectTimeoutError returns the error for a connection that was not ready in time.
func (o Options) NewConnectTimeoutError() *ConnectTimeoutError {
	late := &ConnectTimeoutError{Host: o.Target.Host, Timeout: o.ConnectTimeout}
	if o.Proxy != nil {
		late.Proxy = ShowProxy(o.Proxy)
	}
	return late
}

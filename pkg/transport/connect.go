package transport

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"time"

	"ferry/pkg/guard"
)

// Connect makes one connection to the node on which a request can be written at once: through its proxy, its certificate
// and pins checked as New checks them, the connect timeout over all of it. It tells the hooks of ctx (httptrace) what it
// does. It is for a connection that is kept beyond a request; New is for all others. Plain http through a proxy that
// speaks HTTP is refused: such a request is another one on the wire.
func Connect(ctx context.Context, o Options) (net.Conn, error) {
	if o.Target.Scheme == "http" && o.Proxy != nil {
		return nil, badProxy("a held connection over plain http")
	}
	config, err := o.TLS.config(o.Target)
	if err != nil {
		return nil, err
	}
	if o.ConnectTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, o.ConnectTimeout, o.TooLate())
		defer cancel()
	}
	conn, err := o.connect(ctx, config)
	if late := (*ConnectTimeoutError)(nil); err != nil && errors.As(context.Cause(ctx), &late) {
		return nil, late
	}
	return conn, err
}

// idleProbe finds out within half a minute that the path under a connection on which nothing is sent is dead. Several
// probes in a row have to stay unanswered: on a path that loses packets one does.
func idleProbe() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 4 * time.Second, Count: 4}
}

func (o Options) connect(ctx context.Context, config *tls.Config) (net.Conn, error) {
	d := dialer{options: o, net: &net.Dialer{Control: o.refusePlain, KeepAliveConfig: idleProbe()}}
	conn, err := d.toNode(ctx)
	if err != nil && o.Proxy != nil && ctx.Err() == nil {
		err = o.proxyError(err)
	}
	if err != nil {
		return nil, err
	}
	conn = Polled(conn)
	if config == nil {
		return conn, nil
	}
	config.ServerName, config.VerifyConnection = o.Target.Hostname(), o.checkPins
	client := tls.Client(forgetful{conn}, config)
	trace := httptrace.ContextClientTrace(ctx)
	if trace != nil && trace.TLSHandshakeStart != nil {
		trace.TLSHandshakeStart()
	}
	err = client.HandshakeContext(ctx)
	if trace != nil && trace.TLSHandshakeDone != nil {
		trace.TLSHandshakeDone(client.ConnectionState(), err)
	}
	if err != nil {
		conn.Close()
		var pin *guard.TrustError
		if errors.As(err, &pin) {
			return nil, pin
		}
		node := peer{host: o.Target.Host, floor: o.TLS.floor(), certified: o.TLS.Cert != ""}
		return nil, node.distrust(err, true)
	}
	return client, nil
}

// forgetful lets TLS keep nothing of an answer that was read: what it reads into is where it has decrypted what came
// before, and a reader may use all of that as scratch space (io.Reader).
type forgetful struct{ net.Conn }

func (f forgetful) Read(p []byte) (int, error) {
	clear(p)
	return f.Conn.Read(p)
}

// NetConn is the connection itself.
func (f forgetful) NetConn() net.Conn { return f.Conn }

// toNode makes the connection under the node's TLS.
func (d dialer) toNode(ctx context.Context) (net.Conn, error) {
	address := hostPort(d.options.Target)
	via := d.options.Proxy
	if via == nil {
		return d.net.DialContext(ctx, "tcp", address)
	}
	switch via.Scheme {
	case "socks5", "socks5h":
		dial, err := d.socks(via)
		if err != nil {
			return nil, err
		}
		return dial(ctx, "tcp", address)
	case "http", "https":
		dial := d.net.DialContext
		if via.Scheme == "https" {
			dial = d.dialProxyTLS
		}
		conn, err := dial(ctx, "tcp", via.Host)
		if err != nil {
			return nil, err
		}
		if err := d.askProxy(ctx, conn, address); err != nil {
			conn.Close()
			return nil, err
		}
		return conn, nil
	}
	return nil, unknownProxy(via)
}

// askProxy has an HTTP proxy connect to the address (RFC 9110 section 9.3.6).
func (d dialer) askProxy(ctx context.Context, conn net.Conn, address string) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	request := "CONNECT " + address + " HTTP/1.1\r\nHost: " + address + "\r\n"
	if user := d.options.Proxy.User; user != nil {
		password, _ := user.Password()
		both := base64.StdEncoding.EncodeToString([]byte(user.Username() + ":" + password))
		request += "Proxy-Authorization: Basic " + both + "\r\n"
	}
	if _, err := io.WriteString(conn, request+"\r\n"); err != nil {
		return err
	}
	reader := bufio.NewReaderSize(io.LimitReader(conn, MaxHeader), 512)
	resp, err := http.ReadResponse(reader, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return err
	}
	if err := d.options.refusedByProxy(resp); err != nil {
		return err
	}
	if reader.Buffered() > 0 {
		return &guard.TrustError{Host: d.options.Proxy.Host, Reason: "the proxy speaks before the node is asked"}
	}
	return nil
}

package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
)

// RefusesOld offers a node nothing newer than TLS 1.2 and reports whether the node refuses. It sends nothing over the
// connection, which is why it looks at no certificate. It goes past a proxy of the options: what a proxy would say is not
// the node's word. The error says why there was no handshake.
func RefusesOld(ctx context.Context, o Options) (bool, error) {
	if o.ConnectTimeout > 0 {
		bounded, cancel := context.WithTimeout(ctx, o.ConnectTimeout)
		defer cancel()
		ctx = bounded
	}
	port := o.Target.Port()
	if port == "" {
		port = "443"
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(o.Target.Hostname(), port))
	if err != nil {
		return false, err
	}
	defer conn.Close()
	client := tls.Client(conn, &tls.Config{
		ServerName: o.Target.Hostname(), MaxVersion: tls.VersionTLS12,
		InsecureSkipVerify: true, // see above
	})
	err = client.HandshakeContext(ctx)
	var alert *net.OpError
	switch {
	case err == nil:
		return false, nil
	case errors.As(err, &alert) && alert.Op == "remote error": // crypto/tls's word for an alert of the other side
		return true, nil
	}
	return false, err
}

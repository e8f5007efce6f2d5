package transport

import (
	"context"
	"crypto/tls"
	"net"
	"net/http/httptrace"
)

// observe adds hooks to a request's trace. httptrace.WithClientTrace would join them to those that are there by
// reflection, which is a tenth of what a request on a kept connection costs.
func observe(ctx context.Context, connected func(net.Conn), shook func(err error)) context.Context {
	var trace httptrace.ClientTrace
	old := httptrace.ContextClientTrace(ctx)
	if old != nil {
		trace = *old
	}
	gotConn, handshakeDone := trace.GotConn, trace.TLSHandshakeDone
	trace.GotConn = func(info httptrace.GotConnInfo) {
		connected(info.Conn)
		if gotConn != nil {
			gotConn(info)
		}
	}
	trace.TLSHandshakeDone = func(state tls.ConnectionState, err error) {
		shook(err)
		if handshakeDone != nil {
			handshakeDone(state, err)
		}
	}
	if old == nil {
		return httptrace.WithClientTrace(ctx, &trace)
	}
	return observed{ctx, &trace}
}

// observed is a context with another trace in the place of its own.
type observed struct {
	context.Context
	trace *httptrace.ClientTrace
}

func (o observed) Value(key any) any {
	value := o.Context.Value(key)
	if _, is := value.(*httptrace.ClientTrace); is {
		return o.trace
	}
	return value
}

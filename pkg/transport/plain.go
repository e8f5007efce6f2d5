package transport

import (
	"net/netip"
	"syscall"

	"ferry/pkg/guard"
)

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

package transport

import (
	"net/netip"
	"syscall"

	"ferry/pkg/guard"
)

// checkDialAddress refuses an unencrypted connection to a public address. It runs just before the connection is made,
// when the address is known: a name that resolves to a private address today may resolve to a public one tomorrow. With
// a proxy, the address is the proxy's. The hop to an https:// proxy is encrypted. On any other hop to a proxy, an https
// target exposes only the target's name and the proxy's password. checkPlainProxy checks the hop from the proxy to the
// target.
func (o Options) checkDialAddress(_, address string, _ syscall.RawConn) error {
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
	if err != nil || !isPrivate(at.Addr()) {
		return hop
	}
	return nil
}

// isPrivate reports whether an address is loopback or in a private network (RFC 1918, RFC 4193).
func isPrivate(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsLoopback() || a.IsPrivate()
}

// CheckPlainHTTP returns the error of a request that would be refused as plain http to a public address, as far as this
// is known without a DNS look-up. A name may still resolve to a public address.
func (o Options) CheckPlainHTTP() error {
	if err := o.checkPlainProxy(); err != nil {
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
	return o.checkDialAddress("", netip.AddrPortFrom(at, 0).String(), nil)
}

// checkPlainProxy returns an error if plain http to the target through a proxy is not allowed. How the proxy is
// reached does not matter: the proxy sends the request on unencrypted, and it resolves the name where ferry cannot
// check the address.
func (o Options) checkPlainProxy() error {
	host := o.Target.Hostname()
	at, err := netip.ParseAddr(host)
	if !o.plain() || o.Insecure || o.Proxy == nil || guard.IsLoopback(host) || err == nil && isPrivate(at) {
		return nil
	}
	return &guard.PlainHTTPError{Host: o.Target.Host, Unknown: err != nil}
}

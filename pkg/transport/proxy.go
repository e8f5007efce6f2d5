package transport

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"ferry/pkg/guard"
)

// ProxyEnv is what the environment says of proxies. The names are the same as in curl; the caller reads them.
type ProxyEnv struct {
	HTTP, HTTPS, All, No string
}

// ProxyFor gives the proxy for a target as curl chooses it: the one of the target's scheme, else ALL_PROXY, unless
// NO_PROXY names the host. A loopback target has none, as in Go and in browsers: a proxy on another machine would
// connect to its own loopback. From is the variable that decided, or "loopback", and "" where no variable names a proxy.
// The proxy is nil for a direct connection; the error never shows the proxy's password.
func (e ProxyEnv) ProxyFor(target *url.URL) (via *url.URL, from string, err error) {
	raw, from := e.HTTPS, "HTTPS_PROXY"
	if target.Scheme == "http" {
		raw, from = e.HTTP, "HTTP_PROXY"
	}
	if raw == "" {
		raw, from = e.All, "ALL_PROXY"
	}
	switch {
	case raw == "":
		return nil, "", nil
	case guard.IsLoopback(target.Hostname()):
		return nil, "loopback", nil
	case e.excludes(target.Hostname()):
		return nil, "NO_PROXY", nil
	}
	via, err = ParseProxy(raw)
	return via, from, err
}

// proxyPorts holds what curl takes where a proxy's address names no port.
var proxyPorts = map[string]string{"http": "1080", "https": "443", "socks5": "1080", "socks5h": "1080"}

// ParseProxy reads a proxy's address. As with curl it is http:// without a scheme, and at port 1080 (https:// at 443)
// without a port. The error never shows what was read: it may hold a password.
func ParseProxy(raw string) (*url.URL, error) {
	if !strings.Contains(raw, "://") {
		raw = "http://" + raw
	}
	parsed, err := url.Parse(raw)
	if err != nil || parsed.Hostname() == "" {
		return nil, badProxy("not an address")
	}
	port, known := proxyPorts[parsed.Scheme]
	if !known {
		return nil, badProxy("unknown scheme " + parsed.Scheme)
	}
	if parsed.Port() == "" {
		parsed.Host = net.JoinHostPort(parsed.Hostname(), port)
	}
	return parsed, nil
}

// excludes reports whether NO_PROXY names the host: "*" alone names all; a domain names itself and what is under it,
// with or without a leading dot; an address names itself, and a CIDR block what is in it. The separators are commas and
// spaces.
func (e ProxyEnv) excludes(host string) bool {
	if strings.TrimSpace(e.No) == "*" {
		return true
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	address, err := netip.ParseAddr(host)
	isAddress := err == nil
	for _, entry := range strings.FieldsFunc(strings.ToLower(e.No), func(r rune) bool { return r == ',' || r == ' ' }) {
		if isAddress {
			if inEntry(address.Unmap(), entry) {
				return true
			}
			continue
		}
		entry = strings.Trim(entry, ".")
		if entry != "" && (host == entry || strings.HasSuffix(host, "."+entry)) {
			return true
		}
	}
	return false
}

func inEntry(address netip.Addr, entry string) bool {
	if block, err := netip.ParsePrefix(entry); err == nil {
		return block.Contains(address)
	}
	single, err := netip.ParseAddr(strings.Trim(entry, "[]"))
	return err == nil && single.Unmap() == address
}

// ProxyError says that a proxy cannot be used, or what it or the way to it failed with. No request was sent to the node.
type ProxyError struct {
	Text, Advice string
	Err          error // the cause; it may be nil
}

func (e *ProxyError) Error() string { return e.Text }

// Unwrap gives the cause.
func (e *ProxyError) Unwrap() error { return e.Err }

// Hint tells what to do about it.
func (e *ProxyError) Hint() string { return e.Advice }

func badProxy(reason string) *ProxyError {
	return &ProxyError{
		Text:   "cannot use the proxy: " + reason,
		Advice: "a proxy is http://, https://, socks5:// or socks5h:// and a host",
	}
}

// ShowProxy is a proxy's address without its user and password.
func ShowProxy(via *url.URL) string { return via.Scheme + "://" + via.Host }

// proxyError names the proxy in what failed before the node was reached. An error that is not the proxy's stays as it is.
func (o Options) proxyError(err error) error {
	var known *ProxyError
	var dns *net.DNSError
	var socks, dial *net.OpError
	var plain *guard.PlainHTTPError
	var trust *guard.TrustError
	var late *ConnectTimeoutError
	name := ShowProxy(o.Proxy)
	text := "cannot connect through the proxy " + name + ": " + Innermost(err).Error()
	switch {
	case errors.As(err, &known), errors.As(err, &plain), errors.As(err, &trust), errors.As(err, &late):
		return err
	case errors.As(err, &dns) && dns.Name != o.Proxy.Hostname():
		return err // with socks5 it is the node's name that is looked up here
	case errors.As(err, &dns):
		text = "no address for the proxy " + name + ": " + dns.Err
	case errors.As(err, &socks) && socks.Op == "socks connect" && !errors.As(socks.Err, &dial):
		reason := strings.TrimPrefix(Innermost(err).Error(), "unknown error ") // as package proxy calls each refusal
		text = fmt.Sprintf("the proxy %s did not connect to %s: %s", name, HostPort(o.Target), reason)
	}
	return &ProxyError{text, o.proxyHint(""), err}
}

// Innermost is the cause of an error, which says the most in the fewest words. An error of the system has the same words on
// every system.
func Innermost(err error) error {
	for errors.Unwrap(err) != nil {
		err = errors.Unwrap(err)
	}
	return portable(err)
}

// refusedByProxy is the error of an answer in which a proxy refuses; nil where it accepts. The status line's own words
// are not shown: nothing bounds them.
func (o Options) refusedByProxy(resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	hint := ""
	switch {
	case resp.StatusCode == http.StatusProxyAuthRequired && o.Proxy.User == nil:
		hint = "it wants a user and a password, which stand before an @ in its address"
	case resp.StatusCode == http.StatusProxyAuthRequired:
		hint = "it does not accept the user and the password in its address"
	case resp.StatusCode == http.StatusForbidden:
		hint = "its rules do not allow this host or port"
	case resp.StatusCode >= 500:
		hint = "it did not reach the node"
	}
	status := fmt.Sprint(resp.StatusCode)
	if words := http.StatusText(resp.StatusCode); words != "" {
		status += " " + words
	}
	text := fmt.Sprintf("the proxy %s answered %s to a connection to %s", ShowProxy(o.Proxy), status, HostPort(o.Target))
	return &ProxyError{Text: text, Advice: o.proxyHint(hint)}
}

// proxyHint says where the proxy was named and how to go without it.
func (o Options) proxyHint(first string) string {
	if first != "" {
		first += "; "
	}
	return first + "the proxy comes from " + cmp.Or(o.ProxyFrom, "the configuration") + ", and --proxy none does without one"
}

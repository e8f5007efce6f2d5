package transport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"ferry/pkg/guard"
	"ferry/pkg/text"
)

// ProxyEnv holds the proxy variables of the environment. The names are the same as in curl. The caller reads them.
type ProxyEnv struct {
	HTTP, HTTPS, All, No string
}

// ProxyFor returns the proxy for a target as curl chooses it: the one for the target's scheme, else ALL_PROXY, unless
// NO_PROXY names the host. A loopback target has no proxy, as in Go and in browsers: a proxy on another machine would
// connect to its own loopback. from is the variable that decided, "loopback", or "" if no variable names a proxy. The
// proxy is nil for a direct connection. The error never shows the proxy's password.
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

// proxyPorts maps each scheme to curl's default port for a proxy.
var proxyPorts = map[string]string{"http": "1080", "https": "443", "socks5": "1080", "socks5h": "1080"}

// ParseProxy parses a proxy's address. As in curl, the default scheme is http://, and the default port is 1080 (443
// for https://). The error never shows the input, which may contain a password.
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

// excludes reports whether NO_PROXY names the host. "*" as the only entry matches all hosts. A domain, with or
// without a leading dot, matches itself and its subdomains. An address matches itself, and a CIDR block matches the
// addresses in it. Entries are separated by commas or spaces.
func (e ProxyEnv) excludes(host string) bool {
	if strings.TrimSpace(e.No) == "*" {
		return true
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	address, err := netip.ParseAddr(host)
	entries := strings.FieldsFunc(strings.ToLower(e.No), func(r rune) bool { return r == ',' || r == ' ' })
	return slices.ContainsFunc(entries, func(entry string) bool {
		if err == nil {
			return inEntry(address.Unmap(), entry)
		}
		entry = strings.Trim(entry, ".")
		return entry != "" && (host == entry || strings.HasSuffix(host, "."+entry))
	})
}

func inEntry(address netip.Addr, entry string) bool {
	if block, err := netip.ParsePrefix(entry); err == nil {
		return block.Contains(address)
	}
	single, err := netip.ParseAddr(strings.Trim(entry, "[]"))
	return err == nil && single.Unmap() == address
}

// ProxyError reports that a proxy cannot be used, or that the proxy or the connection to it failed. No request was
// sent to the node.
type ProxyError struct {
	Text string
	text.Advice
	Err error // the cause, or nil
}

func (e *ProxyError) Error() string { return e.Text }

// Unwrap returns the cause.
func (e *ProxyError) Unwrap() error { return e.Err }

func badProxy(reason string) *ProxyError {
	return &ProxyError{
		Text:   "cannot use the proxy: " + reason,
		Advice: "a proxy is http://, https://, socks5:// or socks5h:// and a host",
	}
}

// ShowProxy returns a proxy's address without its user and password.
func ShowProxy(via *url.URL) string { return via.Scheme + "://" + via.Host }

// proxyError adds the proxy's name to an error from before the node was reached. It does not change an error that the
// proxy did not cause, such as one without a proxy, or after ctx has ended.
func (o Options) proxyError(ctx context.Context, err error) error {
	if err == nil || o.Proxy == nil || ctx.Err() != nil {
		return err
	}
	var dns *net.DNSError
	var socks *net.OpError
	name := ShowProxy(o.Proxy)
	text := "cannot connect through the proxy " + name + ": " + Innermost(err).Error()
	switch {
	case errors.As(err, new(*ProxyError)), errors.As(err, new(*guard.PlainHTTPError)),
		errors.As(err, new(*guard.TrustError)), errors.As(err, new(*ConnectTimeoutError)):
		return err
	case errors.As(err, &dns) && dns.Name != o.Proxy.Hostname():
		return err // with socks5 this is the look-up of the node's name
	case errors.As(err, &dns):
		text = "no address for the proxy " + name + ": " + dns.Err
	case errors.As(err, &socks) && socks.Op == "socks connect" && !errors.As(socks.Err, new(*net.OpError)):
		reason := strings.TrimPrefix(Innermost(err).Error(), "unknown error ") // package proxy puts this before each refusal
		text = fmt.Sprintf("the proxy %s did not connect to %s: %s", name, HostPort(o.Target), reason)
	}
	return &ProxyError{text, o.proxyHint(""), err}
}

// Innermost returns the innermost cause of err, which has the shortest and most precise text. System errors have the
// same text on every system.
func Innermost(err error) error {
	for errors.Unwrap(err) != nil {
		err = errors.Unwrap(err)
	}
	return portable(err)
}

// checkProxyResponse returns an error if the proxy's response is not 200, else nil. It does not show the reason phrase
// of the status line, because its length is not limited.
func (o Options) checkProxyResponse(resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	hint := ""
	switch {
	case resp.StatusCode == http.StatusProxyAuthRequired && o.Proxy.User == nil:
		hint = "it needs a user and a password: write them before an @ in its address"
	case resp.StatusCode == http.StatusProxyAuthRequired:
		hint = "it does not accept the user and the password in its address"
	case resp.StatusCode == http.StatusForbidden:
		hint = "its rules do not allow this host or port"
	case resp.StatusCode >= 500:
		hint = "it did not reach the node"
	}
	status := strings.TrimSpace(fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode)))
	text := fmt.Sprintf("the proxy %s answered %s to a connection to %s", ShowProxy(o.Proxy), status, HostPort(o.Target))
	return &ProxyError{Text: text, Advice: o.proxyHint(hint)}
}

// proxyHint returns where the proxy was set and how to disable it.
func (o Options) proxyHint(first string) text.Advice {
	if first != "" {
		first += "; "
	}
	from := cmp.Or(o.ProxyFrom, "the configuration")
	return text.Advice(first + "the proxy comes from " + from + ", and --proxy none uses no proxy")
}

package transport

import (
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// ProxyEnv is what the environment says of proxies. The names are those of curl; the caller reads them.
type ProxyEnv struct {
	HTTP, HTTPS, All, No string
}

// ProxyFor gives the proxy for a target as curl chooses it: the one of the target's scheme, else ALL_PROXY, unless
// NO_PROXY names the host. Unlike net/http's own rule it makes no exception for loopback, since curl makes none. The
// result is nil for a direct connection; the error never shows the proxy's password.
func (e ProxyEnv) ProxyFor(target *url.URL) (*url.URL, error) {
	raw := e.HTTPS
	if target.Scheme == "http" {
		raw = e.HTTP
	}
	if raw == "" {
		raw = e.All
	}
	if raw == "" || e.excludes(target.Hostname()) {
		return nil, nil
	}
	return ParseProxy(raw)
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
		return nil, &ProxyError{Reason: "not an address"}
	}
	port, known := proxyPorts[parsed.Scheme]
	if !known {
		return nil, &ProxyError{Reason: "unknown scheme " + parsed.Scheme}
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

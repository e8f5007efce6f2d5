package config

import (
	"net/netip"
	"strconv"
	"strings"
)

// The rules of the gateway's values say what may stand there, not what may not: nginx has no way of quoting a dollar, and
// its next release may read a character as its own that this one does not.

// checkServerName wants a host's name (RFC 1123 section 2.1). An address has no place in TLS's server name, and a
// wildcard would answer for names that were not meant.
func checkServerName(s string) *Error {
	if isHostName(s) && !isAddress(s) {
		return nil
	}
	return bad("use a host's name such as ai.example.com", "")
}

func isAddress(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

// isHostName holds for labels of letters, digits and inner dashes.
func isHostName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if !isAlnum(label[i]) && label[i] != '-' {
				return false
			}
		}
	}
	return true
}

// checkNginxPath wants a path that nginx reads as it stands, include included, where * ? and [ would match other files.
func checkNginxPath(s string) *Error {
	if err := checkText(s); err != nil {
		return err
	}
	if i := strings.IndexAny(s, "\"'\\$;{}#*?[]`"); i >= 0 {
		return bad("has a "+strconv.QuoteRune(rune(s[i]))+", which nginx would read as its own", "use a plain path")
	}
	return nil
}

func checkListen(s string) *Error {
	err := bad(`use a port or an address with a port, such as 443 or "[::]:443"`, "")
	port := s
	if i := strings.LastIndexByte(s, ':'); i >= 0 {
		at, fault := netip.ParseAddrPort(s)
		if fault != nil || at.Addr().Zone() != "" || at.Addr().Is4In6() {
			return err
		}
		port = s[i+1:]
	}
	if n, fault := strconv.ParseUint(port, 10, 16); fault != nil || n == 0 || port[0] == '0' {
		return err
	}
	return nil
}

func checkPrefix(s string) *Error {
	err := bad("use a path such as /api/, with a slash at both ends and plain words between", "")
	if len(s) > 128 || !strings.HasPrefix(s, "/") || !strings.HasSuffix(s, "/") {
		return err
	}
	if s == "/" {
		return nil
	}
	for part := range strings.SplitSeq(s[1:len(s)-1], "/") {
		if part == "" || part == "." || part == ".." {
			return err
		}
		for i := range len(part) {
			if !isAlnum(part[i]) && strings.IndexByte("-_.~", part[i]) < 0 {
				return err
			}
		}
	}
	return nil
}

// checkUpstream wants the name of a node that has an address of its own.
func checkUpstream(s string) *Error {
	if !isNodeName(s) || s == "demo" {
		return bad("use the names of nodes in this file", "")
	}
	return nil
}

func checkKeepalive(s string) *Error { return checkNumber(s, 10000) }

func checkConnections(s string) *Error { return checkNumber(s, 65535) }

func checkGatewayBurst(s string) *Error {
	if s == "0" {
		return nil
	}
	if err := checkNumber(s, 1000000); err != nil {
		return bad("use a whole number from 0 to 1000000", "")
	}
	return nil
}

func checkGatewayRate(s string) *Error {
	_, err := parseGatewayRate(s)
	return err
}

func parseGatewayRate(s string) (GatewayRate, *Error) {
	count, unit, _ := strings.Cut(s, "/")
	per := map[string]string{"s": "second", "sec": "second", "second": "second", "min": "minute", "minute": "minute"}[unit]
	if per == "" || checkNumber(count, 1000000) != nil {
		return GatewayRate{}, bad("use a number of requests per second or minute, such as 50/min", "")
	}
	n, _ := strconv.Atoi(count) // checked
	return GatewayRate{n, per}, nil
}

// checkRole wants a small word: the name stands in nginx's map, where the case of letters would not count.
func checkRole(s string) *Error {
	for i := range len(s) {
		small := s[i] >= 'a' && s[i] <= 'z'
		if !small && (i == 0 || (s[i] < '0' || s[i] > '9') && s[i] != '-' && s[i] != '_') {
			return bad("use a name of small letters, digits, - and _", "")
		}
	}
	if s == "" || len(s) > 32 {
		return bad("use a name of 1 to 32 letters", "")
	}
	return nil
}

func checkPermission(s string) *Error {
	for _, p := range Permissions() {
		if s == p {
			return nil
		}
	}
	return bad(meant("unknown permission", s, Permissions()), "there are "+strings.Join(Permissions(), ", "))
}

package cmd_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// trustCase is a server and a configuration, and the expected result.
type trustCase struct {
	name   string
	server *tls.Config
	// node is the node's configuration apart from url and key.
	node string
	// want is the rest of the error after "TLS certificate of HOST rejected: " or after HOST, "" for an answer.
	want string
}

func trustCases(t *testing.T) []trustCase {
	root, stranger := newAuthority(t, "root", nil), newAuthority(t, "stranger", nil)
	middle := newAuthority(t, "middle", root)
	leaf := middle.issue(t, nil, middle)
	appended := middle.issue(t, nil, middle, stranger)
	serves := func(pair tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{pair}} }
	asks := func(min, max uint16) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{leaf}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: certPool(root),
			MinVersion: min, MaxVersion: max}
	}
	cert, key := writeCertificate(t, root.issue(t, nil))
	wrongCert, wrongKey := writeCertificate(t, stranger.issue(t, nil))
	trusts := func(more string) string { return fmt.Sprintf("tls: {ca: '%s'%s}", root.file, more) }
	pins := func(ders ...[]byte) string {
		var list []string
		for _, der := range ders {
			list = append(list, `"`+pinOf(t, der)+`"`)
		}
		return trusts("") + ", pins: [" + strings.Join(list, ", ") + "]"
	}
	other := stranger.issue(t, nil).Certificate[0]
	client := fmt.Sprintf(", cert: '%s', key: '%s'", cert, key)
	wrongClient := fmt.Sprintf(", cert: '%s', key: '%s'", wrongCert, wrongKey)
	return []trustCase{
		{"right pin", serves(leaf), pins(leaf.Certificate[0]), ""},
		{"rotated pin, the next key first", serves(leaf), pins(other, leaf.Certificate[0]), ""},
		{"the intermediate's pin", serves(leaf), pins(middle.cert.Raw), ""},
		{"the root's pin", serves(leaf), pins(root.cert.Raw), ""},
		{"a client certificate", asks(0, 0), trusts(client), ""},
		{"TLS 1.2 where the node allows it", &tls.Config{Certificates: []tls.Certificate{leaf}, MaxVersion: tls.VersionTLS12},
			trusts(`, min: "1.2"`), ""},

		{"wrong pin", serves(leaf), pins(other), "its certificate has none of the pinned keys: pinned " + pinOf(t, other) +
			"; its chain has " + pinOf(t, leaf.Certificate[0])},
		{"the pin of an appended certificate", serves(appended), pins(stranger.cert.Raw),
			"its certificate has none of the pinned keys: pinned " + pinOf(t, stranger.cert.Raw)},
		{"TLS 1.2 only", &tls.Config{Certificates: []tls.Certificate{leaf}, MaxVersion: tls.VersionTLS12}, trusts(""),
			"does not offer TLS 1.3"},
		{"expired", serves(root.issue(t, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Unix(0, 0), time.Unix(86400*365, 0) })),
			trusts(""), "its certificate expired on 1971-01-01"},
		{"not yet valid", serves(root.issue(t, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Unix(1<<34, 0), time.Unix(1<<35, 0) })),
			trusts(""), "its certificate is not valid before 2514-05-30"},
		{"wrong host", serves(root.issue(t, func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{"other.test"}, nil })),
			trusts(""), "its certificate is for other.test"},
		{"unknown authority", serves(stranger.issue(t, nil)), trusts(""), "its certificate is signed by an unknown authority"},
		{"a right pin under an unknown authority", serves(leaf),
			fmt.Sprintf(`tls: {ca: '%s'}, pins: "%s"`, stranger.file, pinOf(t, leaf.Certificate[0])),
			"its certificate is signed by an unknown authority"},
		{"no client certificate", asks(0, 0), trusts(""), "asks for a client certificate"},
		{"no client certificate, TLS 1.2", asks(0, tls.VersionTLS12), trusts(`, min: "1.2"`), "refused the TLS handshake: "},
		{"another client certificate", asks(0, 0), trusts(wrongClient), "asks for another client certificate"},
	}
}

var noTrust = regexp.MustCompile(`(?m)^Error: n: TLS certificate of (\S+) rejected: (.*)$`)

// noHandshake is the error if no certificate was rejected.
var noHandshake = regexp.MustCompile(`(?m)^Error: n: (\S+) ((?:does|asks|refused) .*)$`)

// TestTrust runs ferry against TLS servers of every kind: each fault has its own message, and the server gets not one
// byte.
func TestTrust(t *testing.T) {
	skipIfShort(t, "every fault of trust under every policy, by both ways")
	proxy := connectProxy(t, nil)
	for _, tt := range trustCases(t) {
		t.Run(tt.name, func(t *testing.T) {
			for _, via := range []string{"none", proxy.URL} {
				for _, policy := range []string{"script", "retry-after", "backoff"} {
					for _, verb := range []string{"ask", "stream"} {
						node := serve(t, nil, withTLS(tt.server))
						proxy.newRequests()
						r := ferry(t, configure(t, node.URL, tt.node), verb, "-v", "-n", "n", "--retry-policy", policy, "--proxy", via, "--no-stdin", "hello")
						checkNoKey(t, tt.name, r.stdout+r.stderr)
						equal(t, fmt.Sprintf("%q: connections through the proxy", r.args), len(proxy.newRequests()), map[bool]int{true: 1}[via != "none"])
						equal(t, fmt.Sprintf("%q: connections", r.args), node.connections.Load(), 1)
						if tt.want == "" {
							if r.want(0, "", ""); r.stdout == "" || node.active.Load() == 0 {
								r.errorf("%d requests, want an answer", node.active.Load())
							}
							continue
						}
						r.fails(1, "\nhint: ")
						equal(t, fmt.Sprintf("%q: connections with a byte of a request", r.args), node.active.Load(), 0)
						found := noTrust.FindStringSubmatch(r.stderr)
						if !strings.HasPrefix(tt.want, "its ") {
							found = noHandshake.FindStringSubmatch(r.stderr)
						}
						if found == nil || found[1] != node.host || !strings.HasPrefix(found[2], tt.want) {
							r.errorf("want an error about %s: %s", node.host, tt.want)
						}
					}
				}
			}
		})
	}
}

// TestConfigPin checks that config pin prints a chain with its pins, whether or not the configured pins match, and
// sends nothing.
func TestConfigPin(t *testing.T) {
	root := newAuthority(t, "The Root", nil)
	middle := newAuthority(t, "The Middle", root)
	leaf := middle.issue(t, nil, middle)
	node := serve(t, nil, overTLS(leaf))
	leafPin, middlePin, rootPin := pinOf(t, leaf.Certificate[0]), pinOf(t, middle.cert.Raw), pinOf(t, root.cert.Raw)
	other := pinOf(t, root.issue(t, nil).Certificate[0])
	ca := fmt.Sprintf("label: 香港, tls: {ca: '%s'}", root.file)
	for _, tt := range []struct {
		node   string
		marked string // the pin that is marked as pinned
		note   string
	}{
		{ca, "", "nothing is pinned yet"},
		{ca + `, pins: ["` + leafPin + `"]`, leafPin, ""},
		{ca + `, pins: ["` + other + `", "` + middlePin + `"]`, middlePin, ""},
		{ca + `, pins: ["` + other + `"]`, "", "the chain has none of the pinned keys (" + other + ")"},
		{ca + `, api: chat`, "", "nothing is pinned yet"},
	} {
		env := configure(t, node.URL, tt.node)
		delete(env, "NODE_KEY") // the key is not needed
		want := "n (香港)  " + node.URL + "\n\n"
		for _, c := range [][3]string{{"node", "The Middle", leafPin}, {"The Middle", "The Root", middlePin}, {"The Root", "The Root", rootPin}} {
			until := root.cert.NotAfter.UTC().Format("2006-01-02")
			want += fmt.Sprintf("certificate  %s\nissued by    %s\nvalid until  %s\npin          %s", c[0], c[1], until, c[2])
			if c[2] == tt.marked {
				want += "   (pinned, config.yaml:2)"
			}
			want += "\n\n"
		}
		want += "pins: [\"" + leafPin + "\"]\nferry config set nodes.n.pins " + leafPin + "\n"
		r := ferry(t, env, "config", "pin", "n").want(0, want, tt.note).want(0, want, "keep a backup")
		equal(t, "config pin prints", r.stdout, want)
	}
	equal(t, "connections with a byte of a request", node.active.Load(), 0)

	// The printed command works, and replaces the old pins.
	env := configure(t, node.URL, ca+`, pins: ["`+other+`"]`)
	ferry(t, env, "ask", "-n", "n", "hello").want(1, "", "ferry config pin n shows the chain")
	lines := strings.Split(strings.TrimSpace(ferry(t, env, "config", "pin", "n").stdout), "\n")
	ferry(t, env, strings.Fields(lines[len(lines)-1])[1:]...).must()
	contains(t, "the file", read(t, env["FERRY_CONFIG"]), lines[len(lines)-2])
	ferry(t, env, "ask", "-n", "n", "hello").must()
}

func TestConfigPinFails(t *testing.T) {
	root, stranger := newAuthority(t, "root", nil), newAuthority(t, "stranger", nil)
	node := serve(t, nil, overTLS(root.issue(t, nil)))
	env := configure(t, node.URL, fmt.Sprintf("tls: {ca: '%s'}", stranger.file))
	ferry(t, env, "config", "pin", "n").fails(1, "its certificate is signed by an unknown authority")
	equal(t, "connections with a byte of a request", node.active.Load(), 0)
	env = configure(t, "https://127.0.0.1:1", "label: x")
	ferry(t, env, "config", "pin", "n").want(1, "", "cannot connect to 127.0.0.1:1")
	for name, want := range map[string]string{
		"demo": "node demo is not reached over TLS", "http://127.0.0.1:1": "is not reached over TLS", "nobody": "unknown node nobody",
	} {
		ferry(t, env, "config", "pin", name).want(2, "", want)
	}
}

// TestPinsAreShown checks the other commands that print pins.
func TestPinsAreShown(t *testing.T) {
	root := newAuthority(t, "The Root", nil)
	node := serve(t, nil, overTLS(root.issue(t, nil)))
	rootPin, other := pinOf(t, root.cert.Raw), pinOf(t, newAuthority(t, "other", nil).cert.Raw)
	env := configure(t, node.URL, fmt.Sprintf(`tls: {ca: '%s'}, pins: ["%s", "%s"]`, root.file, other, rootPin))
	for want, args := range map[string][]string{
		"✓ pins     the key of The Root is pinned: " + rootPin + " (of 2)\n": {"config", "check", "n"},
		" --pinnedpubkey '" + other + ";" + rootPin + "'":                    {"ask", "-n", "n", "--dry-run", "hello"},
		other + "," + rootPin + "\n":                                         {"config", "get", "nodes.n.pins"},
		"nodes.n.pins ":                                                      {"config", "list"},
		"pins\n":                                                             {"config", "nodes"},
	} {
		ferry(t, env, args...).want(0, want, "")
	}
	env = configure(t, node.URL, fmt.Sprintf(`tls: {ca: '%s'}, pins: "%s"`, root.file, other))
	ferry(t, env, "config", "check", "n").
		want(1, "✗ TLS      n: TLS certificate of "+node.host+" rejected: its certificate has none of the pinned keys", "")
}

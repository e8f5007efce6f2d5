package cmd_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// trustCase is a server and a configuration, and what comes of them.
type trustCase struct {
	name   string
	server *tls.Config
	// node is what the configuration says of the node beside url and key.
	node string
	// want is how the error goes on behind "TLS certificate of HOST rejected: ", "" for an answer.
	want string
}

func trustCases(t *testing.T) []trustCase {
	root, stranger := newAuthority(t, "root", nil), newAuthority(t, "stranger", nil)
	middle := newAuthority(t, "middle", root)
	leaf := middle.issue(t, nil, middle)
	appended := middle.issue(t, nil, middle, stranger)
	serves := func(pair tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{pair}} }
	asks := func(min, max uint16) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{leaf}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool(root),
			MinVersion: min, MaxVersion: max}
	}
	cert, key := files(t, root.issue(t, nil))
	wrongCert, wrongKey := files(t, stranger.issue(t, nil))
	trusts := func(more string) string { return fmt.Sprintf("tls: {ca: '%s'%s}", root.file, more) }
	pins := func(ders ...[]byte) string {
		var list []string
		for _, der := range ders {
			list = append(list, `"`+pinned(t, der)+`"`)
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

		{"wrong pin", serves(leaf), pins(other), "its certificate has none of the pinned keys: pinned " + pinned(t, other) +
			"; its chain has " + pinned(t, leaf.Certificate[0])},
		{"the pin of an appended certificate", serves(appended), pins(stranger.cert.Raw),
			"its certificate has none of the pinned keys: pinned " + pinned(t, stranger.cert.Raw)},
		{"TLS 1.2 only", &tls.Config{Certificates: []tls.Certificate{leaf}, MaxVersion: tls.VersionTLS12}, trusts(""),
			"it does not offer TLS 1.3"},
		{"expired", serves(root.issue(t, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Unix(0, 0), time.Unix(86400*365, 0) })),
			trusts(""), "its certificate expired on 1971-01-01"},
		{"not yet valid", serves(root.issue(t, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Unix(1<<34, 0), time.Unix(1<<35, 0) })),
			trusts(""), "its certificate is not valid before 2514-05-30"},
		{"wrong host", serves(root.issue(t, func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{"other.test"}, nil })),
			trusts(""), "its certificate is for other.test"},
		{"unknown authority", serves(stranger.issue(t, nil)), trusts(""), "its certificate is signed by an unknown authority"},
		{"a right pin under an unknown authority", serves(leaf),
			fmt.Sprintf(`tls: {ca: '%s'}, pins: "%s"`, stranger.file, pinned(t, leaf.Certificate[0])),
			"its certificate is signed by an unknown authority"},
		{"no client certificate", asks(0, 0), trusts(""), "it asks for a client certificate"},
		{"no client certificate, TLS 1.2", asks(0, tls.VersionTLS12), trusts(`, min: "1.2"`), "it refused the TLS handshake: "},
		{"another client certificate", asks(0, 0), trusts(wrongClient), "it asks for another client certificate"},
	}
}

// same are the cases that are one fault, and share their message.
var same = map[string]string{
	"the pin of an appended certificate":     "wrong pin",
	"a right pin under an unknown authority": "unknown authority",
}

var noTrust = regexp.MustCompile(`(?m)^Error: n: TLS certificate of (\S+) rejected: (.*)$`)

// configure writes a configuration with one node.
func configure(t *testing.T, url, node string) map[string]string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	text := fmt.Sprintf("nodes:\n  n: {url: '%s', key: \"env:NODE_KEY\", %s}\n", url, node)
	write(t, path, text)
	return map[string]string{"FERRY_CONFIG": path, "NODE_KEY": canaryKey, "HOME": t.TempDir()}
}

// TestTrust crosses TLS servers of every kind, straight and through a proxy: each fault has a message of its own, and
// where there is one the server got a single connection and not a byte, whatever the policy.
func TestTrust(t *testing.T) {
	long(t, "every fault of trust under every policy, by both ways")
	proxy, connects := connectProxy(t, nil)
	messages := map[string]string{}
	for _, tt := range trustCases(t) {
		t.Run(tt.name, func(t *testing.T) {
			for _, via := range []string{"none", proxy} {
				for _, policy := range []string{"script", "retry-after", "backoff"} {
					for _, verb := range []string{"ask", "stream"} {
						node := newTLSNode(t, tt.server)
						before := connects.Load()
						args := []string{verb, "-v", "-n", "n", "--retry-policy", policy, "--proxy", via, "--no-stdin", "hello"}
						code, stdout, stderr := run(t, configure(t, node.url, tt.node), args...)
						reveals(t, tt.name, stdout+stderr)
						if through := connects.Load() - before; via != "none" && through != 1 || via == "none" && through != 0 {
							t.Errorf("%v: %d connections through the proxy", args, through)
						}
						if n := node.connections.Load(); n != 1 {
							t.Errorf("%v: %d connections", args, n)
						}
						if tt.want == "" {
							if code != 0 || stdout == "" || node.bytes.Load() == 0 {
								t.Errorf("%v: exit code %d, %q\n%s", args, code, stdout, stderr)
							}
							continue
						}
						found := noTrust.FindStringSubmatch(stderr)
						if code != 1 || stdout != "" || found == nil || found[1] != node.host || !strings.HasPrefix(found[2], tt.want) ||
							!strings.Contains(stderr, "\nhint: ") {
							t.Errorf("%v: exit code %d, %q; want %s\n%s", args, code, stdout, tt.want, stderr)
							continue
						}
						if n := node.bytes.Load(); n != 0 {
							t.Errorf("%v: the server was sent %d bytes", args, n)
						}
						kind := tt.name
						if same[kind] != "" {
							kind = same[kind]
						}
						message := regexp.MustCompile(`sha256//\S+`).ReplaceAllString(found[2], "…")
						if other := messages[message]; other != "" && other != kind {
							t.Errorf("%s and %s share the message %q", kind, other, message)
						}
						messages[message] = kind
					}
				}
			}
		})
	}
	if len(messages) < 9 {
		t.Errorf("only %d messages: %q", len(messages), messages)
	}
}

// TestConfigPin shows a chain with its pins, whether or not the configured ones fit, and sends nothing.
func TestConfigPin(t *testing.T) {
	root := newAuthority(t, "The Root", nil)
	middle := newAuthority(t, "The Middle", root)
	leaf := middle.issue(t, nil, middle)
	node := newTLSNode(t, &tls.Config{Certificates: []tls.Certificate{leaf}})
	leafPin, middlePin, rootPin := pinned(t, leaf.Certificate[0]), pinned(t, middle.cert.Raw), pinned(t, root.cert.Raw)
	other := pinned(t, root.issue(t, nil).Certificate[0])
	ca := fmt.Sprintf("label: 香港, tls: {ca: '%s'}", root.file)
	tests := []struct {
		name, node string
		marked     string // the pin that is said to be pinned
		note       string
	}{
		{"no pins", ca, "", "nothing is pinned yet"},
		{"the leaf's", ca + `, pins: ["` + leafPin + `"]`, leafPin, ""},
		{"an authority's", ca + `, pins: ["` + other + `", "` + middlePin + `"]`, middlePin, ""},
		{"none that fits", ca + `, pins: ["` + other + `"]`, "", "the chain has none of the pinned keys (" + other + ")"},
		{"a chat node without a model", ca + `, api: chat`, "", "nothing is pinned yet"},
	}
	for _, tt := range tests {
		env := configure(t, node.url, tt.node)
		delete(env, "NODE_KEY") // the key is not needed
		code, stdout, stderr := run(t, env, "config", "pin", "n")
		want := "n (香港)  " + node.url + "\n\n"
		for _, c := range [][3]string{{"node", "The Middle", leafPin}, {"The Middle", "The Root", middlePin}, {"The Root", "The Root", rootPin}} {
			until := root.cert.NotAfter.UTC().Format("2006-01-02")
			want += fmt.Sprintf("certificate  %s\nissued by    %s\nvalid until  %s\npin          %s", c[0], c[1], until, c[2])
			if c[2] == tt.marked {
				want += "   (pinned, config.yaml:2)"
			}
			want += "\n\n"
		}
		want += "pins: [\"" + leafPin + "\"]\nferry config set nodes.n.pins " + leafPin + "\n"
		if code != 0 || stdout != want || !strings.Contains(stderr, tt.note) || !strings.Contains(stderr, "keep a backup") {
			t.Errorf("%s: exit code %d\n%s\nwant\n%s\n%s", tt.name, code, stdout, want, stderr)
		}
	}
	if n := node.bytes.Load(); n != 0 {
		t.Errorf("the server was sent %d bytes", n)
	}

	// The line that it shows is one that works, and takes what is pinned already away.
	env := configure(t, node.url, ca+`, pins: ["`+other+`"]`)
	if code, _, stderr := run(t, env, "ask", "-n", "n", "hello"); code != 1 || !strings.Contains(stderr, "ferry config pin n shows the chain") {
		t.Errorf("before: exit code %d, %s", code, stderr)
	}
	_, stdout, _ := run(t, env, "config", "pin", "n")
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if code, _, stderr := run(t, env, strings.Fields(lines[len(lines)-1])[1:]...); code != 0 {
		t.Fatalf("%s: exit code %d, %s", lines[len(lines)-1], code, stderr)
	}
	if text, err := os.ReadFile(env["FERRY_CONFIG"]); err != nil || !strings.Contains(string(text), lines[len(lines)-2]) {
		t.Errorf("%v: %s does not stand in\n%s", err, lines[len(lines)-2], text)
	}
	if code, _, stderr := run(t, env, "ask", "-n", "n", "hello"); code != 0 {
		t.Errorf("after: exit code %d, %s", code, stderr)
	}
}

func TestConfigPinFails(t *testing.T) {
	root, stranger := newAuthority(t, "root", nil), newAuthority(t, "stranger", nil)
	node := newTLSNode(t, &tls.Config{Certificates: []tls.Certificate{root.issue(t, nil)}})
	env := configure(t, node.url, fmt.Sprintf("tls: {ca: '%s'}", stranger.file))
	code, stdout, stderr := run(t, env, "config", "pin", "n")
	if code != 1 || stdout != "" || !strings.Contains(stderr, "its certificate is signed by an unknown authority") {
		t.Errorf("an unverified chain: exit code %d, %s\n%s", code, stdout, stderr)
	}
	if n := node.bytes.Load(); n != 0 {
		t.Errorf("the server was sent %d bytes", n)
	}
	env = configure(t, "https://127.0.0.1:1", "label: x")
	if code, _, stderr := run(t, env, "config", "pin", "n"); code != 1 || !strings.Contains(stderr, "cannot connect to 127.0.0.1:1") {
		t.Errorf("nobody there: exit code %d, %s", code, stderr)
	}
	for name, want := range map[string]string{
		"demo": "node demo is not reached over TLS", "http://127.0.0.1:1": "is not reached over TLS", "nobody": "unknown node nobody",
	} {
		if code, _, stderr := run(t, env, "config", "pin", name); code != 2 || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d, %s", name, code, stderr)
		}
	}
}

// TestPinsAreShown looks at the other commands that know of pins.
func TestPinsAreShown(t *testing.T) {
	root := newAuthority(t, "The Root", nil)
	node := newTLSNode(t, &tls.Config{Certificates: []tls.Certificate{root.issue(t, nil)}})
	rootPin, other := pinned(t, root.cert.Raw), pinned(t, newAuthority(t, "other", nil).cert.Raw)
	env := configure(t, node.url, fmt.Sprintf(`tls: {ca: '%s'}, pins: ["%s", "%s"]`, root.file, other, rootPin))
	for _, tt := range []struct {
		want string
		args []string
	}{
		{"✓ pins     the key of The Root is pinned: " + rootPin + " (of 2)\n", []string{"config", "check", "n"}},
		{" --pinnedpubkey '" + other + ";" + rootPin + "'", []string{"ask", "-n", "n", "--dry-run", "hello"}},
		{other + "," + rootPin + "\n", []string{"config", "get", "nodes.n.pins"}},
		{"nodes.n.pins ", []string{"config", "list"}},
		{"pins\n", []string{"config", "nodes"}},
	} {
		if code, stdout, stderr := run(t, env, tt.args...); code != 0 || !strings.Contains(stdout, tt.want) {
			t.Errorf("%v: exit code %d, want %q\n%s%s", tt.args, code, tt.want, stdout, stderr)
		}
	}
	env = configure(t, node.url, fmt.Sprintf(`tls: {ca: '%s'}, pins: "%s"`, root.file, other))
	code, stdout, _ := run(t, env, "config", "check", "n")
	if code != 1 || !strings.Contains(stdout, "✗ TLS      n: TLS certificate of "+node.host+" rejected: its certificate has none of the pinned keys") {
		t.Errorf("a wrong pin: exit code %d\n%s", code, stdout)
	}
}

// TestPinsEndAnOrder holds failover to ending at a pin that does not match: the node behind it is not asked.
func TestPinsEndAnOrder(t *testing.T) {
	root := newAuthority(t, "root", nil)
	node, behind := newTLSNode(t, &tls.Config{Certificates: []tls.Certificate{root.issue(t, nil)}}), newTLSNode(t, &tls.Config{
		Certificates: []tls.Certificate{root.issue(t, nil)},
	})
	env := configure(t, node.url, fmt.Sprintf(`tls: {ca: '%s'}, pins: "%s"`, root.file, pinned(t, newAuthority(t, "other", nil).cert.Raw)))
	for _, args := range [][]string{
		{"config", "set", "nodes.behind.url", behind.url}, {"config", "set", "nodes.behind.tls.ca", root.file},
		{"config", "set", "nodes.behind.auth", "none"},
	} {
		if code, _, stderr := run(t, env, args...); code != 0 {
			t.Fatalf("%v: %s", args, stderr)
		}
	}
	for _, verb := range []string{"ask", "stream"} {
		code, stdout, stderr := run(t, env, verb, "--retry-policy", "backoff", "-n", "n,behind", "hello")
		if code != 1 || stdout != "" || !strings.Contains(stderr, "its certificate has none of the pinned keys") {
			t.Errorf("%s: exit code %d, %q, %s", verb, code, stdout, stderr)
		}
	}
	if node.bytes.Load() != 0 || behind.connections.Load() != 0 {
		t.Errorf("%d bytes of requests to the node, %d connections to the one behind", node.bytes.Load(), behind.connections.Load())
	}
}

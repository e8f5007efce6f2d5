package cmd_test

import (
	"crypto/tls"
	"fmt"
	"os"
	"strings"
	"testing"
)

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

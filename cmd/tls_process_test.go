//go:build !windows

package cmd_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// TestTrustByHTTPSProxy runs ferry as a process whose system believes in the proxy's authority: the pins are the node's,
// the proxy's certificate is another, and neither makes up for the other.
func TestTrustByHTTPSProxy(t *testing.T) {
	if runtime.GOOS == "darwin" {
		t.Skip("the platform verifies certificates here, and cannot be given an authority by a test")
	}
	systems, root := newAuthority(t, "system", nil), newAuthority(t, "root", nil)
	leaf, proxys := root.issue(t, nil), systems.issue(t, nil)
	serves := func(pair tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{pair}} }
	tests := []struct {
		name  string
		proxy tls.Certificate
		pin   []byte
		code  int
		want  string
	}{
		{"right pin", proxys, leaf.Certificate[0], 0, ""},
		{"the proxy's pin", proxys, proxys.Certificate[0], 1, "its certificate has none of the pinned keys"},
		{"a proxy of the node's authority", root.issue(t, nil), leaf.Certificate[0], 1, "its certificate is signed by an unknown authority"},
		{"a proxy with the pinned key", leaf, leaf.Certificate[0], 1, "its certificate is signed by an unknown authority"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			node := newTLSNode(t, serves(leaf))
			proxy, connects := connectProxy(t, serves(tt.proxy))
			env := configure(t, node.url, fmt.Sprintf(`tls: {ca: '%s'}, pins: "%s"`, root.file, pinned(t, tt.pin)))
			c := realFerry(t, "ask", "-n", "n", "--proxy", proxy, "--retry-policy", "backoff", "--no-stdin", "hello")
			for name, value := range env {
				c.Env = append(c.Env, name+"="+value)
			}
			c.Env = append(c.Env, "SSL_CERT_FILE="+systems.file, "SSL_CERT_DIR="+t.TempDir())
			var stdout, stderr bytes.Buffer
			c.Stdout, c.Stderr = &stdout, &stderr
			_ = c.Run() // the exit code says it
			if code := c.ProcessState.ExitCode(); code != tt.code || !strings.Contains(stderr.String(), tt.want) || (stdout.Len() > 0) != (code == 0) {
				t.Errorf("exit code %d, %q\n%s", code, &stdout, &stderr)
			}
			if tt.code == 0 {
				return
			}
			if n := node.bytes.Load(); n != 0 || connects.Load() > 1 {
				t.Errorf("the server was sent %d bytes by way of %d connections", n, connects.Load())
			}
		})
	}
}

package cmd_test

import (
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheckFalseGateway looks at gateways that do not keep what one of ferry's promises, one promise each.
func TestCheckFalseGateway(t *testing.T) {
	for _, tt := range []struct {
		name          string
		floor         uint16
		health, guess int
		want          string
	}{
		{"unwell", tls.VersionTLS13, 503, 401, "✗ gateway  /healthz answers with status 503"},
		{"old TLS", tls.VersionTLS12, 200, 401, "✗ floor    TLS 1.2 is taken"},
		{"open to all", tls.VersionTLS13, 200, 200, "✗ guard    a made-up token gets status 200, not 401"},
		{"limited", tls.VersionTLS13, 200, 429, "– guard    not seen"},
		{"fine", tls.VersionTLS13, 200, 401, "✓ guard"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Ferry-Gateway", "1")
				switch {
				case r.URL.Path == "/healthz":
					w.WriteHeader(tt.health)
					_, _ = io.WriteString(w, `{"status":"ok"}`)
				case r.Header.Get("X-Api-Key") != "callers-token":
					w.WriteHeader(tt.guess)
				default: // the role may not list models
					w.WriteHeader(http.StatusForbidden)
				}
			}))
			server.TLS = &tls.Config{MinVersion: tt.floor}
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.StartTLS()
			t.Cleanup(server.Close)
			dir := t.TempDir()
			ca, config := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "config.yaml")
			trusted := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
			text := fmt.Sprintf("nodes: {team: {url: %q, key: \"env:TOKEN\", tls: {ca: %q}, proxy: none}}\n", server.URL+"/api", ca)
			for path, content := range map[string]string{ca: string(trusted), config: text} {
				write(t, path, content)
			}
			env := map[string]string{"FERRY_CONFIG": config, "TOKEN": "callers-token"}
			code, stdout, stderr := run(t, env, "config", "check", "team")
			if !strings.Contains(stdout, tt.want) || (code == 1) != strings.Contains(tt.want, "✗") {
				t.Errorf("exit code %d, want %q in:\n%s%s", code, tt.want, stdout, stderr)
			}
			if !strings.Contains(stdout, "– models   the gateway knows the token, whose role may not list models") {
				t.Errorf("no word of the role in:\n%s", stdout)
			}
		})
	}
}

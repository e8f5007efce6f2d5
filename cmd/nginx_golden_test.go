//go:build !windows

package cmd_test

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestGoldenNginx holds the text that ferry writes for nginx to a file that people read in a review, and to being the same
// each time.
func TestGoldenNginx(t *testing.T) {
	for name, section := range map[string]string{
		"one":  "  upstream: direct\n  roles: {dev: [messages, models], ci: [models], old: [complete]}\n",
		"many": "  upstream: [hk, sg]\n  listen: [443, \"[::]:443\"]\n  rate: 5/s\n  burst: 0\n  prefix: /\n  temp: temp\n  roles: {dev: [messages]}\n",
		"chat": "  upstream: qwen\n  roles: {dev: [chat, models]}\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			cert, key, err := selfSigned("ai.example.com")
			check(t, err)
			config := "tls: {ca: ca.pem}\ngateway:\n  server_name: ai.example.com\n  cert: cert.pem\n  key: key.pem\n" + section + `nodes:
  hk:   {url: "https://hk.example.com/api", key: "env:K", headers: {X-Team: core}}
  sg:   {url: "https://sg.example.com:8443", key: "env:K", auth: bearer}
  qwen: {url: "https://qwen.example.com/compatible-mode/v1", api: chat, key: "env:K"}
`
			for file, content := range map[string]string{"cert.pem": string(cert), "key.pem": string(key), "config.yaml": config} {
				write(t, filepath.Join(dir, file), content)
			}
			env := map[string]string{"FERRY_CONFIG": filepath.Join(dir, "config.yaml")}
			code, first, stderr := run(t, env, "config", "nginx")
			if code != 0 {
				t.Fatalf("exit code %d: %s", code, stderr)
			}
			if _, second, _ := run(t, env, "config", "nginx"); first != second {
				t.Error("a second run writes another text")
			}
			text := strings.ReplaceAll(first, dir, "/etc/ferry")
			for line := range strings.Lines(text) {
				if strings.Contains(line, "#") && len([]rune(line)) > 121 {
					t.Errorf("%d columns: %s", len([]rune(line)), line)
				}
			}
			golden(t, filepath.Join("..", "testdata", "golden", "nginx", name+".conf"), text)
		})
	}
}

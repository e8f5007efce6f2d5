//go:build !windows

package cmd_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// providerKey is the key that only the gateway and the API know. It has every character that nginx or a quote could take
// for its own.
const providerKey = `provider-$key"0001\;{}#'$x`

// upstreamAPI is the demo node behind TLS 1.3, as an API. Step lets a stream that was asked with ?step send its next event.
type upstreamAPI struct {
	*server
	url  string
	step chan struct{}
}

func newUpstream(t *testing.T, by *authority, name string) *upstreamAPI {
	t.Helper()
	u := &upstreamAPI{step: make(chan struct{})}
	node := demoNode(t)
	u.server = serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Accel-Redirect", "/healthz")
		w.Header().Set("Set-Cookie", "account=1")
		if r.URL.RawQuery != "step" {
			node.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for range u.step {
			fmt.Fprint(w, "event: ping\ndata: {}\n\n")
			w.(http.Flusher).Flush()
		}
	}), withTLS(&tls.Config{Certificates: []tls.Certificate{by.issueFor(t, name)}, MinVersion: tls.VersionTLS13}))
	u.url = "https://localhost:" + u.port()
	return u
}

// head is the first line and the host of a request.
func (r asked) head() string { return r.Method + " " + r.RequestURI + " " + r.Proto + " " + r.Host }

// testGateway is a gateway of its own: files that ferry wrote, and a real nginx that reads them.
type testGateway struct {
	dir, logs, url string
	ca             *authority
	env            map[string]string
	tokens         map[string]string // by role
	client         *http.Client
}

// gatewayWish is what a test's gateway differs in.
type gatewayWish struct {
	rate      string // and other keys of the section
	upstreams []*upstreamAPI
	ca        *authority // of the gateway, and the one that it trusts
}

// startGateway writes a gateway with ferry, checks it with nginx -t and starts it.
func startGateway(t *testing.T, wish gatewayWish) *testGateway {
	t.Helper()
	dir, port := t.TempDir(), freePort(t)
	g := &testGateway{
		dir: dir, logs: filepath.Join(dir, "logs"), url: "https://localhost:" + port, ca: wish.ca, tokens: map[string]string{},
		env: map[string]string{"HOME": dir, "FERRY_CONFIG": filepath.Join(dir, "config.yaml"), "PROVIDER_KEY": providerKey},
		client: &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: pool(wish.ca)}, DisableCompression: true, MaxIdleConnsPerHost: 100, ExpectContinueTimeout: testTimeout,
		}},
	}
	t.Cleanup(g.client.CloseIdleConnections)
	for _, folder := range []string{g.logs, filepath.Join(dir, "temp")} {
		check(t, os.Mkdir(folder, 0o755))
	}
	write(t, g.env["FERRY_CONFIG"], wish.config(t, dir, port))
	for _, role := range []string{"dev", "ci"} {
		g.tokens[role] = strings.TrimSpace(ferry(t, g.env, "config", "token", "new", role).must().stdout)
	}
	g.env["GATE_TOKEN"] = g.tokens["dev"]
	ferry(t, g.env, "config", "nginx", "--out", filepath.Join(dir, "nginx")).must()
	arguments := startNginx(t, dir, filepath.Join(dir, "nginx", "nginx.conf"), "127.0.0.1:"+port)
	out, err := exec.CommandContext(t.Context(), findProgram(t, "nginx"), append([]string{"-t"}, arguments...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("nginx -t: %v, want no fault\n%s", err, out)
	}
	return g
}

// startNginx runs a real nginx until the test ends.
func startNginx(t *testing.T, dir, config, address string) (arguments []string) {
	t.Helper()
	arguments = []string{"-p", dir, "-c", config, "-e", "stderr", "-g", "daemon off; pid " + filepath.Join(dir, "nginx.pid") + ";"}
	runServer(t, exec.Command(findProgram(t, "nginx"), arguments...), address)
	return arguments
}

// config is ferry's file for the gateway's machine and for a caller's, in one.
func (w gatewayWish) config(t *testing.T, dir, port string) string {
	t.Helper()
	cert, key := files(t, w.ca.issueFor(t, "localhost"))
	var nodes, names []string
	for i, u := range w.upstreams {
		name := fmt.Sprint("api", i+1)
		names = append(names, name)
		nodes = append(nodes, fmt.Sprintf("  %s: {url: %q, key: \"env:PROVIDER_KEY\", tls: {ca: %q}}", name, u.url, w.ca.file))
	}
	return fmt.Sprintf(`gateway:
  server_name: localhost
  cert: %s
  key: %s
  listen: "127.0.0.1:%s"
  upstream: [%s]
  logs: logs
  temp: temp
  %s
  roles: {dev: [messages, models, complete, count_tokens], ci: [models]}
nodes:
%s
  gate: {url: "https://localhost:%s/api", key: "env:GATE_TOKEN", tls: {ca: %q}, proxy: none}
  cut:  {url: "https://localhost:%s/api?truncate=clean", key: "env:GATE_TOKEN", tls: {ca: %q}, proxy: none}
`, cert, key, port, strings.Join(names, ", "), w.rate, strings.Join(nodes, "\n"), port, w.ca.file, port, w.ca.file)
}

// reply is what came back.
type reply struct {
	status int
	header http.Header
	body   string
}

// try asks and gives status 0 where nothing came.
func (g *testGateway) try(method, path string, header http.Header, body string) (int, error) {
	r, err := g.ask(method, path, header, body)
	return r.status, err
}

// ask sends a request whose path goes out as it is written here.
func (g *testGateway) ask(method, path string, header http.Header, body string) (reply, error) {
	request, err := http.NewRequestWithContext(context.Background(), method, g.url, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	raw, query, _ := strings.Cut(path, "?")
	request.URL.Opaque, request.URL.RawQuery = "//"+request.URL.Host+raw, query
	if !strings.HasPrefix(raw, "//") {
		request.URL.Opaque = raw
	}
	for name, values := range header {
		request.Header[name] = values
	}
	resp, err := g.client.Do(request)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(text)}, err
}

// must asks and fails the test where nothing came.
func (g *testGateway) must(t *testing.T, method, path string, header http.Header, body string) reply {
	t.Helper()
	r, err := g.ask(method, path, header, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return r
}

// with is a header that carries a token and what a message needs.
func with(token string, more ...string) http.Header {
	h := http.Header{"X-Api-Key": {token}, "Anthropic-Version": {"2026-10-21"}, "Content-Type": {"application/json"}}
	for i := 0; i+1 < len(more); i += 2 {
		h.Set(more[i], more[i+1])
	}
	return h
}

const smallMessage = `{"model":"claude-haiku-5-5","max_tokens":16,"messages":[{"role":"user","content":"canary-prompt-0004"}]}`

// TestGoldenNginx compares the text that ferry writes for nginx with a file that people read in a review. It is the same
// each time.
func TestGoldenNginx(t *testing.T) {
	for name, section := range map[string]string{
		"one":  "  upstream: direct\n  roles: {dev: [messages, models], ci: [models], old: [complete]}\n",
		"many": "  upstream: [hk, sg]\n  listen: [443, \"[::]:443\"]\n  rate: 5/s\n  burst: 0\n  prefix: /\n  temp: temp\n  roles: {dev: [messages]}\n",
		"chat": "  upstream: qwen\n  roles: {dev: [chat, models]}\n",
	} {
		t.Run(name, func(t *testing.T) {
			cert, key := files(t, newAuthority(t, "ai.example.com", nil, "ai.example.com").own())
			env := withConfig(t, "tls: {ca: ca.pem}\ngateway:\n  server_name: ai.example.com\n  cert: cert.pem\n  key: key.pem\n"+section+`nodes:
  hk:   {url: "https://hk.example.com/api", key: "env:K", headers: {X-Team: core}}
  sg:   {url: "https://sg.example.com:8443", key: "env:K", auth: bearer}
  qwen: {url: "https://qwen.example.com/compatible-mode/v1", api: chat, key: "env:K"}
`, map[string]string{"cert.pem": read(t, cert), "key.pem": read(t, key)})
			first := ferry(t, env, "config", "nginx").must().stdout
			equal(t, "the text of a second run", ferry(t, env, "config", "nginx").stdout, first)
			text := strings.ReplaceAll(first, filepath.Dir(env["FERRY_CONFIG"]), "/etc/ferry")
			for line := range strings.Lines(text) {
				if strings.Contains(line, "#") && len([]rune(line)) > 121 {
					t.Errorf("got %d columns, want at most 121: %s", len([]rune(line)), line)
				}
			}
			golden(t, filepath.Join("nginx", name+".conf"), text)
		})
	}
}

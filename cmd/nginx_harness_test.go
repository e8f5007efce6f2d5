//go:build !windows

package cmd_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ferry/pkg/demo"
)

// providerKey is the key that only the gateway and the API know. It has every character that nginx or a quote could take
// for its own.
const providerKey = `provider-$key"0001\;{}#'$x`

// findNginx gives nginx's path.
func findNginx(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"nginx", "/usr/sbin/nginx", "/usr/local/sbin/nginx"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	needed(t, "nginx, to run the gateway that ferry writes")
	return ""
}

// upstreamAPI is the demo node behind TLS 1.3, as an API that keeps what it was asked.
type upstreamAPI struct {
	url string

	// step lets a stream that was asked with ?step send its next event.
	step chan struct{}

	mu   sync.Mutex
	seen []seenRequest
}

// steps sends an event each time that it is let, and ends with step.
func (u *upstreamAPI) steps(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/event-stream")
	for range u.step {
		fmt.Fprint(w, "event: ping\ndata: {}\n\n")
		w.(http.Flusher).Flush()
	}
}

// seenRequest is what arrived, in words.
type seenRequest struct {
	head, sni string
	header    http.Header
}

func (u *upstreamAPI) requests() []seenRequest {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]seenRequest(nil), u.seen...)
}

func newUpstream(t *testing.T, by *authority, name string) *upstreamAPI {
	t.Helper()
	cert, key := certify(t, by, name)
	pair, err := tls.LoadX509KeyPair(cert, key)
	check(t, err)
	u := &upstreamAPI{step: make(chan struct{})}
	node := demo.New(demo.Options{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.mu.Lock()
		u.seen = append(u.seen, seenRequest{r.Method + " " + r.RequestURI + " " + r.Proto + " " + r.Host, r.TLS.ServerName, r.Header.Clone()})
		u.mu.Unlock()
		w.Header().Set("X-Accel-Redirect", "/healthz")
		w.Header().Set("Set-Cookie", "account=1")
		if r.URL.RawQuery == "step" {
			u.steps(w)
			return
		}
		node.ServeHTTP(w, r)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(func() { server.Close(); _ = node.Close() })
	u.url = "https://localhost:" + server.URL[strings.LastIndexByte(server.URL, ':')+1:]
	return u
}

// testGateway is a gateway of its own: files that ferry wrote, and a real nginx that reads them.
type testGateway struct {
	dir, logs, url string
	ca             *authority
	env            map[string]string
	tokens         map[string]string // by role
	client         *http.Client
	process        *exec.Cmd
	arguments      []string
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
	nginx := findNginx(t)
	dir := t.TempDir()
	g := &testGateway{
		dir: dir, logs: filepath.Join(dir, "logs"), ca: wish.ca, tokens: map[string]string{},
		env: map[string]string{"HOME": dir, "FERRY_CONFIG": filepath.Join(dir, "config.yaml"), "PROVIDER_KEY": providerKey},
	}
	for _, folder := range []string{g.logs, filepath.Join(dir, "temp")} {
		check(t, os.Mkdir(folder, 0o755))
	}
	port := freePort(t)
	g.url = "https://localhost:" + port
	write(t, g.env["FERRY_CONFIG"], wish.config(t, dir, port))
	for _, role := range []string{"dev", "ci"} {
		code, token, stderr := run(t, g.env, "config", "token", "new", role)
		if code != 0 {
			t.Fatalf("token new: exit code %d: %s", code, stderr)
		}
		g.tokens[role] = strings.TrimSpace(token)
	}
	g.env["GATE_TOKEN"] = g.tokens["dev"]
	if code, _, stderr := run(t, g.env, "config", "nginx", "--out", filepath.Join(dir, "nginx")); code != 0 {
		t.Fatalf("config nginx: exit code %d: %s", code, stderr)
	}
	g.client = &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool(wish.ca)}, DisableCompression: true, MaxIdleConnsPerHost: 100, ExpectContinueTimeout: testTimeout,
	}}
	t.Cleanup(g.client.CloseIdleConnections)
	g.arguments = []string{"-p", dir, "-c", filepath.Join(dir, "nginx", "nginx.conf"), "-e", "stderr", "-g",
		"daemon off; pid " + filepath.Join(dir, "nginx.pid") + ";"}
	if out, err := exec.CommandContext(t.Context(), nginx, append([]string{"-t"}, g.arguments...)...).CombinedOutput(); err != nil {
		t.Fatalf("nginx -t: %v\n%s", err, out)
	}
	g.start(t, nginx)
	return g
}

// config is ferry's file for the gateway's machine and for a caller's, in one.
func (w gatewayWish) config(t *testing.T, dir, port string) string {
	t.Helper()
	cert, key := certify(t, w.ca, "localhost")
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

// start runs nginx until the test ends, and waits until it answers.
func (g *testGateway) start(t *testing.T, nginx string) {
	t.Helper()
	var said bytes.Buffer
	g.process = exec.Command(nginx, g.arguments...)
	g.process.Stdout, g.process.Stderr = &said, &said
	check(t, g.process.Start())
	ended := make(chan error, 1)
	go func() { ended <- g.process.Wait() }()
	t.Cleanup(func() {
		_ = g.process.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(testTimeout):
			_ = g.process.Process.Kill()
		}
		if t.Failed() && said.Len() > 0 {
			t.Logf("nginx said: %s", said.Bytes())
		}
	})
	deadline := time.Now().Add(testTimeout)
	for tick := time.NewTicker(10 * time.Millisecond); ; <-tick.C {
		if status, _ := g.try("GET", "/healthz", nil, ""); status == http.StatusOK {
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("nginx ended: %v\n%s", err, said.Bytes())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("nginx does not answer")
		}
	}
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

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

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

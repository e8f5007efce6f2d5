//go:build !windows

package cmd_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ferry/cmd"
	"ferry/pkg/client"
)

// providerKey is the key that only the gateway and the API know, with all characters that nginx could misread.
const providerKey = `provider-$key"0001\;{}#'$x`

// upstreamAPI is the demo node behind TLS 1.3, as an API. Step makes a stream requested with ?step send its next
// event.
type upstreamAPI struct {
	*server
	url  string
	step chan struct{}
}

func newUpstream(t *testing.T, by *authority, name string) *upstreamAPI {
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

// testGateway is a gateway for one test: files that ferry wrote, and a real nginx that reads them.
type testGateway struct {
	dir, logs, url string
	ca             *authority
	env            map[string]string
	tokens         map[string]string // by role
	client         *http.Client
}

// gatewayOptions is the configuration of a test's gateway.
type gatewayOptions struct {
	rate      string // and other settings of the section
	program   string // path of nginx, "" for the system's
	upstreams []*upstreamAPI
	ca        *authority // authority of the gateway, which it also trusts
}

// oneGateway starts a gateway in front of one API.
func oneGateway(t *testing.T, rate string) (*testGateway, *upstreamAPI) {
	ca := newAuthority(t, "ca", nil)
	api := newUpstream(t, ca, "localhost")
	return startGateway(t, gatewayOptions{rate: rate, ca: ca, upstreams: []*upstreamAPI{api}}), api
}

// startGateway writes the files of a gateway with ferry, checks them with nginx -t and starts nginx.
func startGateway(t *testing.T, wish gatewayOptions) *testGateway {
	dir, port := t.TempDir(), freePort(t)
	g := &testGateway{
		dir: dir, logs: filepath.Join(dir, "logs"), url: "https://localhost:" + port, ca: wish.ca, tokens: map[string]string{},
		env: map[string]string{"HOME": dir, "FERRY_CONFIG": filepath.Join(dir, "config.yaml"), "PROVIDER_KEY": providerKey},
		client: &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: certPool(wish.ca)}, DisableCompression: true, MaxIdleConnsPerHost: 100, ExpectContinueTimeout: testTimeout,
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
	program := cmp.Or(wish.program, findProgram(t, "nginx"))
	g.env["PATH"] = filepath.Dir(program)
	ferry(t, g.env, "config", "nginx", "--out", filepath.Join(dir, "nginx")).must()
	arguments := startNginx(t, program, dir, filepath.Join(dir, "nginx", "nginx.conf"), "127.0.0.1:"+port)
	out, err := exec.CommandContext(t.Context(), program, append([]string{"-t"}, arguments...)...).CombinedOutput()
	fatalIf(t, err != nil, "nginx -t: %v, want no fault\n%s", err, out)
	return g
}

// startNginx runs a real nginx until the test ends.
func startNginx(t *testing.T, program, dir, config, address string) (arguments []string) {
	arguments = []string{"-p", dir, "-c", config, "-e", "stderr", "-g", "daemon off; pid " + filepath.Join(dir, "nginx.pid") + ";"}
	runServer(t, exec.Command(program, arguments...), address)
	return arguments
}

// config returns one configuration file for both the gateway's machine and a caller's.
func (w gatewayOptions) config(t *testing.T, dir, port string) string {
	cert, key := writeCertificate(t, w.ca.issueFor(t, "localhost"))
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

// reply is the response to a request.
type reply struct {
	status int
	header http.Header
	body   string
}

// ask sends a request whose path is sent exactly as given.
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

// must is like ask, but fails the test if there is no response.
func (g *testGateway) must(t *testing.T, method, path string, header http.Header, body string) reply {
	t.Helper()
	r, err := g.ask(method, path, header, body)
	fatalIf(t, err != nil, "%s %s: %v", method, path, err)
	return r
}

// atOnce sends n messages at once, each with its token, and counts the statuses.
func (g *testGateway) atOnce(t *testing.T, n int, token func(i int) string) map[int]int {
	statuses := make(chan int, n)
	for i := range n {
		go func() {
			r, err := g.ask("POST", "/api/v1/messages", tokenHeader(token(i)), smallMessage)
			if err != nil {
				t.Error(err)
			}
			statuses <- r.status
		}()
	}
	count := map[int]int{}
	for range n {
		count[<-statuses]++
	}
	return count
}

// tokenHeader returns the headers of a message, with a token.
func tokenHeader(token string, more ...string) http.Header {
	h := http.Header{"X-Api-Key": {token}, "Anthropic-Version": {"2026-10-21"}, "Content-Type": {"application/json"}}
	for i := 0; i+1 < len(more); i += 2 {
		h.Set(more[i], more[i+1])
	}
	return h
}

const smallMessage = `{"model":"claude-haiku-5-5","max_tokens":16,"messages":[{"role":"user","content":"canary-prompt-0004"}]}`

// TestGoldenNginx compares the text that ferry writes for nginx with a golden file, which shows changes in reviews.
func TestGoldenNginx(t *testing.T) {
	for name, section := range map[string]string{
		"one":  "  upstream: direct\n  roles: {dev: [messages, models], ci: [models], old: [complete]}\n",
		"many": "  upstream: [hk, sg]\n  listen: [443, \"[::]:443\"]\n  http3: true\n  rate: 5/s\n  burst: 0\n  prefix: /\n  temp: temp\n  roles: {dev: [messages]}\n",
		"chat": "  upstream: qwen\n  roles: {dev: [chat, models]}\n",
	} {
		t.Run(name, func(t *testing.T) {
			cert, key := writeCertificate(t, newAuthority(t, "ai.example.com", nil, "ai.example.com").selfSigned())
			env := withConfig(t, "tls: {ca: ca.pem}\ngateway:\n  server_name: ai.example.com\n  cert: cert.pem\n  key: key.pem\n"+section+`nodes:
  hk:   {url: "https://hk.example.com/api/v1/", key: "env:K", headers: {X-Team: core}}
  sg:   {url: "https://sg.example.com:8443", key: "env:K", auth: bearer}
  qwen: {url: "https://qwen.example.com/compatible-mode/v1", api: chat, key: "env:K"}
`, map[string]string{"cert.pem": read(t, cert), "key.pem": read(t, key)})
			first := ferry(t, env, "config", "nginx").must().stdout
			equal(t, "the text of a second run", ferry(t, env, "config", "nginx").stdout, first)
			text := strings.ReplaceAll(first, filepath.Dir(env["FERRY_CONFIG"]), "/etc/ferry")
			for line := range strings.Lines(text) {
				errorIf(t, strings.Contains(line, "#") && len([]rune(line)) > 121,
					"got %d columns, want at most 121: %s", len([]rune(line)), line)
			}
			golden(t, filepath.Join("nginx", name+".conf"), text)
		})
	}
}

// TestNginxDistrust checks that the gateway verifies its upstream: a certificate of another authority or name is 502.
func TestNginxDistrust(t *testing.T) {
	ca, other := newAuthority(t, "ca", nil), newAuthority(t, "other", nil)
	for _, tt := range []struct {
		name string
		api  *upstreamAPI
	}{
		{"another authority", newUpstream(t, other, "localhost")},
		{"another name", newUpstream(t, ca, "elsewhere.example")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := startGateway(t, gatewayOptions{rate: fast, ca: ca, upstreams: []*upstreamAPI{tt.api}})
			r := g.must(t, "POST", "/api/v1/messages", tokenHeader(g.tokens["dev"]), smallMessage)
			equal(t, "status", r.status, 502)
			equal(t, "requests at the API", tt.api.count(), 0)
			checkAPIError(t, tt.name, r, "api_error")
		})
	}
}

// TestNginxSticky checks that requests are spread over two upstreams, and that the requests of one session stay on
// one.
func TestNginxSticky(t *testing.T) {
	skipIfShort(t, "sixty requests over TLS")
	ca := newAuthority(t, "ca", nil)
	one, two := newUpstream(t, ca, "localhost"), newUpstream(t, ca, "localhost")
	g := startGateway(t, gatewayOptions{rate: fast, ca: ca, upstreams: []*upstreamAPI{one, two}})
	ask := func(session string) {
		r := g.must(t, "POST", "/api/v1/messages?beta=true", tokenHeader(g.tokens["dev"], "X-Ferry-Session", session), smallMessage)
		equal(t, "status", r.status, 200)
	}
	for range 20 {
		ask("the-same")
	}
	first, second := one.count(), two.count()
	errorIf(t, first+second != 20 || first*second != 0,
		"one session went %d times to one and %d times to the other, want 20 to one of them", first, second)
	for i := range 40 {
		ask(fmt.Sprint("session-", i))
	}
	if first, second := one.count()-first, two.count()-second; first+second != 40 || first < 5 || second < 5 {
		t.Errorf("40 sessions went %d times to one and %d times to the other, want 5 at least to each", first, second)
	}
	last := two.last()
	equal(t, "what arrived", last.head(), "POST /v1/messages?beta=true HTTP/1.1 "+strings.TrimPrefix(two.url, "https://"))
	equal(t, "the key", last.Header.Get("X-Api-Key"), providerKey)
	// Requests without a session are spread too.
	before := one.count()
	for range 20 {
		g.must(t, "GET", "/api/v1/models", tokenHeader(g.tokens["ci"]), "")
	}
	if n := one.count() - before; n == 0 || n == 20 {
		t.Errorf("%d of 20 requests without a session went to the first, want some to each", n)
	}
}

// TestNginxBurst sends fifty requests at once at 50 a minute. The next is told to wait and never reaches the API.
func TestNginxBurst(t *testing.T) {
	g, api := oneGateway(t, "rate: 50/min\n  burst: 49")
	started := time.Now()
	statuses := g.atOnce(t, 50, func(int) string { return g.tokens["dev"] })
	var next reply
	passed := 0
	for next.status != 429 { // on a slow machine a slot becomes free every 1.2 s
		next = g.must(t, "POST", "/api/v1/messages", tokenHeader(g.tokens["dev"]), smallMessage)
		if next.status == 200 {
			passed++
		}
		if most := int(time.Since(started) / (1200 * time.Millisecond)); passed > most {
			t.Fatalf("%d requests more passed within %v, want at most %d", passed, time.Since(started), most)
		}
	}
	equal(t, "statuses of the first", statuses, map[int]int{200: 50})
	equal(t, "Retry-After of request 51", next.header.Get("Retry-After"), "2")
	checkAPIError(t, "request 51", next, "rate_limit_error")
	equal(t, "requests at the API", api.count(), 50+passed)
}

// TestNginxGuesses checks that wrong tokens are limited. Sixty at once exceed the limit on any machine, however slow.
func TestNginxGuesses(t *testing.T) {
	g, _ := oneGateway(t, "rate: 50/min\n  burst: 9")
	const guesses = 60
	count := g.atOnce(t, guesses, func(i int) string { return fmt.Sprintf("ferry_%032d", i) })
	errorIf(t, count[429] == 0 || count[401] < 10 || count[401]+count[429] != guesses,
		"%d guesses got %v, want 401 for ten or more and 429 for the others", guesses, count)
}

// TestNginxConnections checks that the number of concurrent requests is limited for each token separately.
func TestNginxConnections(t *testing.T) {
	g, api := oneGateway(t, fast+"\n  connections: 1")
	slow, stop := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(slow, "POST", g.url+"/api/v1/messages?stall", strings.NewReader(smallMessage))
	check(t, err)
	request.Header = tokenHeader(g.tokens["dev"])
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if resp, err := g.client.Do(request); err == nil {
			resp.Body.Close()
		}
	}()
	eventually(t, "the first request arrives", func() bool { return api.count() > 0 })
	if r := g.must(t, "GET", "/api/v1/models", tokenHeader(g.tokens["dev"]), ""); r.status != 429 || r.header.Get("Retry-After") == "" {
		t.Errorf("a second request of the token: status %d, Retry-After %q, want 429 and some", r.status, r.header.Get("Retry-After"))
	}
	equal(t, "status of another token", g.must(t, "GET", "/api/v1/models", tokenHeader(g.tokens["ci"]), "").status, 200)
	stop()
	<-ended
}

// TestNginxAddresses runs the maps of addresses in a real nginx. The limit has a bucket for each IPv4 address and
// for each IPv6 /64 network.
func TestNginxAddresses(t *testing.T) {
	text := read(t, filepath.Join("..", "testdata", "golden", "nginx", "one.conf"))
	maps := regexp.MustCompile(`(?s) map \$(binary_)?remote_addr .*?\n    \}`).FindAllString(text, -1)
	fatalIf(t, len(maps) != 2, "found %d maps of addresses, want 2", len(maps))
	dir, port := t.TempDir(), freePort(t)
	temp := ""
	for _, of := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temp += fmt.Sprintf("%s_temp_path %s/%s;\n", of, dir, of)
	}
	file := filepath.Join(dir, "nginx.conf")
	config := fmt.Sprintf(`events { }
http {
access_log off;
%s%s
server {
    listen 127.0.0.1:%s;
    set_real_ip_from 127.0.0.1;
    real_ip_header X-Real-Ip;
    location / { return 200 "$ferry_log_address|$ferry_address"; }
}
}
`, temp, strings.Join(maps, "\n"), port)
	write(t, file, config)
	startNginx(t, findProgram(t, "nginx"), dir, file, "127.0.0.1:"+port)
	g := &testGateway{url: "http://127.0.0.1:" + port, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	buckets := map[string]string{}
	for _, tt := range []struct{ address, logged, bucket string }{
		{"203.0.113.9", "203.0.113.0", "a"},
		{"203.0.113.10", "203.0.113.0", "b"},
		{"10.10.10.10", "10.10.10.0", "with line feeds in it"},
		{"2001:db8:1:2:3:4:5:6", "2001:db8:1::", "c"},
		{"2001:db8:1:2::9", "2001:db8:1::", "c"},
		{"2001:db8:1:3::9", "2001:db8:1::", "d"},
		{"2001:db8:1::9", "2001:db8:1::", "e"},
		{"2001:db8:1:0:5:6:7:8", "2001:db8:1::", "e"},
		{"2001:db8::9", "2001:db8::", "f"},
		{"2001:db8:0:0:1::", "2001:db8:0::", "f"},
		{"2001:db8:0:1:2:3:4:5", "2001:db8:0::", "g"},
		{"2001::1:2:3:4:5", "2001::", "h"},
		{"a0a:a0a:a0a:a0a:a0a:a0a:a0a:a0a", "a0a:a0a:a0a::", "line feeds, whole"},
		{"a0a:a0a:a0a:a0a::a", "a0a:a0a:a0a::", "line feeds, whole"},
		{"::1", "::", "i"},
	} {
		r := g.must(t, "GET", "/", http.Header{"X-Real-Ip": {tt.address}}, "")
		logged, bucket, _ := strings.Cut(r.body, "|")
		equal(t, tt.address+" in the log", logged, tt.logged)
		if strings.Contains(tt.address, ":") {
			equal(t, "bytes by which "+tt.address+" counts", len(bucket), 8)
		}
		for name, other := range buckets {
			equal(t, tt.address+" is in bucket "+name, other == bucket, name == tt.bucket)
		}
		buckets[tt.bucket] = bucket
	}
}

// TestNginxNoBurst checks that without a burst the second request within a slot is refused, and that ferry waits as
// its policy requires. A slot is 1.2 s: if the machine is too slow for two requests in one slot, the test repeats
// them.
func TestNginxNoBurst(t *testing.T) {
	skipIfShort(t, "the turns of a real limit")
	g, _ := oneGateway(t, "rate: 50/min\n  burst: 0")
	const tries = 20
	for _, policy := range []string{"script", "retry-after", "backoff"} {
		var waits []time.Duration
		for try := 0; len(waits) == 0; try++ {
			fatalIf(t, try == tries, "%s: none of %d asks met a 429", policy, tries)
			g.must(t, "GET", "/api/v1/models", tokenHeader(g.tokens["ci"]), "") // uses the slot, or finds it used
			clock := &recordingClock{Clock: cmd.SystemEnv().Clock}
			ferryIn(t, g.env, func(e *cmd.Env) { e.Clock = clock }, "ask", "--retry-policy", policy, "-n", "gate", "hello").must()
			waits = clock.waits
		}
		equal(t, policy+": waits", waits, []time.Duration{2 * time.Second})
	}
}

// TestNginxHTTP3 calls a gateway over HTTP/3: it checks the token and the limit too, and offers HTTP/3 over TCP.
func TestNginxHTTP3(t *testing.T) {
	program := debian13Program(t, "nginx")
	ca := newAuthority(t, "ca", nil)
	api := newUpstream(t, ca, "localhost")
	g := startGateway(t, gatewayOptions{rate: "rate: 1/min\n  burst: 29\n  http3: true", program: program, ca: ca, upstreams: []*upstreamAPI{api}})
	ask := []string{"ask", "-v", "--http3-only", "--attempts", "1", "-n", "gate", "hello"}
	ferry(t, g.env, ask...).want(0, "", "HTTP/3")
	equal(t, "the key that arrived", api.last().Header.Get("X-Api-Key"), providerKey)
	equal(t, "how it came to the API", api.last().Proto, "HTTP/1.1")
	ferry(t, g.env, "stream", "--http3-only", "-n", "gate", "hello").must()
	ferry(t, g.env, "ask", "--http3-only", "--attempts", "1", "-n", "cut", "hello").want(1, "", "Error: ")
	wrong := maps.Clone(g.env)
	wrong["GATE_TOKEN"] = "ferry_" + strings.Repeat("b", 32)
	ferry(t, wrong, ask...).want(1, "", "the gateway knows no such token")
	port := g.url[strings.LastIndexByte(g.url, ':'):]
	for path, status := range map[string]int{"/api/v1/models": 200, "/healthz": 200, "/none": 404} {
		r := g.must(t, "GET", path, tokenHeader(g.tokens["dev"]), "")
		equal(t, "status of "+path, r.status, status)
		equal(t, "the offer at "+path, r.header.Get("Alt-Svc"), `h3="`+port+`"; ma=86400`)
	}
	ferry(t, g.env, "config", "check", "gate").want(0, "– HTTP/3   the node offers it; ferry config set nodes.gate.http3 true enables it", "")
	ferry(t, g.env, "config", "set", "nodes.gate.http3", "only").must()
	ferry(t, g.env, "config", "check", "gate").want(0, "✓ HTTP/3   the node answers over it", "")
	before := api.count()
	for range 30 {
		ferry(t, g.env, ask...)
	}
	ferry(t, g.env, ask...).want(3, "", "more than 1 requests a minute")
	atMost(t, "asks that passed", api.count()-before, 29)
}

// recordingClock is the real clock, and records the waits.
type recordingClock struct {
	client.Clock
	waits []time.Duration
}

func (c *recordingClock) Sleep(ctx context.Context, d time.Duration) error {
	c.waits = append(c.waits, d)
	return c.Clock.Sleep(ctx, d)
}

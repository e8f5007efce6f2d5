//go:build !windows

package cmd_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fast is a rate that no test here exceeds by chance.
const fast = "rate: 10000/s"

// TestNginxGateway runs a real nginx with the files that ferry writes, between ferry and the demo node behind TLS.
func TestNginxGateway(t *testing.T) {
	skipIfShort(t, "bodies of the largest size")
	g, api := oneGateway(t, fast)
	t.Run("ferry crosses", func(t *testing.T) { testGatewayRequest(t, g) })
	t.Run("headers", func(t *testing.T) { testGatewayHeaders(t, g, api) })
	t.Run("roles", func(t *testing.T) { testGatewayRoles(t, g) })
	t.Run("names and TLS", func(t *testing.T) { testGatewayNames(t, g) })
	t.Run("paths", func(t *testing.T) { testGatewayPaths(t, g, api) })
	t.Run("bodies", func(t *testing.T) { testGatewayBodies(t, g) })
	t.Run("stream in steps", func(t *testing.T) { testGatewayStreaming(t, g, api) })
	t.Run("cut upstream", func(t *testing.T) { testGatewayCut(t, g) })
	t.Run("malformed", func(t *testing.T) { testGatewayMalformed(t, g) })
	t.Run("config check", func(t *testing.T) { testGatewayCheck(t, g) })
	t.Run("logs", func(t *testing.T) { testGatewayLogs(t, g) })
}

func testGatewayRequest(t *testing.T, g *testGateway) {
	for _, verb := range []string{"ask", "stream"} {
		if r := ferry(t, g.env, verb, "-n", "gate", "hello").must(); strings.TrimSpace(r.stdout) == "" {
			r.errorf("want an answer")
		}
	}
	// The script's own dialect, under its own path.
	r := g.must(t, "POST", "/api/v1/complete", tokenHeader(g.tokens["dev"]), `{"prompt":"hello","max_tokens":100}`)
	equal(t, "status of complete", r.status, 200)
	contains(t, "body of complete", r.body, `"completion"`)
}

// The API gets the gateway's key and name, and of the caller's headers only what a message needs.
func testGatewayHeaders(t *testing.T, g *testGateway, api *upstreamAPI) {
	r := g.must(t, "POST", "/api/v1/messages", tokenHeader(g.tokens["dev"], "Authorization", "Bearer callers-own", "Cookie", "canary=1",
		"X-Forwarded-For", "203.0.113.9", "X-Real-Ip", "203.0.113.9", "X-Ferry-Session", "canary-session", "X-Team", "core",
		"Idempotency-Key", "1", "User-Agent", "canary-agent", "Anthropic-Beta", "some-beta", "Accept-Encoding", "gzip"), smallMessage)
	equal(t, "status", r.status, 200)
	last := api.last()
	equal(t, "what arrived", last.head(), "POST /v1/messages HTTP/1.1 "+strings.TrimPrefix(api.url, "https://"))
	equal(t, "the name in TLS", last.TLS.ServerName, "localhost")
	want := map[string]string{"X-Api-Key": providerKey, "Content-Type": "application/json", "Anthropic-Version": "2026-10-21",
		"Anthropic-Beta": "some-beta", "User-Agent": "ferry-gateway", "Content-Length": fmt.Sprint(len(smallMessage))}
	got := map[string]string{}
	for name, values := range last.Header {
		got[name] = strings.Join(values, ", ")
	}
	equal(t, "what the API was sent", got, want)
	equal(t, "the API's cookie", r.header.Get("Set-Cookie"), "")
	// The demo node repeats the key that it gets: the caller must not see it in any header.
	lacks(t, "what came back", fmt.Sprint(r.header)+r.body, providerKey)
}

func testGatewayRoles(t *testing.T, g *testGateway) {
	bearer := func(token string) http.Header {
		return http.Header{"Authorization": {token}, "Anthropic-Version": {"2026-10-21"}, "Content-Type": {"application/json"}}
	}
	dev, ci := g.tokens["dev"], g.tokens["ci"]
	tests := []struct {
		name, method, path string
		header             http.Header
		status             int
		kind               string
	}{
		{"dev may ask", "POST", "/api/v1/messages", tokenHeader(dev), 200, ""},
		{"as a bearer", "POST", "/api/v1/messages", bearer("Bearer " + dev), 200, ""},
		{"a bearer in small letters", "POST", "/api/v1/messages", bearer("bearer " + dev), 200, ""},
		{"dev may list", "GET", "/api/v1/models", tokenHeader(dev), 200, ""},
		{"ci may list", "GET", "/api/v1/models", tokenHeader(ci), 200, ""},
		{"ci may not ask", "POST", "/api/v1/messages", tokenHeader(ci), 403, "permission_error"},
		{"another method", "DELETE", "/api/v1/models", tokenHeader(dev), 403, "permission_error"},
		{"no token", "POST", "/api/v1/messages", http.Header{}, 401, "authentication_error"},
		{"a wrong one", "POST", "/api/v1/messages", tokenHeader("ferry_" + strings.Repeat("a", 32)), 401, "authentication_error"},
		{"a part of one", "POST", "/api/v1/messages", tokenHeader(dev[:len(dev)-1]), 401, "authentication_error"},
		{"more than one", "POST", "/api/v1/messages", tokenHeader(dev + "a"), 401, "authentication_error"},
		{"in capitals", "POST", "/api/v1/messages", tokenHeader(strings.ToUpper(dev)), 401, "authentication_error"},
		{"the line of the map", "POST", "/api/v1/messages", tokenHeader("~^" + dev + "$"), 401, "authentication_error"},
		{"a word of the map", "POST", "/api/v1/messages", tokenHeader("default"), 401, "authentication_error"},
		{"the provider's key", "POST", "/api/v1/messages", tokenHeader(providerKey), 401, "authentication_error"},
		{"Basic", "POST", "/api/v1/messages", bearer("Basic " + dev), 401, "authentication_error"},
		{"no such path", "GET", "/", tokenHeader(dev), 404, "not_found_error"},
		{"nor that", "POST", "/api/v1/files", tokenHeader(dev), 404, "not_found_error"},
	}
	for _, tt := range tests {
		body := ""
		if tt.method == "POST" {
			body = smallMessage
		}
		r := g.must(t, tt.method, tt.path, tt.header, body)
		equal(t, tt.name+": status", r.status, tt.status)
		if tt.kind != "" {
			checkAPIError(t, tt.name, r, tt.kind)
		}
	}
}

// checkAPIError checks that a reply is an error in the API's own form.
func checkAPIError(t *testing.T, name string, r reply, kind string) {
	t.Helper()
	var body struct {
		Type  string
		Error struct{ Type, Message string }
		ID    string `json:"request_id"`
	}
	err := json.Unmarshal([]byte(r.body), &body)
	if err != nil || body.Type != "error" || body.Error.Type != kind || body.Error.Message == "" || body.ID == "" ||
		r.header.Get("Content-Type") != "application/json" {
		t.Errorf("%s: %v: %s %q, want a JSON error of type %s", name, err, r.header.Get("Content-Type"), r.body, kind)
	}
}

func testGatewayNames(t *testing.T, g *testGateway) {
	address := strings.TrimPrefix(g.url, "https://")
	for _, tt := range []struct {
		name  string
		setup *tls.Config
		want  string
	}{
		{"TLS 1.2", &tls.Config{RootCAs: certPool(g.ca), ServerName: "localhost", MaxVersion: tls.VersionTLS12}, "protocol version"},
		{"another name", &tls.Config{RootCAs: certPool(g.ca), ServerName: "elsewhere.example"}, "unrecognized name"},
		{"no name", &tls.Config{InsecureSkipVerify: true}, "unrecognized name"},
	} {
		conn, err := tls.Dial("tcp", strings.Replace(address, "localhost", "127.0.0.1", 1), tt.setup)
		if err == nil {
			conn.Close()
		}
		errorIf(t, err == nil || !strings.Contains(err.Error(), tt.want), "%s: %v, want %q", tt.name, err, tt.want)
	}
	// The right name in TLS with another name in the request; and a request without TLS.
	request, err := http.NewRequestWithContext(t.Context(), "GET", g.url+"/healthz", nil)
	check(t, err)
	request.Host = "elsewhere.example"
	resp, err := g.client.Do(request)
	check(t, err)
	resp.Body.Close()
	equal(t, "status of another Host", resp.StatusCode, http.StatusMisdirectedRequest)
	resp, err = http.Get("http://" + address + "/healthz")
	check(t, err)
	defer resp.Body.Close()
	equal(t, "status of plain http", resp.StatusCode, 400)
	equal(t, "the beginning of its body", readAll(io.LimitReader(resp.Body, 1)), "{")
}

// However a path is spelled, it leads to a path of the gateway or nowhere, and the role decides.
func testGatewayPaths(t *testing.T, g *testGateway, api *upstreamAPI) {
	before := api.count()
	for _, path := range []string{
		"/api/v1/models/%2e%2e/messages", "/api/v1/models/../messages", "//api//v1//messages", "/api/v1/%6d%65ssages",
		"/api/v1/messages/", "/api/v1/messages%2f", "/api/v1/messages%00", "/api/v1/messages;x", "/api/v1/models%2f..%2fmessages",
		"/api/v1/models%3f/../messages", "/api/v1/MESSAGES", "/api/v1/messages/batches", "/api/../v1/messages", "/v1/messages",
		"/_ferry/auth", "/_ferry/failure", "/%5fferry/auth", "/keys.conf", "/api/v1/models/..%5cmessages",
	} {
		r := g.must(t, "POST", path, tokenHeader(g.tokens["ci"]), smallMessage)
		errorIf(t, r.status/100 != 4, "%s: status %d for a role without messages, want 4xx: %s", path, r.status, r.body)
	}
	equal(t, "those of these requests that reached the API", api.count()-before, 0)
	// An allowed path: the API gets the path in the gateway's spelling.
	r := g.must(t, "POST", "/api/v1/models/%2e%2e/messages?beta=true", tokenHeader(g.tokens["dev"]), smallMessage)
	equal(t, "status", r.status, 200)
	contains(t, "what arrived", api.last().head(), "POST /v1/messages?beta=true HTTP/1.1")
}

func testGatewayBodies(t *testing.T, g *testGateway) {
	large := func(n int) string {
		return strings.Replace(smallMessage, "canary", strings.Repeat("x", n), 1)
	}
	equal(t, "status of 8 MiB", g.must(t, "POST", "/api/v1/messages", tokenHeader(g.tokens["dev"]), large(8<<20)).status, 200)
	kept, _ := filepath.Glob(filepath.Join(g.dir, "temp", "*", "*"))
	equal(t, "prompts on disk", kept, nil)
	r := g.must(t, "POST", "/api/v1/messages", tokenHeader(g.tokens["dev"], "Expect", "100-continue"), large(34<<20))
	equal(t, "status of 34 MiB", r.status, 413)
	checkAPIError(t, "34 MiB", r, "request_too_large")
}

// Nothing is held back: the API sends each event only after the previous one has arrived.
func testGatewayStreaming(t *testing.T, g *testGateway, api *upstreamAPI) {
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	defer close(api.step)
	body := strings.Replace(smallMessage, `"max_tokens"`, `"stream":true,"max_tokens"`, 1)
	request, err := http.NewRequestWithContext(ctx, "POST", g.url+"/api/v1/messages?step", strings.NewReader(body))
	check(t, err)
	request.Header = tokenHeader(g.tokens["dev"])
	next := func() {
		select {
		case api.step <- struct{}{}:
		case <-ctx.Done():
		}
	}
	go next() // the headers arrive with the first event
	resp, err := g.client.Do(request)
	check(t, err)
	defer resp.Body.Close()
	event := make([]byte, len("event: ping\ndata: {}\n\n"))
	for i := range 5 {
		if i > 0 {
			next()
		}
		if _, err := io.ReadFull(resp.Body, event); err != nil {
			t.Fatalf("event %d was held back: %v", i+1, err)
		}
	}
}

func testGatewayCut(t *testing.T, g *testGateway) {
	for verb, want := range map[string]string{"ask": "Error: ", "stream": "cut after "} {
		ferry(t, g.env, verb, "-n", "cut", "hello").want(1, "", want)
	}
}

// Requests that nginx cannot parse get JSON too, and a connection without TLS leaves no address in a log.
func testGatewayMalformed(t *testing.T, g *testGateway) {
	address := strings.TrimPrefix(g.url, "https://")
	for head, want := range map[string]string{
		"nonsense\r\n\r\n":                                 "400",
		"GET /healthz HTTP/1.1\r\n\r\n":                    "400",
		"GET /healthz HTTP/7.1\r\nHost: localhost\r\n\r\n": "505",
		"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 40000) + "\r\n\r\n":                       "400",
		"GET /" + strings.Repeat("x", 40000) + " HTTP/1.1\r\nHost: localhost\r\n\r\n":                                     "414",
		"POST /api/v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n":                                  "400",
		"POST /api/v1/messages HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: odd\r\n\r\n":                             "501",
		"GET /api/v1/messages/%zz HTTP/1.1\r\nHost: localhost\r\n\r\n":                                                    "400",
		"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n":                                                       "400",
		"POST /api/v1/messages HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: a\r\nX-Api-Key: " + g.tokens["dev"] + "\r\n\r\n": "401",
	} {
		conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: certPool(g.ca), ServerName: "localhost"})
		check(t, err)
		_ = conn.SetDeadline(time.Now().Add(testTimeout))
		_, _ = conn.Write([]byte(head))
		text := make([]byte, 4096)
		n, _ := io.ReadAtLeast(conn, text, 200)
		conn.Close()
		status, rest, _ := strings.Cut(strings.TrimPrefix(string(text[:n]), "HTTP/1.1 "), " ")
		if status != want || !strings.Contains(rest, `{"type":"error"`) || strings.Contains(rest, "<html") {
			t.Errorf("%.60q: %q, want status %s and JSON", head, text[:n], want)
		}
	}
	for _, noise := range []string{"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", "\x16\x03\x01\xff\xff", "\x80\x2e\x01\x00\x02"} {
		conn, err := net.Dial("tcp", address)
		check(t, err)
		_, _ = conn.Write([]byte(noise + strings.Repeat("\x00", 100)))
		_ = conn.SetReadDeadline(time.Now().Add(time.Second))
		_, _ = io.ReadAll(io.LimitReader(conn, 4096))
		conn.Close()
	}
}

func testGatewayCheck(t *testing.T, g *testGateway) {
	for _, want := range []string{"✓ gateway", "✓ floor    TLS 1.2 is refused", "✓ guard    a made-up token is refused", "✓ models   3 listed"} {
		ferry(t, g.env, "config", "check", "gate").want(0, want, "")
	}
	wrong := maps.Clone(g.env)
	wrong["GATE_TOKEN"] = "ferry_" + strings.Repeat("b", 32)
	ferry(t, wrong, "config", "check", "gate").want(1, "✗ models", "").want(1, "401", "")
}

// The logs have what happened and for which role, but no addresses, tokens, queries or words.
func testGatewayLogs(t *testing.T, g *testGateway) {
	g.must(t, "POST", "/api/v1/messages?canary-query=1", tokenHeader(g.tokens["dev"], "User-Agent", "canary-agent"), smallMessage)
	g.must(t, "GET", "/canary-path/"+g.tokens["dev"], nil, "")
	access := ""
	eventually(t, "the log ends with the last request", func() bool { // the line is written after the answer
		access = read(t, filepath.Join(g.logs, "access.log"))
		lines := strings.Split(strings.TrimSpace(access), "\n")
		return strings.Contains(lines[len(lines)-1], `"status":"404"`)
	})
	lacks(t, "the logs", access+read(t, filepath.Join(g.logs, "error.log")), "127.0.0.1", "canary", "pace", "beta=true", providerKey,
		g.tokens["dev"], g.tokens["ci"], g.tokens["dev"][6:20], "healthz")
	seen := map[string]bool{}
	for line := range strings.Lines(access) {
		var entry map[string]string
		check(t, json.Unmarshal([]byte(line), &entry))
		seen[entry["address"]+" "+entry["role"]+" "+entry["permission"]+" "+entry["status"]] = true
	}
	for _, want := range []string{"127.0.0.0 dev messages 200", "127.0.0.0 ci messages 403", "127.0.0.0  messages 401", "127.0.0.0   404"} {
		errorIf(t, !seen[want], "the log has lines of %v, want one of %q", seen, want)
	}
}

package client

import (
	"io"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ferry/pkg/guard"
	"ferry/pkg/text"
	"ferry/pkg/transport"
	"ferry/pkg/wire"
)

func TestPrepare(t *testing.T) {
	key := secret(t, canary)
	for _, test := range []struct {
		name     string
		endpoint Endpoint
		url      string
		want     []string // the header, masked
	}{
		{
			"complete", Endpoint{URL: mustURL(t, "https://h.test/api"), API: wire.Complete, Auth: "x-api-key", Key: key},
			"https://h.test/api/v1/complete", []string{"x-api-key: ***", "content-type: application/json"},
		},
		{
			"messages", Endpoint{URL: mustURL(t, "https://h.test"), API: wire.Messages, Auth: "x-api-key", Key: key},
			"https://h.test/v1/messages",
			[]string{"x-api-key: ***", "anthropic-version: 2026-10-21", "content-type: application/json"},
		},
		{
			"messages of an older version, as Bearer",
			Endpoint{URL: mustURL(t, "https://h.test/"), API: wire.Messages, Auth: "Authorization", Key: key, Version: "2023-06-01"},
			"https://h.test/v1/messages",
			[]string{"Authorization: Bearer ***", "anthropic-version: 2023-06-01", "content-type: application/json"},
		},
		{
			"chat without a key, headers of its own",
			Endpoint{
				URL: mustURL(t, "http://127.0.0.1:11434/v1"), API: wire.Chat, Auth: "authorization",
				Header: []Field{{Name: "X-Team", Value: "core"}, {Name: "X-Gate", Secret: key}},
			},
			"http://127.0.0.1:11434/v1/chat/completions",
			[]string{"content-type: application/json", "X-Team: core", "X-Gate: ***"},
		},
		{
			"auth: none", Endpoint{URL: mustURL(t, "https://h.test"), API: wire.Chat, Key: key},
			"https://h.test/chat/completions", []string{"content-type: application/json"},
		},
		{
			"a key that was not read", Endpoint{URL: mustURL(t, "https://h.test"), API: wire.Chat, Auth: "x-key", Key: guard.Unread("env:K")},
			"https://h.test/chat/completions", []string{"x-key: ***", "content-type: application/json"},
		},
		// The path is appended before the query, which is kept (DESIGN.md section 4).
		{
			"a query", Endpoint{URL: mustURL(t, "https://h.test/a/?x=1&y=%2F#top"), API: wire.Complete},
			"https://h.test/a/v1/complete?x=1&y=%2F#top", []string{"content-type: application/json"},
		},
		{
			"escapes in the path are kept", Endpoint{URL: mustURL(t, "https://h.test/a%2Fb/"), API: wire.Complete},
			"https://h.test/a%2Fb/v1/complete", []string{"content-type: application/json"},
		},
		{
			"Chinese in the path", Endpoint{URL: mustURL(t, "https://h.test/节点"), API: wire.Complete},
			"https://h.test/%E8%8A%82%E7%82%B9/v1/complete", []string{"content-type: application/json"},
		},
	} {
		before := test.endpoint.URL.String()
		p, err := test.endpoint.Prepare(&Call{Request: wire.Request{Model: "m", Prompt: "hi", MaxTokens: 1}})
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if p.URL.String() != test.url || p.Method != "POST" || len(p.Body) == 0 {
			t.Errorf("%s: %s %s", test.name, p.Method, p.URL)
		}
		if test.endpoint.URL.String() != before {
			t.Errorf("%s: the node's own url became %s", test.name, test.endpoint.URL)
		}
		if len(p.Header) != len(test.want) {
			t.Errorf("%s: %v, want %v", test.name, p.Header, test.want)
			continue
		}
		for i, f := range p.Header {
			if got := f.Name + ": " + f.Public(); got != test.want[i] {
				t.Errorf("%s: %q, want %q", test.name, got, test.want[i])
			}
		}
	}
}

// requestRecorder keeps the request and returns no response.
type requestRecorder struct{ request *http.Request }

func (t *requestRecorder) RoundTrip(r *http.Request) (*http.Response, error) {
	t.request = r
	return nil, io.EOF
}

func TestPrepareModels(t *testing.T) {
	endpoint := Endpoint{URL: mustURL(t, "https://h.test/v1?x=1"), API: wire.Chat, Auth: "authorization", Key: secret(t, canary)}
	p := endpoint.PrepareModels()
	if p.Method != "GET" || p.URL.String() != "https://h.test/v1/models?x=1" || p.Body != nil {
		t.Errorf("%s %s %s", p.Method, p.URL, p.Body)
	}
	var sent requestRecorder
	_, _ = p.roundTrip(t.Context(), &sent, "ferry/test")
	if r := sent.request; r.Header.Get("Authorization") != "Bearer "+canary || r.Header.Get("Content-Type") != "" || r.Body != nil || r.GetBody != nil {
		t.Errorf("%+v", r)
	}
}

// TestCurl checks the curl command for the same request. The shell inserts the secrets.
func TestCurl(t *testing.T) {
	from := func(source string) guard.Secret { return guard.Unread(source) }
	proxy := mustURL(t, "http://me:pass@proxy.test:3128")
	for _, test := range []struct {
		name     string
		endpoint Endpoint
		way      transport.Options
		want     []string
	}{
		{
			"a key", Endpoint{URL: mustURL(t, "https://h.test"), API: wire.Complete, Auth: "x-api-key", Key: from("env:KEY")}, transport.Options{},
			[]string{
				"curl -sS -X POST --connect-timeout 5 --max-time 60 --tlsv1.3", `-H "x-api-key: $KEY"`,
				`--data-raw '{"prompt":"hi","max_tokens":1}'`, "https://h.test/v1/complete",
			},
		},
		{
			"TLS, pins and a proxy", Endpoint{URL: mustURL(t, "https://h.test"), API: wire.Complete},
			transport.Options{TLS: transport.TLS{Min: "1.2", CA: "ca.pem", Cert: "c.pem", Key: "k.pem"}, Pins: make([]guard.Pin, 1), Proxy: proxy},
			[]string{"--tlsv1.2", "--cacert ca.pem", "--cert c.pem --key k.pem", "--pinnedpubkey sha256//", "--proxy http://me:PASSWORD@proxy.test:3128"},
		},
		{
			"given addresses and HTTP/3 alone", Endpoint{URL: mustURL(t, "https://h.test"), API: wire.Complete},
			transport.Options{Resolve: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}, HTTP3: transport.OnlyHTTP3},
			[]string{"--http3-only", "--resolve 'h.test:443:192.0.2.1,[2001:db8::1]'"},
		},
		{
			"a port, and HTTP/3 with TCP beside it", Endpoint{URL: mustURL(t, "https://h.test:8443"), API: wire.Complete},
			transport.Options{Resolve: []netip.Addr{netip.MustParseAddr("192.0.2.1")}, HTTP3: transport.TryHTTP3},
			[]string{" --http3 ", "--resolve h.test:8443:192.0.2.1 "},
		},
		{
			"plain http and other secrets", Endpoint{URL: mustURL(t, "http://[fd00::1]/"), API: wire.Complete, Header: []Field{
				{Name: "A", Secret: from("cmd:pass x")}, {Name: "B", Secret: from("file:~/k")}, {Name: "C", Value: "$", Secret: from("file:k")},
				{Name: "D", Secret: from("keyring:k")},
			}},
			transport.Options{ProxyFrom: "--proxy"},
			[]string{
				"# plain http: ", "--globoff", "--noproxy '*'", `"A: $(pass x)"`, `"B: $(cat "$HOME"/k)"`, `'C: $'"$(cat ` + text.ShellWord(filepath.Join("dir", "k")) + `)"`,
				`"D: $FERRY_KEY"`,
			},
		},
	} {
		test.way.Target, test.way.ConnectTimeout = test.endpoint.URL, 5*time.Second
		p := must(test.endpoint.Prepare(&Call{Request: wire.Request{Prompt: "hi", MaxTokens: 1}}))(t)
		got := p.Curl(test.way, time.Minute, "dir")
		for _, part := range test.want {
			errorIf(t, !strings.Contains(got, part), "%s: got %s, want %s in it", test.name, got, part)
		}
		p.Body = wire.Body{{JSON: make([]byte, maxArgument+1)}}
		if got := p.Curl(test.way, time.Minute, "dir"); !strings.Contains(got, " | curl") || !strings.Contains(got, "--data-binary @-") {
			t.Errorf("%s: a long body is an argument", test.name)
		}
	}
}

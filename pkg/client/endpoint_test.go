package client

import (
	"testing"

	"ferry/pkg/guard"
	"ferry/pkg/wire"
)

func TestPrepare(t *testing.T) {
	key := secret(t, canary)
	tests := []struct {
		name     string
		endpoint Endpoint
		url      string
		want     []string // the header as it may be shown
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
		// The appended path goes before the query, which is kept (DESIGN.md section 4).
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
	}
	for _, test := range tests {
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

func TestPrepareModels(t *testing.T) {
	endpoint := Endpoint{URL: mustURL(t, "https://h.test/v1?x=1"), API: wire.Chat, Auth: "authorization", Key: secret(t, canary)}
	p := endpoint.PrepareModels()
	if p.Method != "GET" || p.URL.String() != "https://h.test/v1/models?x=1" || p.Body != nil {
		t.Errorf("%s %s %s", p.Method, p.URL, p.Body)
	}
	r := p.request(t.Context(), "ferry/test")
	if r.Header.Get("Authorization") != "Bearer "+canary || r.Header.Get("Content-Type") != "" || r.Body != nil || r.GetBody != nil {
		t.Errorf("%+v", r)
	}
}

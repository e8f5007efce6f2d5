package demo

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// answerTo runs one request through a node and returns its status, or 0 for a dropped connection, the only panic that
// a handler may cause.
func answerTo(n *Node, req *http.Request) (status int) {
	// Stalls and drips end at once, because the client has already disconnected.
	ctx, cancel := context.WithCancel(req.Context())
	cancel()
	w := httptest.NewRecorder()
	defer func() {
		if r := recover(); r == http.ErrAbortHandler {
			status = 0
		} else if r != nil {
			panic(r)
		}
	}()
	n.ServeHTTP(w, req.WithContext(ctx))
	return w.Code
}

func FuzzFaults(f *testing.F) {
	for _, p := range Faults() {
		f.Add(p.Name)
		f.Add(p.Name + "=1&first=1")
	}
	for _, p := range Presets() {
		f.Add(p.Query)
	}
	f.Add("status=429,503,200&latency=800ms&success=98.5&retry-after=1&envelope=string&truncate=clean&redirect-to=http://a/b")
	f.Add("a=%zz&;&=&status=,&success=NaN")
	f.Fuzz(func(t *testing.T, query string) {
		parsed, err := parseFaults(query)
		errorIf(t, err != nil && err.Error() == "", "an error without a message")
		if parsed.big != nil && *parsed.big > 1<<20 || parsed.gzip == "bomb" || parsed.bigHeader > 1<<20 {
			return // correct, but slow
		}
		n := New(Options{Sleep: func(context.Context, time.Duration) error { return nil }})
		for _, a := range asks {
			req := httptest.NewRequest(http.MethodPost, a.path, strings.NewReader(a.body))
			req.URL = &url.URL{Path: a.path, RawQuery: query}
			req.Header.Set("X-Api-Key", testKey)
			req.Header.Set("Anthropic-Version", versionOld)
			status := answerTo(n, req)
			errorIf(t, err != nil && status != 400, "%q is %v, and the status %d", query, err, status)
			errorIf(t, status != 0 && (status < 100 || status > 599), "%q: status %d", query, status)
		}
	})
}

func FuzzRequest(f *testing.F) {
	for i, a := range asks {
		f.Add(uint8(i), versionOld, a.body)
		f.Add(uint8(i), versionCurrent, streamed(a.body))
	}
	f.Add(uint8(0), "", `{"model":"m","max_tokens":99999999999,"system":[{}],"messages":[{"role":"user","content":[{"type":"text","text":"\ud800"}]}]}`)
	f.Add(uint8(2), "", `{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[null,[],{"role":null}]}`)
	f.Fuzz(func(t *testing.T, which uint8, version, body string) {
		path := asks[int(which)%len(asks)].path
		req := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		req.Header.Set("X-Api-Key", testKey)
		req.Header["Anthropic-Version"] = []string{version}
		n := New(Options{Sleep: func(context.Context, time.Duration) error { return nil }})
		status := answerTo(n, req)
		errorIf(t, status != 200 && status != 400, "%s with %q: status %d", path, body, status)
	})
}

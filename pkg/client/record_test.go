package client

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"ferry/pkg/wire"
)

// TestNothingKeepsTheKey uses a server that echoes the key wherever it can, and searches everything that the call kept.
func TestNothingKeepsTheKey(t *testing.T) {
	q := func(format string) string { return fmt.Sprintf(strings.ReplaceAll(format, "KEY", "%[1]s"), canary) }
	echo := http.Header{
		"Request-Id": {canary}, "X-Echo": {"a " + canary}, "Set-Cookie": {"session=" + canary}, "Retry-After": {canary},
	}
	for _, test := range []struct {
		name  string
		api   wire.API
		reply reply
	}{
		{"an answer", wire.Complete, reply{status: 200, header: echo, body: q(`{"completion":"KEY","id":"KEY","model":"KEY","stop_reason":"KEY"}`)}},
		{"an answer in blocks", wire.Messages, reply{status: 200, header: echo, body: q(`{"id":"KEY","content":[{"type":"text","text":"KEY"}],"stop_reason":"KEY"}`)}},
		{"a chat", wire.Chat, reply{status: 200, header: echo, body: q(`{"id":"KEY","choices":[{"message":{"content":"KEY"},"finish_reason":"KEY"}]}`)}},
		{"an error", wire.Messages, reply{status: 401, header: echo, body: q(`{"error":{"type":"KEY","code":"KEY","message":"bad key KEY"},"request_id":"KEY"}`)}},
		{"an error's request id", wire.Messages, reply{status: 401, body: q(`{"error":{"message":"m"},"request_id":"KEY"}`)}},
		{"an error without a message", wire.Complete, reply{status: 500, header: echo, body: q(`<p>KEY</p>`)}},
		{"an envelope", wire.Complete, reply{status: 200, header: echo, body: q(`{"status":401,"error":"KEY"}`)}},
		{"no answer", wire.Complete, reply{status: 200, header: echo, body: q(`<html>KEY</html>`)}},
		{"another shape", wire.Complete, reply{status: 200, header: echo, body: q(`{"text":"KEY"}`)}},
		{"cut", wire.Complete, reply{raw: head + "Content-Length: 1000\r\n\r\n" + canary}},
		{"a redirect", wire.Complete, reply{status: 302, header: http.Header{"Location": {"/?k=" + canary}, "X-Request-Id": {canary}}}},
		{"a malformed reply", wire.Complete, reply{raw: canary + "\r\n\r\n"}},
		{"a malformed header", wire.Complete, reply{raw: "HTTP/1.1 200 OK\r\n" + canary + "\r\n\r\n"}},
		{"a malformed length", wire.Complete, reply{raw: "HTTP/1.1 200 OK\r\nContent-Length: " + canary + "\r\n\r\n"}},
		{"over the timeout", wire.Complete, reply{status: 429, header: echo, body: q(`{"error":{"message":"KEY"}}`)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := serve(t, test.reply)
			for _, reading := range []Reading{AsAnswer, AsBody} {
				tr := newTrial(t, server.URL)
				tr.Endpoint.API, tr.request.Model = test.api, "m"
				tr.Rule.Attempts = 2
				if test.name == "over the timeout" {
					tr.Timeout, tr.Rule.Delay = time.Minute, time.Hour
				}
				result, failed := tr.askIn(t, t.Context(), reading)
				if found := leaks(result, failed); len(found) > 0 {
					t.Errorf("%q", found)
				}
				if !strings.Contains(fmt.Sprint(stringsIn(result), failed), "***") {
					t.Errorf("nothing was masked: %q, %v", stringsIn(result), failed)
				}
				errorIf(t, failed != nil && strings.Contains(failed.Error()+failed.Hint(), canary), "%v", failed)
			}
		})
	}
}

// TestRecord checks the record of an attempt: its reply and its connection.
func TestRecord(t *testing.T) {
	header := http.Header{
		"Set-Cookie": {"a=session", "b=session"}, "X-Two": {"2", "1"}, "X-Escape": {"a\x9b31mb"}, "Request-Id": {"req_1"},
	}
	hs := httptest.NewUnstartedServer(&server{replies: []reply{
		{status: 429, header: header, body: "busy"}, {status: 200, header: header, body: `{"completion":"hello"}`},
	}})
	tr := newTLSTrial(t, hs)
	result, failed := tr.ask(t)
	if failed != nil || len(result.Attempts) != 2 {
		t.Fatalf("%d attempts, %v", len(result.Attempts), failed)
	}
	cold, warm := result.Attempts[0], result.Attempts[1]
	for _, at := range result.Attempts {
		if at.Remote != tr.Endpoint.URL.Host || at.TLS != "TLS 1.3" || at.RequestID != "req_1" || at.Phases.Wait <= 0 || at.Phases.Transfer < leastPhase || at.Phases.DNS != 0 {
			t.Errorf("%+v", at)
		}
		parts := at.Phases.Connect + at.Phases.TLS + at.Phases.Wait + at.Phases.Transfer
		errorIf(t, at.Latency <= 0 || parts > at.Latency, "phases of %s in a latency of %s", parts, at.Latency)
		var lines []string
		for _, f := range at.Header() {
			if f.Name != "date" && f.Name != "content-length" && f.Name != "content-type" {
				lines = append(lines, f.Name+": "+f.Public())
			}
		}
		want := `request-id: req_1|set-cookie: ***|set-cookie: ***|x-escape: a\x9b31mb|x-two: 2|x-two: 1`
		if got := strings.Join(lines, "|"); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
	if cold.Reused || cold.Phases.Connect <= 0 || cold.Phases.TLS <= 0 || cold.HTTPStatus != 429 {
		t.Errorf("cold: %+v", cold)
	}
	if !warm.Reused || warm.Phases.Connect != 0 || warm.Phases.TLS != 0 || warm.HTTPStatus != 200 {
		t.Errorf("warm: %+v", warm)
	}
	errorIf(t, result.Latency < cold.Latency+time.Second+warm.Latency, "%s in all, with a wait of 1 s", result.Latency)
	errorIf(t, !warm.Started.After(cold.Started.Add(time.Second)), "started at %s and %s", cold.Started, warm.Started)
}

// leastPhase is the minimum duration of a phase. It is 0 on Windows, where the clock of package time is coarse.
var leastPhase = time.Duration(1)

func init() {
	if runtime.GOOS == "windows" {
		leastPhase = 0
	}
}

// TestDNSPhase looks up localhost, which is in every hosts file.
func TestDNSPhase(t *testing.T) {
	server := serve(t, answer)
	target := mustURL(t, "http://localhost:"+server.URL.Port())
	tr := newTrial(t, target)
	result, failed := tr.ask(t)
	errorIf(t, failed != nil || result.last().Phases.DNS < leastPhase, "%+v, %v", result.last().Phases, failed)
}

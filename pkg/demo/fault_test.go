package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestStatusesInOrderPerQuery(t *testing.T) {
	url, client := serve(t, Options{})
	var got []int
	for i := range 7 {
		got = append(got, post(t, client, url+"/v1/complete?status=429,503,200", completeAsk).status)
		// In between, another query and another path with the same query: the first has its own count, the second
		// shares it.
		if s := post(t, client, url+"/v1/complete?status=429,503,200&x=1", completeAsk).status; s != []int{429, 503, 200}[i%3] {
			t.Errorf("request %d of the second query: got %d, want %d", i, s, []int{429, 503, 200}[i%3])
		}
	}
	if want := []int{429, 503, 200, 429, 503, 200, 429}; !slices.Equal(got, want) {
		t.Errorf("statuses %v, want %v", got, want)
	}
	s := post(t, client, url+"/v1/messages?status=429,503,200", messagesAsk).status
	errorIf(t, s != 503, "another path with the same query: got %d, want 503", s)
}

func TestEveryStatus(t *testing.T) {
	url, client := serve(t, Options{})
	types := map[int]string{
		400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error",
		404: "not_found_error", 409: "conflict_error", 413: "request_too_large", 429: "rate_limit_error",
		500: "api_error", 502: "api_error", 503: "overloaded_error", 504: "timeout_error", 529: "overloaded_error", 418: "invalid_request_error",
	}
	for status := 100; status < 600; status++ {
		r := post(t, client, fmt.Sprintf("%s/v1/messages?status=%d", url, status), messagesAsk)
		want := status
		if status < 200 && status != 101 {
			want = 200 // an interim response, then the answer
		}
		if r.status != want {
			t.Errorf("status=%d: got %d, %v, want %d", status, r.status, r.err, want)
			continue
		}
		switch {
		case status == 101 || status == 204 || status == 205 || status == 304:
			errorIf(t, r.body != "", "status=%d: got the body %q, want none", status, clip(r.body))
		case want < 300:
			textOf(t, r.body)
		default:
			v := decode(t, r.body)
			if kind := types[status]; kind != "" && valueAt(v, "error.type") != kind || v["type"] != "error" {
				t.Errorf("status=%d: got %s, want an error of the type %q", status, r.body, types[status])
			}
		}
	}
	// A fault applies before the key and the body are checked.
	req, _ := http.NewRequest(http.MethodPost, url+"/v1/messages?status=529", nil)
	r := do(t, client, req)
	errorIf(t, r.status != 529, "without a key: got %d, want 529", r.status)
}

func TestErrorShapes(t *testing.T) {
	url, client := serve(t, Options{})
	v := decode(t, post(t, client, url+"/v1/complete?status=429", completeAsk).body)
	errorIf(t, len(v) != 1 || len(v["error"].(map[string]any)) != 2 || valueAt(v, "error.type") != "rate_limit_error",
		"complete: got %v, want a type and a message alone", v)
	for status, want := range map[int][2]any{
		401: {"invalid_request_error", "invalid_api_key"}, 429: {"requests", "rate_limit_exceeded"}, 503: {"server_error", nil}, 404: {"invalid_request_error", nil},
	} {
		v := decode(t, post(t, client, fmt.Sprintf("%s/chat/completions?status=%d", url, status), chatAsk).body)
		e := v["error"].(map[string]any)
		errorIf(t, len(e) != 4 || e["type"] != want[0] || e["code"] != want[1], "chat %d: got %v, want type and code %v", status, v, want)
	}
}

// TestFaultsOfAnswers checks the status, one header and a part of the body, as a regular expression.
func TestFaultsOfAnswers(t *testing.T) {
	url, client := serve(t, Options{})
	for _, c := range []struct {
		query               string
		status              int
		header, value, body string
	}{
		{"html", 200, "Content-Type", "text/html; charset=utf-8", "<html"},
		{"empty", 200, "Content-Length", "0", "^$"},
		{"redirect", 302, "Location", "https://elsewhere.invalid/moved", ""},
		{"redirect-to=http://127.0.0.1:9/x", 302, "Location", "http://127.0.0.1:9/x", ""},
		{"status=429&retry-after=7", 429, "Retry-After", "7", ""},
		{"status=503&retry-after=-1", 503, "Retry-After", "-1", ""},
		{"status=529&retry-after=soon", 529, "Retry-After", "soon", ""},
		{
			"status=429&retry-after=Wed,%2021%20Oct%202026%2007:28:00%20GMT", 429,
			"Retry-After", "Wed, 21 Oct 2026 07:28:00 GMT", "",
		},
		{"status=429&retry-after=99999999999999999999", 429, "Retry-After", "99999999999999999999", ""},
		{"success=0&retry-after=3", 503, "Retry-After", "3", ""},
		{"envelope&status=429&retry-after=4", 200, "Retry-After", "4", ""},
		{"status=400&retry-after=7", 400, "Retry-After", "", ""},
		{"retry-after=7", 200, "Retry-After", "", ""},
		{"spend-cap&retry-after=7", 429, "Retry-After", "", `"message":"[^"]*monthly spend limit`},
		{"status=429", 429, "Retry-After", "", ""},
	} {
		for _, a := range asks {
			r := post(t, client, url+a.path+"?"+c.query, a.body)
			got := r.header.Get(c.header)
			hasBody := regexp.MustCompile(c.body).MatchString(r.body)
			errorIf(t, r.err != nil || r.status != c.status || got != c.value || !hasBody, "%s?%s: got %d, %s %q, %s, %v, want %d, %q and a body with %s",
				a.path, c.query, r.status, c.header, got, r.body, r.err, c.status, c.value, c.body)
		}
	}
}

func TestResetDropsTheConnection(t *testing.T) {
	reset := syscall.ECONNRESET
	if runtime.GOOS == "windows" {
		reset = 10054 // WSAECONNRESET
	}
	url, client := serve(t, Options{})
	for _, path := range []string{"/v1/messages?reset", "/v1/messages?status=200&reset"} {
		r := post(t, client, url+path, messagesAsk)
		errorIf(t, !errors.Is(r.err, reset), "%s: %v, want a reset", path, r.err)
	}
	for i, fails := range []bool{true, true, false, false} {
		r := post(t, client, url+"/v1/messages?reset=2", messagesAsk)
		errorIf(t, (r.err != nil) != fails, "reset=2, request %d: got %d, %v, want a failure: %t", i, r.status, r.err, fails)
	}
}

func TestStallEndsWithTheClient(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan Record, 1)
	url, client := serve(t, Options{
		OnRequest: func(r Record) { done <- r },
		Sleep: func(context.Context, time.Duration) error {
			cancel() // the node has the complete request now, and is about to stall
			return nil
		},
	})
	r := do(t, client, request(t, url+"/v1/messages?stall", messagesAsk).WithContext(ctx))
	fatalIf(t, !errors.Is(r.err, context.Canceled), "got %d, %v, want that it was cancelled", r.status, r.err)
	rec := <-done
	errorIf(t, rec.Fault != "stall" || rec.Status != 0, "got the record %+v, want the fault and the status sent", rec)
}

// TestStallInTheMiddle reads the first part and then disconnects: only that ends the request.
func TestStallInTheMiddle(t *testing.T) {
	done := make(chan Record, 1)
	url, client := serve(t, Options{OnRequest: func(r Record) { done <- r }})
	for _, a := range asks {
		ctx, cancel := context.WithCancel(t.Context())
		resp, err := client.Do(request(t, url+a.path+"?stall-mid", a.body).WithContext(ctx))
		check(t, err)
		n, err := io.CopyN(io.Discard, resp.Body, resp.ContentLength/2)
		errorIf(t, err != nil, "%s: %d of %d bytes, %v", a.path, n, resp.ContentLength, err)
		errorIf(t, len(done) > 0, "%s: the request ended by itself, want that it waits for its client", a.path)
		cancel()
		resp.Body.Close()
		if rec := <-done; rec.Fault != "stall-mid" || rec.Status != 200 {
			t.Errorf("got the record %+v, want the fault and the status sent", rec)
		}
	}
}

func TestTruncatedAnswers(t *testing.T) {
	url, client := serve(t, Options{})
	for _, a := range asks {
		full := post(t, client, url+a.path, a.body)
		for _, query := range []string{"?truncate", "?truncate&gzip", "?truncate&big=100000"} {
			r := post(t, client, url+a.path+query, a.body)
			errorIf(t, r.err == nil || r.status != 200 || r.body == "",
				"%s%s: %d %d bytes %v, want a part and an error", a.path, query, r.status, len(r.body), r.err)
		}
		r := post(t, client, url+a.path+"?truncate=clean", a.body)
		errorIf(t, r.err != nil || len(r.body) != len(full.body)/2,
			"%s: got %d of %d bytes, %v, want half", a.path, len(r.body), len(full.body), r.err)
	}
}

func TestEnvelope(t *testing.T) {
	url, client := serve(t, Options{})
	for _, a := range asks {
		for _, c := range []struct {
			query string
			want  any
		}{
			{"envelope", 200.0}, {"envelope&status=429", 429.0}, {"envelope=string&status=503", "503"}, {"envelope=string", "200"},
			{"envelope&error-event", 529.0}, {"envelope&spend-cap", 429.0}, {"envelope&success=0", 503.0},
		} {
			r := post(t, client, url+a.path+"?"+c.query, a.body)
			v := decode(t, r.body)
			errorIf(t, r.status != 200 || v["status"] != c.want,
				"%s?%s: got HTTP %d, %s, want 200 and the status %v inside", a.path, c.query, r.status, r.body, c.want)
			if _, failed := v["error"]; failed == (c.want == 200.0 || c.want == "200") {
				t.Errorf("%s?%s: got %s, want an error in it with a failure alone", a.path, c.query, r.body)
			}
		}
		textOf(t, post(t, client, url+a.path+"?envelope", a.body).body)
	}
	req := request(t, url+"/v1/complete?envelope", completeAsk)
	req.Header.Del("X-Api-Key")
	if r := do(t, client, req); r.status != 200 || decode(t, r.body)["status"] != 401.0 {
		t.Errorf("without a key: got %d, %s, want 200 with 401 inside", r.status, r.body)
	}
}

func TestEchoKey(t *testing.T) {
	url, client := serve(t, Options{})
	for _, a := range asks {
		for _, query := range []string{"echo-key", "echo-key&status=401", "echo-key&status=500", "echo-key&error-event"} {
			r := post(t, client, url+a.path+"?"+query, a.body)
			errorIf(t, !strings.Contains(r.body, testKey), "%s?%s: got %s, want the key in it", a.path, query, r.body)
			if r := post(t, client, url+a.path+strings.TrimPrefix("?"+query, "?echo-key&"), a.body); query != "echo-key" && strings.Contains(r.body, testKey) {
				t.Errorf("%s: got %s, want no key in it", a.path, r.body)
			}
		}
		list, _ := events(t, post(t, client, url+a.path+"?echo-key&chunk=3", streamed(a.body)).body)
		errorIf(t, !strings.Contains(streamText(t, list), testKey), "%s: no key in the stream, want one", a.path)
	}
}

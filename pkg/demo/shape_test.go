package demo

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestBigAnswers(t *testing.T) {
	url, client := serve(t, Options{})
	for _, n := range []int{0, 1, 27, len(filler()) + 5, 300_001} {
		for _, a := range asks {
			text := textOf(t, post(t, client, fmt.Sprintf("%s%s?big=%d", url, a.path, n), a.body).body)
			list, tail := events(t, post(t, client, fmt.Sprintf("%s%s?big=%d", url, a.path, n), streamed(a.body)).body)
			errorIf(t, len(text) != n || streamText(t, list) != text || tail != "", "%s: big=%d: got %d bytes, want as many, streamed too", a.path, n, len(text))
		}
	}
	// One event, and so one line, that is longer than any chunk of the filler.
	list, _ := events(t, post(t, client, url+"/v1/messages?big=200000&chunk=200000", streamed(messagesAsk)).body)
	errorIf(t, !slices.ContainsFunc(list, func(e sse) bool { return len(e.data) > 200_000 }), "no event holds the whole text, want one")
	r := post(t, client, url+"/v1/messages?big-header=70000", messagesAsk)
	errorIf(t, len(r.header.Get("X-Demo-Big")) != 70_000 || r.status != 200,
		"big-header: got %d bytes, status %d, want 70000 and 200", len(r.header.Get("X-Demo-Big")), r.status)
}

func TestFirstLimitsFaults(t *testing.T) {
	url, client := serve(t, Options{})
	for _, fault := range []string{"status=503", "success=0", "html", "empty", "truncate=clean", "gzip", "spend-cap", "redirect", "big=9", "error-event"} {
		var same []bool
		plain := post(t, client, url+"/v1/complete", completeAsk)
		for range 4 {
			r := post(t, client, url+"/v1/complete?first=2&"+fault, completeAsk)
			same = append(same, r.status == plain.status && len(r.body) == len(plain.body))
		}
		errorIf(t, !slices.Equal(same, []bool{false, false, true, true}), "%s: got normal answers %v, want the third and the fourth", fault, same)
	}
	for range 2 {
		if r := post(t, client, url+"/v1/complete?first=0&envelope&echo-key&status=500", completeAsk); decode(t, r.body)["status"] != 200.0 || !strings.Contains(r.body, testKey) {
			t.Errorf("got %s, want the envelope and the key", r.body)
		}
	}
}

func TestFaultsMeetTheirOrder(t *testing.T) {
	names := []string{"spend-cap", "stall", "reset", "redirect", "html", "empty", "truncate", "error-event", "stall-mid", "drip"}
	for i, name := range names {
		f, err := parseFaults(strings.Join(names[i:], "&"))
		check(t, err)
		if p := f.plan(0, queryID{}); p.fault != name || p.breaks != name {
			t.Errorf("%v: met %q, want the first", names[i:], p.fault)
		}
	}
	// The faults are listed in the order in which they are applied.
	var listed []string
	for _, f := range Faults() {
		if slices.Contains(names, f.Name) {
			listed = append(listed, f.Name)
		}
		errorIf(t, !strings.HasPrefix(f.Usage, f.Name), "the usage of %s is %q, want it to begin with the name", f.Name, f.Usage)
	}
	errorIf(t, !slices.Equal(listed, names), "got the order %v, want %v", listed, names)
}

func TestBadParametersAreNamed(t *testing.T) {
	url, client := serve(t, Options{})
	for _, query := range []string{
		"status=", "status=99", "status=600", "status=429,", "status=ok", "status=%2b200x", "status=" + strings.Repeat("200,", maxStatuses) + "200",
		"success=", "success=101", "success=-1", "success=NaN", "success=99.999", "latency=", "latency=5", "latency=-1s", "latency=11m",
		"retry-after=a%0d%0ab", "reset=x", "reset=-1", "stall=1.5", "html=yes", "empty=no", "redirect=/x", "redirect-to=x", "redirect-to=ftp://a/b",
		"truncate=dirty", "envelope=xml", "gzip=9", "big=-1", "big=", "big=1e3", "big=99999999999", "big-header=99999999", "chunk=0", "pace=1h",
		"echo-key=1", "spend-cap=q", "first=", "first=-1", "error-event=x", "stall-mid=x", "drip=x", "reset&reset",
	} {
		name, _, _ := strings.Cut(query, "=")
		name, _, _ = strings.Cut(name, "&")
		for _, a := range asks {
			r := post(t, client, url+a.path+"?"+query, a.body)
			message, _ := valueAt(decode(t, r.body), "error.message").(string)
			errorIf(t, r.status != 400 || !strings.Contains(message, `parameter "`+name+`"`),
				"%s?%s: %d %s", a.path, clip(query), r.status, r.body)
		}
	}
	for _, query := range []string{"a=%zz", "a;b=1"} {
		if r := post(t, client, url+"/v1/messages?"+query, messagesAsk); r.status != 400 || !strings.Contains(r.body, "query") {
			t.Errorf("%s: got %d %s, want 400 that names the query", query, r.status, r.body)
		}
	}
}

func TestUnknownParametersAreListed(t *testing.T) {
	url, client := serve(t, Options{})
	for query, want := range map[string]string{
		"api-version=2&latncy=3s": "api-version, latncy", "": "", "latency=0s": "", "a%0d%0ab=1": "a%0D%0Ab", "x=1&x=2": "x",
	} {
		if r := post(t, client, url+"/v1/messages?"+query, messagesAsk); r.status != 200 || r.header.Get("X-Demo-Ignored") != want {
			t.Errorf("%s: %d, ignored %q, want %q", query, r.status, r.header.Get("X-Demo-Ignored"), want)
		}
	}
	f, err := parseFaults(strings.Repeat("&", 10) + strings.Repeat("q", 10_000) + "=1")
	errorIf(t, err != nil || len(f.ignoredHeader()) > maxIgnored+8, "%d bytes, %v", len(f.ignoredHeader()), err)
}

func TestRecordsHoldNoSecret(t *testing.T) {
	done := make(chan Record, 3)
	url, client := serve(t, Options{OnRequest: func(r Record) { done <- r }})
	post(t, client, url+"/"+testKey+"/v1/messages?k="+testKey+"&status=429", messagesAsk)
	req, _ := http.NewRequest(http.MethodGet, url+"/nothing", nil)
	do(t, client, req)
	post(t, client, url+"/v1/complete?reset", completeAsk)
	list := []Record{<-done, <-done, <-done}
	want := []Record{
		{Method: "POST", Path: "/***/v1/messages", Status: 429, Fault: "status"},
		{Method: "GET", Path: "/nothing", Status: 404},
		{Method: "POST", Path: "/v1/complete", Fault: "reset"},
	}
	errorIf(t, !slices.Equal(list, want), "records\n%+v, want\n%+v", list, want)
	s := fmt.Sprintf("%+v", list)
	errorIf(t, strings.Contains(s, testKey) || strings.Contains(s, "hi there"), "got a secret in %s, want none", s)
}

func TestGzipUnasked(t *testing.T) {
	if testing.Short() {
		t.Skip("long: 64 MB to unpack")
	}
	url, client := serve(t, Options{})
	for _, a := range asks {
		for _, body := range []string{a.body, streamed(a.body)} {
			r := post(t, client, url+a.path+"?gzip", body)
			fatalIf(t, r.err != nil || r.header.Get("Content-Encoding") != "gzip",
				"%s: %v %q", a.path, r.err, r.header.Get("Content-Encoding"))
			z, err := gzip.NewReader(strings.NewReader(r.body))
			check(t, err)
			if b, err := io.ReadAll(z); err != nil || !bytes.Contains(b, []byte("demo node")) && body == a.body {
				t.Errorf("%s: %v %s", a.path, err, b)
			}
		}
	}
	r := post(t, client, url+"/v1/messages?gzip=bomb", messagesAsk)
	z, err := gzip.NewReader(strings.NewReader(r.body))
	check(t, err)
	n, err := io.Copy(io.Discard, z)
	errorIf(t, err != nil || n <= 64<<20 || len(r.body) > 1<<20, "bomb: %d bytes became %d, %v", len(r.body), n, err)
}

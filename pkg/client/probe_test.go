package client

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"ferry/pkg/wire"
)

func TestProbe(t *testing.T) {
	for _, test := range []struct {
		name    string
		reply   reply
		models  int
		class   Class
		message string
	}{
		{"two models", body(`{"data":[{"id":"a"},{"id":"b"}]}`), 2, "", ""},
		{"the first page of two", body(`{"data":[{"id":"a"},{"id":"b"}],"has_more":true,"last_id":""}`), 2, "", ""},
		{"none", body(`{"data":[]}`), 0, "", ""},
		{"no list", body(`{"models":[]}`), -1, "", ""},
		{"HTML", body(`<html>`), -1, "", ""},
		{"an odd reply", body(`{"message":"nothing here"}`), -1, "", ""},
		{"401 in a 200", body(`{"error":{"code":401,"message":"no key"}}`), -1, Status4xx, "n: status 401: no key"},
		{"404 in a 200", body(`{"error":{"code":404,"message":"no list"}}`), -1, Status4xx, "n: status 404: no list (URL/v1/models)"},
		{"401", status(401), -1, Status4xx, "n: status 401: m401"},
		{"404", status(404), -1, Status4xx, "n: status 404: m404 (URL/v1/models)"},
		{"405", status(405), -1, Status4xx, "n: status 405: m405"},
		{"a redirect", status(302, "Location", "/login"), -1, Redirect, "n: status 302: a redirect to /login, not followed"},
		{"cut", reply{raw: head + "Content-Length: 99\r\n\r\n{"}, -1, Truncated, "n: the answer was cut after 1 bytes"},
		{"the key", reply{status: 400, body: `{"error":{"message":"` + canary + `"}}`}, -1, Status4xx, "n: status 400: ***"},
		{"the key in no reply", reply{raw: canary + "\r\n\r\n"}, -1, Protocol, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			tr, server := newServed(t, test.reply)
			tr.Endpoint.API = wire.Messages
			probe, err := tr.probe(t.Context())
			if probe.Models != test.models || !probe.Connected || probe.State != nil || probe.Attempt.Class != test.class {
				t.Errorf("%+v", probe)
			}
			if found := leaks(probe, err); len(found) > 0 {
				t.Errorf("%q", found)
			}
			var failed *Error
			if errors.As(err, &failed) != (test.class != "") {
				t.Fatalf("%v", err)
			}
			if failed != nil && (failed.Class != test.class || test.message != "" && strings.ReplaceAll(failed.Error(), server.URL.String(), "URL") != test.message || failed.Status == 401 && !strings.HasPrefix(failed.Hint(), "the key came from env:FERRY_TEST")) {
				t.Errorf("%+v: %v", failed, err)
			}
			r := server.requests[0]
			if len(server.requests) != 1 || r.Method != "GET" || r.URL.Path != "/v1/models" || r.Header.Get("X-Api-Key") != canary {
				t.Errorf("%d requests, %s %s", len(server.requests), r.Method, r.URL)
			}
		})
	}
}

func TestProbeOfWhatIsNotThere(t *testing.T) {
	tr := newTrial(t, unused(t))
	probe, err := tr.probe(t.Context())
	if failed, ok := errors.AsType[*Error](err); !ok || failed.Class != Connect || probe.Connected || probe.Models != -1 || probe.Addresses != nil {
		t.Errorf("%+v, %v", probe, err)
	}
	server := serve(t, body(`{"data":[]}`))
	tr = newTrial(t, mustURL(t, "http://localhost:"+server.URL.Port()))
	if probe, err = tr.probe(t.Context()); err != nil || !slices.Contains(probe.Addresses, "127.0.0.1") {
		t.Errorf("%+v, %v", probe, err)
	}
}

// TestProbePages checks that Probe follows the pages of a list, and reports if it stopped before the end.
func TestProbePages(t *testing.T) {
	page := func(id string, more bool) reply {
		return body(fmt.Sprintf(`{"data":[{"id":%q}],"has_more":%t,"last_id":%q}`, id, more, id))
	}
	var endless []reply
	for i := range maxPages {
		endless = append(endless, page(fmt.Sprint("m", i), true))
	}
	for name, c := range map[string]struct {
		replies []reply
		ids     string
		more    bool
	}{
		"three pages":      {[]reply{page("a b", true), page("c", true), page("d", false)}, "a b,c,d", false},
		"one that fails":   {[]reply{page("a", true), status(500)}, "a", true},
		"one that is none": {[]reply{page("a", true), body("<html>")}, "a", true},
		"one again":        {[]reply{page("a", true), page("a", true), page("b", false)}, "a", true},
		"an empty one":     {[]reply{page("a", true), body(`{"data":[],"has_more":true,"last_id":"b"}`)}, "a", true},
		"endless":          {endless, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			tr, server := newServed(t, c.replies...)
			tr.Endpoint.API = wire.Messages
			probe, err := tr.probe(t.Context())
			if err != nil || probe.More != c.more || probe.Models != len(probe.ModelIDs) {
				t.Fatalf("%+v, %v", probe, err)
			}
			if got := strings.Join(probe.ModelIDs, ","); c.ids != "" && got != c.ids || c.ids == "" && len(probe.ModelIDs) != maxPages {
				t.Errorf("got %s, want %s", got, c.ids)
			}
			if query := server.requests[1].URL.RawQuery; name == "three pages" && query != "limit=1000&after_id=a+b" {
				t.Errorf("the second page was asked for with %s", query)
			}
		})
	}
}

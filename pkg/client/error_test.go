package client

import (
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"ferry/pkg/guard"
	"ferry/pkg/retry"
	"ferry/pkg/text"
	"ferry/pkg/wire"
)

// wrongPath is the hint of a 404.
const wrongPath = "is the path right? it comes from nodes.n.url and from api complete; another api has another path"

// messageOf is a reply and the message and hint that the user sees.
type messageOf struct {
	name          string
	api           wire.API
	policy        retry.Policy
	reply         reply
	message, hint string
}

// TestMessages checks what the user sees: what failed, on which node, and what to do.
func TestMessages(t *testing.T) {
	checkMessages(t, []messageOf{
		{
			"401 says where the key came from", wire.Messages, retry.Script,
			reply{status: 401, body: `{"error":{"type":"authentication_error","message":"invalid x-api-key"},"request_id":"req_9"}`},
			"n: status 401: authentication_error: invalid x-api-key (request id req_9)", "the key came from env:FERRY_TEST; ferry config key n stores another",
		},
		{"403", wire.Messages, retry.Script, status(403), "n: status 403: m403", "the key came from env:FERRY_TEST; ferry config key n stores another"},
		{
			"429 at last", wire.Complete, retry.Script, status(429), "n: gave up after 3 attempts: status 429: m429",
			"--attempts allows more, --retry-policy retry-after waits as the server asks",
		},
		{"503 at last", wire.Complete, retry.Script, status(503), "n: gave up after 3 attempts: status 503: m503", ""},
		{
			"too long a wait", wire.Complete, retry.RetryAfter, status(429, "Retry-After", "120"),
			"n: gave up: the server asks to wait 2m0s, longer than 1m0s: status 429: m429", "",
		},
		{
			"a wait too long by a fraction", wire.Complete, retry.RetryAfter, status(429, "Retry-After", "60.4"),
			"n: gave up: the server asks to wait 1m0.4s, longer than 1m0s: status 429: m429", "",
		},
		{
			"a wait without end", wire.Complete, retry.RetryAfter, status(429, "Retry-After", "99999999999999999999"),
			"n: gave up: the server asks to wait more than 100 years, longer than 1m0s: status 429: m429", "",
		},
		{
			"500 under script", wire.Complete, retry.Script, status(500), "n: status 500: m500",
			"--retry-policy retry-after retries on every 5xx",
		},
		{"404 names what was asked", wire.Complete, retry.Script, status(404), "n: status 404: m404 (URL/v1/complete)", wrongPath},
		{
			"404 for a model", wire.Messages, retry.Script, reply{status: 404, body: `{"error":{"type":"not_found_error","message":"model: m"}}`},
			"n: status 404: not_found_error: model: m (URL/v1/messages)", "-m MODEL selects another model; ferry config models n lists the models",
		},
		{
			"a page without a title is its words", wire.Complete, retry.Script, reply{status: 413, body: "<html>\n<b>too\x1b[2J big</b>"},
			`n: status 413: too\x1b[2J big`, "",
		},
		{
			"a long page is cut", wire.Complete, retry.Script, reply{status: 413, body: "<p>" + strings.Repeat("ab ", 333)},
			"n: status 413: " + strings.Repeat("ab ", 66) + "…", "",
		},
		{"an envelope is quoted", wire.Complete, retry.Script, body(`{"status":404}`), `n: status 404: {"status":404} (URL/v1/complete)`, wrongPath},
		{
			"no completion", wire.Complete, retry.Script, body(`{"text":"x"}`),
			`n: status 200 with no completion in the answer: {"text":"x"}`, "-o raw prints the body unchanged",
		},
		{
			"HTML", wire.Complete, retry.Script, body(`<html>`), `n: status 200 with an HTML page`,
			"is the node's url the API's? the reply is a web page, a login page or a gateway's error page",
		},
		{"empty", wire.Complete, retry.Script, body(``), `n: status 200 with an empty body`, ""},
		{
			"a redirect", wire.Complete, retry.Script, status(308, "Location", "https://elsewhere.test/v1"),
			"n: status 308: a redirect to https://elsewhere.test/v1, not followed", "if that is the right address, set it as the node's url",
		},
		{
			"reset", wire.Complete, retry.Script, reply{raw: "HTTP/1.1 200"}, "n: the connection was closed before an answer arrived: unexpected EOF",
			"--retry-policy retry-after retries when no answer arrives",
		},
		{
			"reset under retry-after", wire.Complete, retry.RetryAfter, reply{raw: "HTTP/1.1 200"},
			"n: gave up after 3 attempts: the connection was closed before an answer arrived: unexpected EOF", "",
		},
	})
}

// TestMessagesOfErrors checks that the message of an error is shown, whatever format the error has.
func TestMessagesOfErrors(t *testing.T) {
	checkMessages(t, []messageOf{
		{
			"a long text is cut later", wire.Complete, retry.Script, reply{status: 413, body: strings.Repeat("x", 2999)},
			"n: status 413: " + strings.Repeat("x", 2048) + "…", "",
		},
		{
			"a page is its title", wire.Complete, retry.Script, reply{status: 413, body: "<html><title> Too \n big</title><body>x"},
			"n: status 413: Too big", "",
		},
		{
			"words of any length", wire.Chat, retry.Script, reply{status: 422, body: `{"detail":[{"loc":["body","model"],"msg":"` + strings.Repeat("x", 2999) + `"}]}`},
			"n: status 422: body.model: " + strings.Repeat("x", 2999), "",
		},
		{
			"a used-up account", wire.Chat, retry.RetryAfter, reply{status: 403, body: `{"error":{"message":"user quota is not enough"}}`},
			"n: status 403: user quota is not enough",
			"the account of this key is used up or at its limit: a retry does not help; -n a,b tries another node then",
		},
	})
}

func checkMessages(t *testing.T, tests []messageOf) {
	t.Helper()
	for _, test := range tests {
		tr, server := newServed(t, test.reply)
		tr.Endpoint.API, tr.request.Model, tr.Rule.Policy = test.api, "m", test.policy
		_, failed := tr.ask(t)
		if failed == nil || strings.ReplaceAll(failed.Error(), server.URL.String(), "URL") != test.message || strings.ReplaceAll(failed.Hint(), server.URL.String(), "URL") != test.hint {
			t.Errorf("%s: %v\nhint: %s\nwant %s\nhint: %s", test.name, failed, failed.Hint(), test.message, test.hint)
		}
	}
}

func TestMessagesWithoutACall(t *testing.T) {
	script := retry.Rule{Policy: retry.Script}
	for _, test := range []struct {
		endpoint      Endpoint
		err           *Error
		message, hint string
	}{
		{Endpoint{}, &Error{Class: Status4xx, Status: 401, Err: errors.New("status 401")}, "status 401", "the request had no key"},
		{
			Endpoint{Name: "http://h/api"}, &Error{Class: Status4xx, Status: 401, Err: errors.New("status 401")}, "http://h/api: status 401",
			"the request had no key; " + text.SetVariable("FERRY_KEY", "…") + " gives one to a node that is a URL",
		},
		{
			Endpoint{Name: "https://h/api", Key: guard.Unread("env:FERRY_KEY")}, &Error{Class: Status4xx, Status: 401, Err: errors.New("status 401")},
			"https://h/api: status 401", "the key came from env:FERRY_KEY",
		},
		{
			Endpoint{Name: "llama"}, &Error{Class: Status4xx, Status: 401, Err: errors.New("status 401")}, "llama: status 401",
			"the request had no key; ferry config key llama stores one",
		},
		{
			Endpoint{Name: "hk"}, &Error{Class: DNS, Err: &net.DNSError{Err: "no such host", Name: "hk.test", IsNotFound: true}},
			"hk: lookup hk.test: no such host", "is the host right? it comes from nodes.hk.url",
		},
		{
			Endpoint{Name: "https://hk.test"}, &Error{Class: DNS, Err: &net.DNSError{Err: "no such host", Name: "hk.test", IsNotFound: true}},
			"https://hk.test: lookup hk.test: no such host", "is the host right? it comes from the URL",
		},
		{
			Endpoint{Name: "hk", Rule: script}, &Error{Class: DNS, Err: &net.DNSError{Err: "server misbehaving", Name: "hk.test"}},
			"hk: lookup hk.test: server misbehaving", "--retry-policy retry-after retries when no answer arrives",
		},
		{
			Endpoint{Name: "llama", Rule: script, URL: &url.URL{Host: "127.0.0.1:11434"}}, &Error{Class: Connect, Err: errors.New("refused")},
			"llama: refused", "is the server running? --retry-policy retry-after retries when no answer arrives",
		},
		{Endpoint{}, &Error{GaveUp: true, Err: errors.New("x")}, "gave up after 1 attempt: x", ""},
		{Endpoint{}, &Error{Class: Usage, Err: errors.New("x")}, "x", ""},
		{Endpoint{}, &Error{Class: Timeout, Err: &DeadlineError{Timeout: time.Minute}}, "no whole answer within the timeout of 1m0s", "--timeout allows more time"},
		{Endpoint{Name: "n\x1b[2J"}, &Error{Err: errors.New("\u202ex")}, `n\x1b[2J: \u202ex`, ""},
	} {
		call := &Call{Endpoint: &test.endpoint, prepared: &Prepared{URL: test.endpoint.URL}}
		failed := call.fail(&Result{Attempts: []*Attempt{{Number: 1, Sent: true}}}, test.err)
		if failed.Error() != test.message || failed.Hint() != test.hint {
			t.Errorf("%s, hint %q; want %s, %q", failed, failed.Hint(), test.message, test.hint)
		}
	}
}

func TestReason(t *testing.T) {
	failure := errors.New("x")
	for _, test := range []struct {
		at   Attempt
		want string
	}{
		{Attempt{Status: 200}, "ok"},
		{Attempt{Status: 429, Class: RateLimited, Err: failure}, "429"},
		{Attempt{Status: 200, Class: NotAnAnswer, Err: failure}, "not_an_answer"},
		{Attempt{Class: Reset, Err: failure}, "reset"},
		{Attempt{Status: -1, Class: StatusOther, Err: failure}, "status"},
	} {
		if got := test.at.Reason(); got != test.want {
			t.Errorf("%+v: %s", test.at, got)
		}
	}
}

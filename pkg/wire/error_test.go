package wire

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// TestErrorShapes checks the error formats of the three APIs and of gateways with similar formats.
func TestErrorShapes(t *testing.T) {
	tests := []struct {
		name string
		api  API
		http int
		body string
		want APIError
		text string
	}{
		{
			"Claude's", Messages, 529,
			`{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}`,
			APIError{Status: 529, Type: "overloaded_error", Message: "Overloaded", RequestID: "req_1"},
			"status 529: overloaded_error: Overloaded",
		},
		{
			"OpenAI-style", Chat, 401,
			`{"error":{"message":"Incorrect API key","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}`,
			APIError{Status: 401, Type: "invalid_request_error", Code: "invalid_api_key", Message: "Incorrect API key"},
			"status 401: invalid_request_error: Incorrect API key",
		},
		{
			"OpenAI-style inside a 200: the code says more than the type", Chat, 200,
			`{"error":{"message":"no","type":"invalid_request_error","code":"invalid_api_key"}}`,
			APIError{Status: 401, Type: "invalid_request_error", Code: "invalid_api_key", Message: "no"},
			"status 401: invalid_request_error: no",
		},
		{
			"a code that is a number", Chat, 429, `{"error":{"code":1302,"message":"slow down"}}`,
			APIError{Status: 429, Code: "1302", Message: "slow down"}, "status 429: slow down",
		},
		{
			"null fields", Chat, 400, `{"error":{"message":"m","type":null,"code":null}}`,
			APIError{Status: 400, Message: "m"}, "status 400: m",
		},
		{
			"a type of another shape", Chat, 400, `{"error":{"message":"m","type":7}}`,
			APIError{Status: 400, Message: "m"}, "status 400: m",
		},
		{"a bare string", Chat, 404, `{"error":"model not found"}`, APIError{Status: 404, Message: "model not found"}, "status 404: model not found"},
		{"an envelope", Complete, 200, `{"status":429}`, APIError{Status: 429}, "status 429"},
		{
			"an envelope with an error", Complete, 200, `{"status":"503","error":{"type":"t","message":"m"}}`,
			APIError{Status: 503, Type: "t", Message: "m"}, "status 503: t: m",
		},
		{
			"a status that is none", Complete, 502, `{"status":"down"}`,
			APIError{Type: "down"}, "HTTP 502 with an invalid .status in the body: down",
		},
		{
			"a status too large", Complete, 200, `{"status":1e9}`,
			APIError{Status: -1}, "HTTP 200 with an invalid .status in the body",
		},
		{"HTML", Messages, 502, `<html>Bad Gateway</html>`, APIError{Status: 502, Message: "Bad Gateway"}, "status 502: Bad Gateway"},
		{"nothing", Messages, 500, ``, APIError{Status: 500}, "status 500"},
		{"an error that is a list", Messages, 500, `{"error":["x"]}`, APIError{Status: 500, Message: "x"}, "status 500: x"},
		{"an error that is null", Messages, 500, `{"error":null}`, APIError{Status: 500}, "status 500"},
	}
	for _, test := range tests {
		_, err := test.api.Decode(test.http, []byte(test.body))
		var got *APIError
		if !errors.As(err, &got) {
			t.Errorf("%s: got %v, want an error of the API", test.name, err)
			continue
		}
		want := test.want
		want.HTTPStatus, want.Body, want.stated = test.http, []byte(test.body), got.stated
		errorIf(t, !reflect.DeepEqual(*got, want) || got.Error() != test.text,
			"%s: got %+v, %q\nwant %+v, %q", test.name, got, got, want, test.text)
	}
}

// TestSpendCap checks which errors are spending limits that waiting does not lift (FACTS.md section 1), and that a
// plain rate limit is not one of them.
func TestSpendCap(t *testing.T) {
	tests := []struct {
		body string
		want bool
	}{
		{`{"error":{"type":"billing_error","message":"m"}}`, true},
		{`{"error":{"type":"insufficient_quota","message":"m"}}`, true},
		{`{"error":{"type":"x","code":"insufficient_quota"}}`, true},
		{`{"error":{"type":"rate_limit_error","message":"You have reached your specified API usage limits."}}`, true},
		{`{"error":{"type":"rate_limit_error","message":"Monthly Spend Limit reached"}}`, true},
		{`{"error":"spending cap"}`, true},
		{`{"error":{"type":"rate_limit_error","message":"This request would exceed your rate limit of 50 requests per minute"}}`, false},
		{`{"error":{"type":"rate_limit_error"}}`, false},
		{`{}`, false},
		{`{"error":{"message":"Insufficient Balance","type":"unknown_error"}}`, true},
		{`{"error":{"message":"该令牌额度已用尽"}}`, true},
		{`{"error":{"code":"1113","message":"您的账户已欠费"}}`, true},
		{`{"error":{"code":1308,"message":"m"}}`, true},
		{`{"error":{"code":"1302","message":"too many at once"}}`, false},
		{`{"base_resp":{"status_code":1008,"status_msg":"m"}}`, true},
		{`{"base_resp":{"status_code":1002,"status_msg":"rate limit"}}`, false},
		{`{"code":"Arrearage","message":"Access denied"}`, true},
		{`{"error":{"code":"AccountOverdueError","message":"m"}}`, true},
		{`{"error":{"type":"exceeded_current_quota_error","message":"m"}}`, true},
		{`{"error":{"code":"project_spend_limit_exceeded"}}`, true},
		{`{"error":{"code":"credit_balance_exhausted"}}`, true},
	}
	for _, test := range tests {
		var got *APIError
		if _, err := Messages.check(429, []byte(test.body)); !errors.As(err, &got) || got.SpendCap() != test.want {
			t.Errorf("%s: %v, want a spend cap %t", test.body, err, test.want)
		}
	}
	var got *APIError
	for body, want := range map[string]bool{`{}`: true, `{"error":{"code":"in_flight_budget_exhausted","message":"m"}}`: false} {
		if _, err := Chat.check(402, []byte(body)); !errors.As(err, &got) || got.SpendCap() != want || got.InFlightBudget() == want {
			t.Errorf("402 with %s: %v, want a spend cap %t", body, err, want)
		}
	}
}

// TestDeepBodies checks that a deeply nested body is read about once, and not once for each level, which would take
// minutes here.
func TestDeepBodies(t *testing.T) {
	const depth, size = 9000, 1 << 20
	long := `"` + strings.Repeat("x", size) + `"`
	deep := func(open, shut string) string {
		return strings.Repeat(open, depth) + long + strings.Repeat(shut, depth)
	}
	for body, want := range map[string]int{
		`{"error":` + deep("[", "]") + `}`:                                                                500,
		`{"error":` + deep(`{"error":`, "}") + `}`:                                                        500,
		`{"errors":` + deep(`{"detail":`, "}") + `}`:                                                      500,
		`{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}],"error":` + deep("[", "]") + `}`: 500,
	} {
		_, err := Chat.Decode(200, []byte(body))
		if got := found(t, err); got != want {
			t.Errorf("%.40s…: status %d, want %d", body, got, want)
		}
	}
	half := depth / 4 // two levels each
	body := `{"choices":[{"message":{"content":` + strings.Repeat(`[{"type":"thinking","thinking":`, half) + long + strings.Repeat(`}]`, half) + `},"finish_reason":"stop"}]}`
	if answer, err := Chat.Decode(200, []byte(body)); err != nil || !answer.Empty {
		t.Errorf("deep thinking: got %d bytes of text, %v, want none", len(answer.Text), err)
	}
}

// TestOnlyStreams tests the messages of servers whose models support only streams, and similar messages.
func TestOnlyStreams(t *testing.T) {
	for words, want := range map[string]bool{
		"This model only support stream mode, please enable the stream parameter to access the model.": true,
		"parameter.enable_thinking must be set to false for non-streaming calls":                       true,
		"Model m supports only streaming requests":                                                     true,
		"stream must be true":          true,
		"Please set stream to true":    true,
		"the stream is not supported":  false,
		"temperature is not supported": false,
		"upstream error":               false,
	} {
		e := &APIError{Status: 400, Message: words}
		if got := e.OnlyStreams(); got != want {
			t.Errorf("%q: got %t, want %t", words, got, want)
		}
		if e.Status = 503; e.OnlyStreams() {
			t.Errorf("%q with status 503: taken for a refusal", words)
		}
	}
}

// TestPageWords checks that an error shows the text of a page and never its markup.
func TestPageWords(t *testing.T) {
	for _, test := range []struct{ name, page, want string }{
		{"a title", "<html><head><title>\n 502 Bad\n Gateway </title></head><body>nginx</body>", "502 Bad Gateway"},
		{"a title with attributes and references", `<TITLE id="a">Just a moment&hellip; &amp;</TITLE>`, "Just a moment… &"},
		{"an empty title", "<title> </title><h1>Welcome</h1><p>to   nginx", "Welcome to nginx"},
		{"a title without an end", "<title>open<h1>Hello</h1>", "open Hello"},
		{"no title", "<!DOCTYPE html><!-- a\n<b>comment --><style>p{}</style><script>var a='<p>'</script><p>No <b>route</b>", "No route"},
		{"XML", `<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>`, "AccessDenied Request has expired"},
		{"a title in an SVG picture", "<svg><desc>a logo</desc></svg><p>Hello", "Hello"},
		{"markup alone", "<html><body></body></html>", ""},
		{"a tag that is cut", "<p>Hello <a href='", "Hello"},
		{"a long title", "<title>" + strings.Repeat("ab ", 70) + "</title>", strings.Repeat("ab ", 66) + "…"},
		{"cut at a whole character", "<title>" + strings.Repeat("好", 67) + "</title>", strings.Repeat("好", 66) + "…"},
		{"half a word may be half a key", "<title>key " + strings.Repeat("x", 200) + "</title>", "key …"},
		{"no page", "hello <b>", ""},
		{"nothing", "", ""},
	} {
		if got := pageWords([]byte(test.page)); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	fault := APIError{}
	fault.readBody([]byte(`{"error":{"message":"<html><title>413 Too Large</title><hr>nginx</html>"}}`))
	errorIf(t, fault.Message != "413 Too Large", "a page inside an error is %q, want its title", fault.Message)
}

package wire

import (
	"errors"
	"strings"
	"testing"
)

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

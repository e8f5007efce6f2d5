package wire

import (
	"errors"
	"strings"
	"testing"
)

// TestErrorKinds checks which errors are spending limits that waiting does not lift (FACTS.md section 1), and which are
// about an unknown model or a model that supports only streams. Similar errors, such as a plain rate limit, are none of
// them.
func TestErrorKinds(t *testing.T) {
	for _, test := range []struct {
		status     int
		kind, body string
	}{
		{429, "spend cap", `{"error":{"type":"billing_error","message":"m"}}`},
		{429, "spend cap", `{"error":{"type":"insufficient_quota","message":"m"}}`},
		{429, "spend cap", `{"error":{"type":"x","code":"insufficient_quota"}}`},
		{429, "spend cap", `{"error":{"type":"rate_limit_error","message":"You have reached your specified API usage limits."}}`},
		{429, "spend cap", `{"error":{"type":"rate_limit_error","message":"Monthly Spend Limit reached"}}`},
		{429, "spend cap", `{"error":"spending cap"}`},
		{429, "", `{"error":{"type":"rate_limit_error","message":"This request would exceed your rate limit of 50 requests per minute"}}`},
		{429, "", `{"error":{"type":"rate_limit_error"}}`},
		{429, "", `{}`},
		{429, "spend cap", `{"error":{"message":"Insufficient Balance","type":"unknown_error"}}`},
		{429, "spend cap", `{"error":{"message":"该令牌额度已用尽"}}`},
		{429, "spend cap", `{"error":{"code":"1113","message":"您的账户已欠费"}}`},
		{429, "spend cap", `{"error":{"code":1308,"message":"m"}}`},
		{429, "", `{"error":{"code":"1302","message":"too many at once"}}`},
		{429, "spend cap", `{"base_resp":{"status_code":1008,"status_msg":"m"}}`},
		{429, "", `{"base_resp":{"status_code":1002,"status_msg":"rate limit"}}`},
		{429, "spend cap", `{"code":"Arrearage","message":"Access denied"}`},
		{429, "spend cap", `{"error":{"code":"AccountOverdueError","message":"m"}}`},
		{429, "spend cap", `{"error":{"type":"exceeded_current_quota_error","message":"m"}}`},
		{429, "spend cap", `{"error":{"code":"project_spend_limit_exceeded"}}`},
		{429, "spend cap", `{"error":{"code":"credit_balance_exhausted"}}`},
		{402, "spend cap", `{}`},
		{402, "in flight", `{"error":{"code":"in_flight_budget_exhausted","message":"m"}}`},
		{404, "unknown model", `{"type":"error","error":{"type":"not_found_error","message":"model: claude-x"}}`},
		{404, "unknown model", `{"error":{"message":"The model x does not exist or you have no access to it","type":"invalid_request_error","code":"model_not_found"}}`},
		{404, "unknown model", `{"error":{"message":"model \"x\" not found, try pulling it first","type":"api_error"}}`},
		{400, "unknown model", `{"error":{"message":"Model Not Exist","type":"invalid_request_error"}}`},
		{400, "unknown model", `{"error":{"message":"x is not a valid model ID","code":400}}`},
		{400, "unknown model", `{"error":{"code":"1211","message":"模型不存在，请检查模型代码"}}`},
		{400, "unknown model", `{"object":"error","message":"Invalid model: x","type":"invalid_model","code":"1500"}`},
		{404, "", `{"error":{"message":"no such path"}}`},
		{404, "", `<html>nothing</html>`},
		{400, "", `{"error":{"message":"max_tokens is too large for this model"}}`},
		{400, "", `{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model.","code":"unsupported_parameter"}}`},
		{401, "", `{"error":{"message":"the model does not exist"}}`},
		{500, "", `{"error":{"message":"model not found","code":"model_not_found"}}`},
		{400, "only streams", `{"error":{"message":"This model only support stream mode, please enable the stream parameter to access the model."}}`},
		{400, "only streams", `{"error":{"message":"parameter.enable_thinking must be set to false for non-streaming calls"}}`},
		{400, "only streams", `{"error":{"message":"Model m supports only streaming requests"}}`},
		{400, "only streams", `{"error":{"message":"stream must be true"}}`},
		{400, "only streams", `{"error":{"message":"Please set stream to true"}}`},
		{400, "", `{"error":{"message":"the stream is not supported"}}`},
		{400, "", `{"error":{"message":"temperature is not supported"}}`},
		{400, "", `{"error":{"message":"upstream error"}}`},
	} {
		_, err := Chat.Decode(test.status, []byte(test.body))
		failed, ok := errors.AsType[*APIError](err)
		fatalIf(t, !ok, "%d %s: got %v, want an APIError", test.status, test.body, err)
		for kind, is := range map[string]bool{
			"spend cap": failed.SpendCap(), "in flight": failed.InFlightBudget(),
			"unknown model": failed.UnknownModel(), "only streams": failed.OnlyStreams(),
		} {
			errorIf(t, is != (kind == test.kind),
				"%d %s: got %s %t, want the kind %q", test.status, test.body, kind, is, test.kind)
		}
		failed.Status = 503
		errorIf(t, failed.OnlyStreams(), "%s with status 503: taken for a refusal", test.body)
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
		got := found(t, err)
		errorIf(t, got != want, "%.40s…: status %d, want %d", body, got, want)
	}
	half := depth / 4 // two levels each
	body := `{"choices":[{"message":{"content":` + strings.Repeat(`[{"type":"thinking","thinking":`, half) + long + strings.Repeat(`}]`, half) + `},"finish_reason":"stop"}]}`
	if answer, err := Chat.Decode(200, []byte(body)); err != nil || !answer.Empty {
		t.Errorf("deep thinking: got %d bytes of text, %v, want none", len(answer.Text), err)
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
		got := pageWords([]byte(test.page))
		errorIf(t, got != test.want, "%s: %q, want %q", test.name, got, test.want)
	}
	fault := APIError{}
	fault.readBody([]byte(`{"error":{"message":"<html><title>413 Too Large</title><hr>nginx</html>"}}`))
	errorIf(t, fault.Message != "413 Too Large", "a page inside an error is %q, want its title", fault.Message)
}

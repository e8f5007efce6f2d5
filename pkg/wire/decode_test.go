package wire

import (
	"strings"
	"testing"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// errorIf reports an error if wrong is true. fatalIf also ends the test.
func errorIf(t testing.TB, wrong bool, format string, args ...any) {
	t.Helper()
	if wrong {
		t.Errorf(format, args...)
	}
}

func fatalIf(t testing.TB, wrong bool, format string, args ...any) {
	t.Helper()
	if wrong {
		t.Fatalf(format, args...)
	}
}

// notAnswer means a *NotAnswerError in the tables.
const notAnswer = -200

// found returns the effective status for an error.
func found(t *testing.T, err error) int {
	t.Helper()
	switch err := err.(type) {
	case nil:
		return 200
	case *APIError:
		return err.Status
	case *NotAnswerError:
		return notAnswer
	}
	t.Fatalf("an error of another type: %v", err)
	return 0
}

type statusCase struct {
	name string
	http int
	body string
	want int
}

func checkStatuses(t *testing.T, api API, cases []statusCase) {
	t.Helper()
	for _, c := range cases {
		_, err := api.check(c.http, []byte(c.body))
		if got := found(t, err); got != c.want {
			t.Errorf("%s, %s: HTTP %d with %.60s is %d, want %d", api, c.name, c.http, c.body, got, c.want)
		}
	}
}

// TestStatusOfComplete checks the effective status in the script's dialect (DESIGN.md section 2): the body's .status
// is what the script read, so it takes precedence over the HTTP status. If it is absent or null, the HTTP status
// counts. Any other value that is not a whole number is a failure, with status 0 here.
func TestStatusOfComplete(t *testing.T) {
	checkStatuses(t, Complete, []statusCase{
		{"a number", 200, `{"status":200}`, 200},
		{"a number with a fraction of nothing", 200, `{"status":200.0}`, 200},
		{"an exponent", 200, `{"status":2e2}`, 200},
		{"a string of digits", 200, `{"status":"200"}`, 200},
		{"429 in 200", 200, `{"status":429}`, 429},
		{`"503" in 200`, 200, `{"status":"503"}`, 503},
		{"200 in 500", 500, `{"status":200}`, 200},
		{`"200" in 429`, 429, `{"status":"200"}`, 200},
		{"200 in 429 with an error", 429, `{"status":200,"error":{"type":"rate_limit_error"}}`, 200},
		{"absent in 200", 200, `{}`, 200},
		{"absent in 503", 503, `{}`, 503},
		{"null in 200", 200, `{"status":null}`, 200},
		{"null in 503", 503, `{"status":null}`, 503},
		{"empty string", 200, `{"status":""}`, 0},
		{"ok", 200, `{"status":"ok"}`, 0},
		{"error in 503", 503, `{"status":"error"}`, 0},
		{"true", 200, `{"status":true}`, 0},
		{"false", 200, `{"status":false}`, 0},
		{"an object", 200, `{"status":{"code":200}}`, 0},
		{"an array", 200, `{"status":[200]}`, 0},
		{"a fraction", 200, `{"status":200.5}`, 0},
		{"a fraction below 1", 200, `{"status":1e-3}`, 0},
		{"a string with a sign", 200, `{"status":"+200"}`, 0},
		{"a string with a space", 200, `{"status":" 200"}`, 0},
		{"a string with a fraction", 200, `{"status":"200.0"}`, 0},
		{"an exponent in a string", 200, `{"status":"2e2"}`, 0},
		{"other digits", 200, `{"status":"٢٠٠"}`, 0},
		{"Infinity", 200, `{"status":"Infinity"}`, 0},
		{"negative", 200, `{"status":-200}`, -200},
		{"zero", 200, `{"status":0}`, 0},
		{"huge", 200, `{"status":20000000000000000000000000200}`, -1},
		{"huge exponent", 200, `{"status":2e999}`, -1},
		{"huge negative", 200, `{"status":-2e999}`, -1},
		{"huge string", 200, `{"status":"` + strings.Repeat("2", 400) + `"}`, -1},
		// As in jq, the last of duplicate keys counts.
		{"duplicate keys, good last", 200, `{"status":429,"status":200}`, 200},
		{"duplicate keys, bad last", 200, `{"status":200,"status":429}`, 429},
		// jq's .status matches exactly this name.
		{"another case", 503, `{"Status":200}`, 503},
		{"another case beside it", 200, `{"status":429,"STATUS":200}`, 429},
		{"not at the top", 503, `{"result":{"status":200}}`, 503},
		{"spelled with an escape", 503, `{"st\u0061tus":200}`, 200},
		{"an error of a known type in 200", 200, `{"error":{"type":"overloaded_error"}}`, 529},
		{"an array", 200, `[{"status":200}]`, notAnswer},
		{"an array in 503", 503, `[{"status":200}]`, 503},
		{"HTML in 503", 503, `<html>busy</html>`, 503},
		{"HTML in 200", 200, `<html>hi</html>`, notAnswer},
		{"nothing in 204", 204, ``, 204},
		{"nothing in 200", 200, ``, notAnswer},
		{"trailing garbage", 200, `{"status":200} x`, notAnswer},
		{"two objects", 200, `{"status":200}{"status":429}`, notAnswer},
		{"trailing white space", 200, "{\"status\":200}\r\n\t ", 200},
		{"cut", 200, `{"status":200,"completion":"abc`, notAnswer},
		// jq skips a byte order mark, and so did the script.
		{"a byte order mark", 500, "\xef\xbb\xbf{\"status\":200}", 200},
		{"two byte order marks", 200, "\xef\xbb\xbf\xef\xbb\xbf{\"status\":200}", notAnswer},
		{"a string", 200, `"200"`, notAnswer},
		{"a number alone", 200, `200`, notAnswer},
		{"null alone", 200, `null`, notAnswer},
		{"too deep", 200, `{"a":` + strings.Repeat("[", 20000), notAnswer},
	})
}

// TestStatusOfTheOthers checks that in messages and chat a .status or an error object can turn an HTTP 200 into an
// error, and never an error into a success (DESIGN.md section 2).
func TestStatusOfTheOthers(t *testing.T) {
	cases := []statusCase{
		{"an envelope", 200, `{"status":429}`, 429},
		{"an envelope in a string", 200, `{"status":"503"}`, 503},
		{"200 in 500", 500, `{"status":200}`, 500},
		{"429 in 503", 503, `{"status":429}`, 503},
		{"a word", 200, `{"status":"completed"}`, 200},
		{"a word in 429", 429, `{"status":"completed"}`, 429},
		{"true", 200, `{"status":true}`, 200},
		// Some servers use a field of this name for a code from 0. It is not an HTTP status, so it is ignored.
		{"0", 200, `{"status":0}`, 200},
		{"1", 200, `{"status":1}`, 200},
		{"302", 200, `{"status":302}`, 200},
		{"399", 200, `{"status":399}`, 200},
		{"400", 200, `{"status":400}`, 400},
		{"599", 200, `{"status":599}`, 599},
		{"600", 200, `{"status":600}`, 200},
		{"huge", 200, `{"status":1e99}`, 200},
		{"null", 200, `{"status":null}`, 200},
		{"429.5", 200, `{"status":429.5}`, 200},
		{"an error beside a status of 200", 200, `{"status":200,"error":{"type":"api_error"}}`, 500},
		{"a status and an error", 200, `{"status":429,"error":{"type":"api_error"}}`, 429},
		{"a null error", 200, `{"error":null}`, 200},
		{"an error of an unknown type", 200, `{"error":{"type":"strange"}}`, 500},
		{"an error that is a string", 200, `{"error":"api_error"}`, 500},
		{"a type of another shape", 200, `{"error":{"type":["api_error"]}}`, 500},
		{"201", 201, `{}`, 201},
		{"204", 204, ``, 204},
		{"HTML in 503", 503, `<html>`, 503},
		{"HTML in 200", 200, `<html>`, notAnswer},
		{"an array", 200, `[]`, notAnswer},
	}
	types := map[string]int{
		// Claude's
		"invalid_request_error": 400, "authentication_error": 401, "billing_error": 402, "permission_error": 403,
		"not_found_error": 404, "request_too_large": 413, "rate_limit_error": 429, "api_error": 500,
		"timeout_error": 504, "overloaded_error": 529,
		// OpenAI-style
		"server_error": 500, "insufficient_quota": 429, "rate_limit_exceeded": 429, "invalid_api_key": 401,
		"model_not_found": 404,
	}
	for name, status := range types {
		cases = append(cases,
			statusCase{"type " + name, 200, `{"error":{"type":"` + name + `"}}`, status},
			statusCase{"code " + name, 200, `{"error":{"code":"` + name + `","type":"strange"}}`, status},
			statusCase{"type in 418 " + name, 418, `{"error":{"type":"` + name + `"}}`, 418})
	}
	checkStatuses(t, Messages, cases)
	checkStatuses(t, Chat, cases)
}

// FuzzDecode checks what must be true for any body.
func FuzzDecode(f *testing.F) {
	for _, body := range []string{
		``, `{}`, `null`, `[]`, `<html>`, `{"status":200,"completion":"hi"}`, `{"status":"200"}`, `{"status":2e2}`,
		`{"completion":null}`, `{"content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn"}`,
		`{"content":[],"stop_reason":null}`, `{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}`,
		`{"choices":[{"message":{"content":[{"type":"text","text":"a"}]}}],"usage":{"prompt_tokens":1}}`,
		`{"error":{"type":"rate_limit_error","message":"m","code":5}}`, `{"error":"m"}`, "\xef\xbb\xbf{}",
		`{"choices":[null]}`, `{"choices":[{"message":null}]}`, `{"content":[null]}`, `{"usage":null,"completion":""}`,
	} {
		for _, status := range []int{200, 429, 500} {
			f.Add(status, []byte(body))
		}
	}
	for _, body := range wholeBodies {
		f.Add(200, []byte(body))
		f.Add(200, []byte(body[:len(body)/2]))
	}
	f.Add(200, []byte(`{"completion":"\`))
	f.Add(200, []byte(`{"completion":"\u00`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		for _, api := range APIs() {
			if got := api.Partial(body); len(got) > 3*len(body) { // an invalid byte becomes the three bytes of U+FFFD
				t.Fatalf("%d bytes of text in %d of body", len(got), len(body))
			}
			answer, err := api.Decode(status, body)
			_, checked := api.check(status, body)
			got, isAnswer := found(t, err), err == nil
			fatalIf(t, isAnswer && checked != nil && !isEvents(body), "%s: an answer where check says %v", api, checked)
			fatalIf(t, isAnswer && checked != nil && status != 200,
				"%s: HTTP %d with events became a success", api, status)
			fatalIf(t, isAnswer && status != 200 && api != Complete, "%s: HTTP %d became a success", api, status)
			fatalIf(t, isAnswer && EndingOf(answer.StopReason) == Failed, "%s: a failure became a success", api)
			fatalIf(t, !isAnswer && err.Error() == "", "%s: an error without a text", api)
			fatalIf(t, !isAnswer && got == 200, "%s: an error of status 200", api)
		}
	})
}

// wholeBodies are complete answers of each dialect, with every kind of character that a cut can split.
var wholeBodies = map[API]string{
	Complete: `{"status": 200, "n": [1, {"a": null}], "completion": "a \"b\" \\ \u4f60 好 \ud83d\ude00 😀\n{[,", "stop_reason": "stop"}`,
	Messages: `{"id":"m","content":[{"type":"text","text":"one, {two}"},{"type":"text","text":" \u597d 三"}],"stop_reason":"end_turn"}`,
	Chat:     `{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"one\t二 ]}"},"finish_reason":"stop"}]}`,
}

// TestPartial cuts complete answers at every byte. The partial text must be a beginning of the complete text, never
// shorter than after an earlier cut, and complete once its string is closed.
func TestPartial(t *testing.T) {
	for api, body := range wholeBodies {
		whole, err := api.Decode(200, []byte(body))
		check(t, err)
		last := ""
		for n := 0; n <= len(body); n++ {
			got := api.Partial([]byte(body[:n]))
			errorIf(t, !strings.HasPrefix(whole.Text, got), "%s, %s: %q is no beginning of %q", api, body[:n], got, whole.Text)
			errorIf(t, len(got) < len(last), "%s, %s: got %q, want no less than %q", api, body[:n], got, last)
			last = got
		}
		errorIf(t, last != whole.Text, "%s: got %q of the whole body, want %q", api, last, whole.Text)
	}
	closed := map[API]string{
		Complete: `{"completion":"all of it"`,
		Messages: `{"content":[{"type":"text","text":"all of it"`,
		Chat:     `{"choices":[{"message":{"content":"all of it"`,
	}
	for api, body := range closed {
		for _, behind := range []string{"", " ", ",", `,"x`, `,"x":`, `,"x":tr`} {
			got := api.Partial([]byte(body + behind))
			errorIf(t, got != "all of it", "%s, %s: got %q, want all of it", api, body+behind, got)
		}
	}
	for _, body := range []string{"", "{", "[", "<html>", "not json", `{"completion"`, `{"status":429,"completion":"a`, "}}}}"} {
		got := Complete.Partial([]byte(body))
		errorIf(t, got != "", "%q: got %q, want nothing", body, got)
	}
}

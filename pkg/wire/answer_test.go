package wire

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// TestCases compares what is read of the bodies in testdata with what is expected. The title of a case is the dialect,
// the HTTP status of a complete body or the word stream, and a name. The head is the expected result, as described
// returns it. A body in quotes is a Go string. The blank line at the end of a stream is added.
func TestCases(t *testing.T) {
	for _, file := range []string{"answers", "errors", "streams"} {
		for _, c := range readCases(t, "testdata/"+file+".txt") {
			words := strings.SplitN(c.title, " ", 3)
			if plain, err := strconv.Unquote(c.body); err == nil {
				c.body = plain
			}
			checkCase(t, c.title, API(words[0]), words[1], c.body, c.head)
		}
	}
}

func checkCase(t *testing.T, title string, api API, how, body, want string) {
	t.Helper()
	status, err := strconv.Atoi(how)
	var answer Answer
	if err == nil {
		answer, err = api.Decode(status, []byte(body))
	} else {
		s := api.NewStream(strings.NewReader(body + "\n\n"))
		got := readStream(s)
		answer, err, status = s.Answer(), got.err, 200
		answer.Text = got.text
		_, body, _ = strings.Cut(body, "data:") // of an error
		body = strings.TrimPrefix(body, " ")
	}
	got := described(answer, err)
	errorIf(t, got != want, "%s: got\n%s\nwant\n%s", title, got, want)
	errorIf(t, err == nil && answer.Empty != (answer.Text == ""),
		"%s: empty is %t of %q", title, answer.Empty, answer.Text)
	if failed, ok := errors.AsType[*APIError](err); ok && (failed.HTTPStatus != status || string(failed.Body) != body) {
		t.Errorf("%s: got HTTP %d with %q, want HTTP %d with %q", title, failed.HTTPStatus, failed.Body, status, body)
	}
}

// described returns the parts of an answer and of an error that are present, one per line.
func described(answer Answer, err error) string {
	var b strings.Builder
	line := func(key, value string) {
		if value != "" {
			b.WriteString("\n" + key + ": " + value)
		}
	}
	line("id", answer.ID)
	line("model", answer.Model)
	if answer.Text != "" {
		line("text", strconv.Quote(answer.Text))
	}
	if answer.HasReasoning {
		line("reasoning", "yes")
	}
	line("stop", answer.StopReason)
	if answer.Usage != nil {
		line("usage", fmt.Sprintf("%+v", *answer.Usage))
	}
	if failed, ok := errors.AsType[*APIError](err); ok {
		line("status", strconv.Itoa(failed.Status))
		line("type", failed.Type)
		line("code", failed.Code)
		line("message", failed.Message)
		line("request", failed.RequestID)
	}
	if err != nil && err != io.EOF {
		line("error", err.Error())
	}
	return strings.TrimPrefix(b.String(), "\n")
}

// TestDecodeEncoding checks that the error for a body that is not plain UTF-8 names its encoding.
func TestDecodeEncoding(t *testing.T) {
	for body, want := range map[string]string{
		"\x1f\x8b\x08\x00": "gzip", "\xff\xfe{\x00": "UTF-16", "\xfe\xff\x00{": "UTF-16", "{\x00}\x00": "UTF-16", "\x00{\x00}": "UTF-16",
		"\x00\x00\x00{": "", "ok": "", "o": "",
	} {
		_, err := Chat.Decode(200, []byte(body))
		if got, ok := errors.AsType[*NotAnswerError](err); !ok || got.Encoding != want || want != "" && err.Error() != "status 200 with a body in the encoding "+want {
			t.Errorf("%q: got %v, want no answer in the encoding %q", body, err, want)
		}
	}
}

// TestDecodeNoAnswer checks which 200 responses are not answers, and the fields of the error: whether the script
// would have accepted the body (Object), whether another attempt cannot change it (WrongShape), and whether it is the
// beginning of an answer (Cut).
func TestDecodeNoAnswer(t *testing.T) {
	tests := []struct {
		name, body         string
		api                API
		reason             string
		object, wrong, cut bool
	}{
		{"HTML", "\n <!DOCTYPE html><html>", Complete, "an HTML page", false, false, false},
		{"empty", "", Messages, "an empty body", false, false, false},
		{"white space", " \r\n", Chat, "an empty body", false, false, false},
		{"only a byte order mark", "\xef\xbb\xbf", Chat, "an empty body", false, false, false},
		{"cut in a string", `{"content":[{"type":"text","text":"a`, Messages, "a JSON body that was cut short", false, false, true},
		{"cut in a list", `{"content":[`, Messages, "a JSON body that was cut short", false, false, true},
		{"cut after a brace", `{`, Chat, "a JSON body that was cut short", false, false, true},
		{"garbage behind", `{"content":[]} x`, Messages, "a body that is not one JSON object", false, false, false},
		{"not quite JSON", `{'content':[]}`, Messages, "a body that is not one JSON object", false, false, false},
		{"an array", `[1]`, Messages, "a body that is not one JSON object", false, false, false},
		{"text", `ok`, Messages, "a body that is not JSON", false, false, false},
		{"binary", "\x1c\x8b\x08\x00", Messages, "a body that is not JSON", false, false, false},
		{"malformed events", "event: message_start\ndata: {}\n\n", Messages, "an event stream: event 1 of the stream is malformed", false, false, false},
		{"cut events", "event: message_start\ndata: {\"message\":{}}\n\n", Messages, "an event stream: cut after 1 event", false, false, true},
		{"complete without a completion", `{"status":200}`, Complete, "no completion in the answer", true, true, false},
		{"a null completion", `{"completion":null}`, Complete, "no completion in the answer", true, true, false},
		{"a completion of another shape", `{"completion":5}`, Complete, "no completion in the answer", true, true, false},
		{"Completion", `{"Completion":"a"}`, Complete, "no completion in the answer", true, true, false},
		{"no content", `{"id":"x"}`, Messages, "no content in the answer", true, false, false},
		{"null content", `{"content":null}`, Messages, "no content in the answer", true, false, false},
		{"content that is a string", `{"content":"hi"}`, Messages, "no content in the answer", true, false, false},
		{"blocks of another shape", `{"content":[5]}`, Messages, "no content in the answer", true, false, false},
		{
			"still being written", `{"content":[{"type":"text","text":"a"}],"stop_reason":null}`, Messages,
			"an unfinished answer: stop_reason is null", true, false, false,
		},
		{"no choices", `{"choices":[]}`, Chat, "no choices in the answer", true, false, false},
		{"null choices", `{"choices":null}`, Chat, "no choices in the answer", true, false, false},
		{"a null choice", `{"choices":[null]}`, Chat, "no choices in the answer", true, false, false},
		{"a choice without a message", `{"choices":[{"text":"a"}]}`, Chat, "no content in the answer", true, false, false},
		{"a null message", `{"choices":[{"message":null}]}`, Chat, "no content in the answer", true, false, false},
		{"no content in chat", `{"choices":[{"message":{}}]}`, Chat, "no content in the answer", true, false, false},
		{"content that is a number", `{"choices":[{"message":{"content":5}}]}`, Chat, "no content in the answer", true, false, false},
		{
			"chat still being written", `{"choices":[{"message":{"content":"a"},"finish_reason":null}]}`, Chat,
			"an unfinished answer: finish_reason is null", true, false, false,
		},
	}
	for _, test := range tests {
		_, err := test.api.Decode(200, []byte(test.body))
		got, ok := errors.AsType[*NotAnswerError](err)
		if !ok {
			t.Errorf("%s: got %v, want no answer", test.name, err)
			continue
		}
		want := NotAnswerError{
			Reason: test.reason, Body: []byte(test.body), Object: test.object, WrongShape: test.wrong, Truncated: test.cut,
		}
		errorIf(t, !reflect.DeepEqual(*got, want) || err.Error() != "status 200 with "+test.reason,
			"%s: got %+v\nwant %+v", test.name, got, want)
		if hasRaw := got.Hint() == "-o raw prints the body unchanged"; hasRaw != test.object {
			t.Errorf("%s: got the hint %q, want that of -o raw: %t", test.name, got.Hint(), test.object)
		}
		if _, scripts := test.api.check(200, []byte(test.body)); (scripts == nil) != test.object {
			t.Errorf("%s: check gives %v, want an error: %t", test.name, scripts, !test.object)
		}
	}
}

// TestStopReasons checks the ending of each stop reason, and that the name of an error is a failure.
func TestStopReasons(t *testing.T) {
	tests := map[Ending][]string{
		Ended:   {"", "end_turn", "stop", "STOP", "stop_sequence", "eos", "normal"},
		Limited: {"max_tokens", "MAX_TOKENS", "length", "model_length", "model_context_window_exceeded"},
		Refused: {"refusal", "content_filter", "content_filter: RECITATION", "sensitive", "SAFETY"},
		Paused:  {"tool_use", "tool_calls", "pause_turn", "function_call"},
		Unknown: {"compaction", "banana", "malformed_function_call"},
		Failed: {
			"error", "network_error", "insufficient_system_resource", "aborted", "overloaded_error", "rate_limit_exceeded",
			"upstream_error", "InternalServerError",
		},
	}
	for want, reasons := range tests {
		for _, reason := range reasons {
			got := EndingOf(reason)
			errorIf(t, got != want, "%q: %d, want %d", reason, got, want)
		}
	}
	for reason, want := range map[string]int{
		"error": 500, "network_error": 500, "overloaded_error": 529, "rate_limit_exceeded": 429, "upstream_error": 500,
	} {
		for _, api := range []API{Messages, Chat} {
			body := map[API]string{
				Messages: `{"content":[{"type":"text","text":"half"}],"stop_reason":"` + reason + `"}`,
				Chat:     `{"choices":[{"message":{"content":"half"},"finish_reason":"` + reason + `"}]}`,
			}[api]
			answer, err := api.Decode(200, []byte(body))
			errorIf(t, found(t, err) != want || answer.Text != "half" || !strings.Contains(err.Error(), reason),
				"%s, %s: got %q, %v, want the half and status %d", api, reason, answer.Text, err, want)
		}
	}
}

package wire

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// decoded are complete answers and their expected content: the text, the stop reason, the id, the model and the
// usage.
var decoded = []struct {
	name string
	api  API
	body string
	want Answer
}{
	{
		"complete", Complete, `{"status":200,"id":"c1","model":"m","completion":" hi ","stop_reason":"stop_sequence"}`,
		Answer{ID: "c1", Model: "m", Text: " hi ", StopReason: "stop_sequence"},
	},
	{"only the text", Complete, `{"completion":"你好"}`, Answer{Text: "你好"}},
	{"fields of another shape", Complete, `{"completion":"a","id":7,"model":{},"stop_reason":1,"usage":"free"}`, Answer{Text: "a"}},
	{"names in another case are others", Complete, `{"completion":"a","Completion":"b","ID":"x"}`, Answer{Text: "a"}},
	{
		"messages", Messages,
		`{"id":"msg_1","type":"message","role":"assistant","model":"claude-haiku-5-5",` +
			`"content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","stop_sequence":null,` +
			`"usage":{"input_tokens":1,"output_tokens":4,"cache_creation_input_tokens":10,"cache_read_input_tokens":100}}`,
		Answer{
			ID: "msg_1", Model: "claude-haiku-5-5", Text: "hi", StopReason: "end_turn",
			// Total input is the sum of the three (FACTS.md section 1).
			Usage: &Usage{Input: 111, Output: 4, CacheCreation: 10, CacheRead: 100},
		},
	},
	{
		"several blocks, of which the texts count", Messages,
		`{"content":[{"type":"thinking","thinking":"hm","text":"no"},{"type":"text","text":"a"},` +
			`{"type":"tool_use","input":{}},{"type":"text","text":"b"}],"stop_reason":"tool_use"}`,
		Answer{Text: "ab", StopReason: "tool_use", HasReasoning: true},
	},
	{"a null usage", Messages, `{"content":[],"usage":null}`, Answer{}},
	{"a status of its own", Messages, `{"status":"completed","content":[{"type":"text","text":"a"}]}`, Answer{Text: "a"}},
	{
		"chat", Chat,
		`{"id":"x","model":"qwen-plus","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},` +
			`"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7,` +
			`"prompt_tokens_details":{"cached_tokens":4}}}`,
		Answer{ID: "x", Model: "qwen-plus", Text: "hi", StopReason: "stop", Usage: &Usage{Input: 5, Output: 2, CacheRead: 4}},
	},
	{
		"content in parts", Chat,
		`{"choices":[{"message":{"content":[{"type":"text","text":"a"},{"type":"image_url"},{"type":"text","text":"b"}]},` +
			`"finish_reason":"length"}],"usage":{"prompt_tokens":1,"prompt_tokens_details":null}}`,
		Answer{Text: "ab", StopReason: "length", Usage: &Usage{Input: 1}},
	},
	{
		"a refusal without content", Chat, `{"choices":[{"message":{"refusal":"I will not"},"finish_reason":"stop"}]}`,
		Answer{Text: "I will not", StopReason: "refusal"},
	},
	{"a null refusal", Chat, `{"choices":[{"message":{"content":"a","refusal":null}}]}`, Answer{Text: "a"}},
	{
		"the first of two choices", Chat,
		`{"choices":[{"message":{"content":"a"},"finish_reason":"stop"},{"message":{"content":"b"}}]}`,
		Answer{Text: "a", StopReason: "stop"},
	},
}

func TestDecode(t *testing.T) {
	for _, test := range decoded {
		test.want.Empty = test.want.Text == ""
		got, err := test.api.Decode(200, []byte(test.body))
		errorIf(t, err != nil || !reflect.DeepEqual(got, test.want),
			"%s, %s: got %+v, %v\nwant %+v", test.api, test.name, got, err, test.want)
	}
}

// TestDecodeEncoding checks that the error for a body that is not plain UTF-8 names its encoding.
func TestDecodeEncoding(t *testing.T) {
	for body, want := range map[string]string{
		"\x1f\x8b\x08\x00": "gzip", "\xff\xfe{\x00": "UTF-16", "\xfe\xff\x00{": "UTF-16", "{\x00}\x00": "UTF-16", "\x00{\x00}": "UTF-16",
		"\x00\x00\x00{": "", "ok": "", "o": "",
	} {
		_, err := Chat.Decode(200, []byte(body))
		var got *NotAnswerError
		if !errors.As(err, &got) || got.Encoding != want || want != "" && err.Error() != "status 200 with a body in the encoding "+want {
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
		var got *NotAnswerError
		if !errors.As(err, &got) {
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
			if got := EndingOf(reason); got != want {
				t.Errorf("%q: %d, want %d", reason, got, want)
			}
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

package wire

import (
	"encoding/json"
	"errors"
	"math"
	"testing"
)

// number is a pointer to f, for the fields that tell 0 from nothing.
func number(f float64) *float64 { return &f }

// TestEncodeMore holds the bytes of what TestEncode's plain requests do not have.
func TestEncodeMore(t *testing.T) {
	turns := []Turn{{"user", "one"}, {"assistant", "二"}}
	schema := json.RawMessage(`{ "type": "object", "x": "<&>" }`)
	tests := []struct {
		name string
		api  API
		in   Request
		want string
	}{
		{
			"turns", Messages, Request{Model: "m", System: "s", Prompt: "three", MaxTokens: 1, Turns: turns},
			`{"model":"m","max_tokens":1,"system":"s","messages":[{"role":"user","content":"one"},{"role":"assistant","content":"二"},{"role":"user","content":"three"}],"stream":false}`,
		},
		{
			"turns and a system prompt in chat", Chat, Request{Model: "m", System: "s", Prompt: "three", MaxTokens: 1, Turns: turns},
			`{"model":"m","max_tokens":1,"messages":[{"role":"system","content":"s"},{"role":"user","content":"one"},{"role":"assistant","content":"二"},{"role":"user","content":"three"}],"stream":false}`,
		},
		{
			"stream", Messages, Request{Model: "m", Prompt: "p", MaxTokens: 1, Stream: true},
			`{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"p"}],"stream":true}`,
		},
		{
			"stream in chat", Chat, Request{Model: "m", Prompt: "p", MaxTokens: 1, Stream: true},
			`{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"p"}],"stream":true,"stream_options":{"include_usage":true}}`,
		},
		{"stream in complete", Complete, Request{Prompt: "p", MaxTokens: 1, Stream: true}, `{"prompt":"p","max_tokens":1,"stream":true}`},
		{
			"sampling under the older version", Messages,
			Request{Model: "m", Prompt: "p", MaxTokens: 1, Version: "2023-06-01", Temperature: number(0), TopP: number(0.25), Stop: []string{"\n\n", "<end>"}},
			`{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"p"}],"stream":false,"temperature":0,"top_p":0.25,"stop_sequences":["\n\n","<end>"]}`,
		},
		{
			"sampling in chat", Chat, Request{Model: "m", Prompt: "p", MaxTokens: 1, Temperature: number(1.5), TopP: number(0), Stop: []string{"x"}},
			`{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"p"}],"stream":false,"temperature":1.5,"top_p":0,"stop":["x"]}`,
		},
		{
			"sampling in complete", Complete, Request{Prompt: "p", MaxTokens: 1, Temperature: number(0), Stop: []string{"x"}},
			`{"prompt":"p","max_tokens":1,"temperature":0,"stop_sequences":["x"]}`,
		},
		{
			"a schema", Messages, Request{Model: "m", Prompt: "p", MaxTokens: 1, Schema: schema},
			`{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"p"}],"stream":false,"output_config":{"format":{"type":"json_schema","schema":{"type":"object","x":"<&>"}}}}`,
		},
		{
			"a schema in chat", Chat, Request{Model: "m", Prompt: "p", MaxTokens: 1, Schema: schema},
			`{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"p"}],"stream":false,"response_format":{"type":"json_schema","json_schema":{"name":"answer","schema":{"type":"object","x":"<&>"},"strict":true}}}`,
		},
		{
			"params in the order of their keys", Complete,
			Request{Prompt: "p", MaxTokens: 1, Params: map[string]json.RawMessage{"z": json.RawMessage(`{ "a": [1, null] }`), "é\"<": json.RawMessage(`"<x>"`), "b": json.RawMessage("2")}},
			`{"prompt":"p","max_tokens":1,"b":2,"z":{"a":[1,null]},"é\"<":"<x>"}`,
		},
		{
			"a param that this request leaves free", Messages, Request{Model: "m", Prompt: "p", MaxTokens: 1, Params: map[string]json.RawMessage{"output_config": json.RawMessage(`{"effort":"low"}`)}},
			`{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"p"}],"stream":false,"output_config":{"effort":"low"}}`,
		},
	}
	for _, test := range tests {
		got, err := test.api.Encode(test.in)
		if err != nil || string(got) != test.want {
			t.Errorf("%s: %s, %v\nwant %s", test.name, got, err, test.want)
		}
		if !json.Valid(got) {
			t.Errorf("%s: %s is not JSON", test.name, got)
		}
	}
}

// TestUnsupported holds that what a dialect cannot carry is refused with the reason, and never left out.
func TestUnsupported(t *testing.T) {
	param := func(key, value string) Request {
		return Request{Params: map[string]json.RawMessage{key: json.RawMessage(value)}}
	}
	tests := []struct {
		api  API
		in   Request
		want string
		hint bool
	}{
		{Complete, Request{System: "s"}, "the complete api has no system prompt", true},
		{Complete, Request{Turns: []Turn{{"user", "x"}}}, "the complete api has no earlier turns", true},
		{Complete, Request{Schema: json.RawMessage("{}")}, "the complete api has no JSON schema", true},
		{Messages, Request{Temperature: number(0)}, "the messages api takes no temperature: version 2026-10-21 removed it", true},
		{Messages, Request{TopP: number(1), Version: "2026-10-21"}, "the messages api takes no top_p: version 2026-10-21 removed it", true},
		{Messages, Request{TopP: number(1), Version: "2027-01-01"}, "the messages api takes no top_p: version 2026-10-21 removed it", true},
		{Chat, Request{Turns: []Turn{{"system", "x"}}}, `the chat api takes no turn of the role "system": a turn is the user's or the assistant's`, false},
		{Chat, Request{Schema: json.RawMessage(" [1]")}, "the chat api takes no such schema: it is not one JSON object", false},
		{Chat, Request{Schema: json.RawMessage("{")}, "the chat api takes no such schema: it is not one JSON object", false},
		{Chat, Request{Schema: json.RawMessage{}}, "the chat api takes no such schema: it is not one JSON object", false},
		{Messages, param("model", `"x"`), `the messages api takes no param "model": ferry sets it itself`, true},
		{Messages, param("system", `"x"`), `the messages api takes no param "system": ferry sets it itself`, true},
		{Complete, param("stream", "true"), `the complete api takes no param "stream": ferry sets it itself`, true},
		{Chat, param("stream", "true"), `the chat api takes no param "stream": ferry sets it itself`, true},
		{Chat, Request{Stop: []string{"x"}, Params: map[string]json.RawMessage{"stop": json.RawMessage("1")}}, `the chat api takes no param "stop": ferry sets it itself`, true},
		{Chat, param("x", "yes"), `the chat api takes no param "x": its value is not JSON`, true},
		{Chat, param("x", ""), `the chat api takes no param "x": its value is not JSON`, true},
		{Chat, param("x", `1,"model":2`), `the chat api takes no param "x": its value is not JSON`, true},
	}
	for _, test := range tests {
		body, err := test.api.Encode(test.in)
		var unsupported *UnsupportedError
		if !errors.As(err, &unsupported) || err.Error() != test.want || body != nil || unsupported.API != test.api {
			t.Errorf("%s, %+v: %s, %v\nwant %s", test.api, test.in, body, err, test.want)
			continue
		}
		if (unsupported.Hint() != "") != test.hint {
			t.Errorf("%v: hint %q", err, unsupported.Hint())
		}
	}
	if _, err := Chat.Encode(Request{Temperature: number(math.NaN())}); err == nil {
		t.Error("NaN has no JSON, and no error came")
	}
}

package wire

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
)

// number returns a pointer to f, for the fields in which 0 is different from unset.
func number(f float64) *float64 { return &f }

func params(pairs ...string) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = json.RawMessage(pairs[i+1])
	}
	return out
}

var schema = json.RawMessage(`{ "type": "object", "x": "<&>" }`)

var turns = []Turn{{Role: "user", Text: "one"}, {Role: "assistant", Text: "二"}}

const talk = `{"role":"user","content":"one"},{"role":"assistant","content":"二"},{"role":"user","content":"p"}]`

// requests have the prompt p, 1 token and, except in complete, the model m, unless the case sets others. … stands for
// this beginning of the body.
var requests = []struct {
	name string
	api  API
	in   Request
	want string
}{
	// The script's own request, byte for byte.
	{"the script's", Complete, Request{Prompt: "hi", MaxTokens: 100}, `{"prompt":"hi","max_tokens":100}`},
	{"complete with a model", Complete, Request{Model: "m-1", MaxTokens: 5}, `{"prompt":"p","max_tokens":5,"model":"m-1"}`},
	{"Chinese stays as typed", Complete, Request{Prompt: " 你好 "}, `{"prompt":" 你好 ","max_tokens":1}`},
	{"no HTML escapes", Complete, Request{Prompt: `<a href="x">&'`}, `{"prompt":"<a href=\"x\">&'","max_tokens":1}`},
	{
		"what the script pasted raw", Complete, Request{Prompt: "a\"b\\c\nd\te\r\x1b\x00"},
		`{"prompt":"a\"b\\c\nd\te\r\u001b\u0000","max_tokens":1}`,
	},
	{
		"messages", Messages, Request{Model: "claude-haiku-5-5", Prompt: "你好 <3", MaxTokens: 4096},
		`{"model":"claude-haiku-5-5","max_tokens":4096,"messages":[{"role":"user","content":"你好 <3"}],"stream":false}`,
	},
	{
		"a system prompt", Messages, Request{System: "be brief"},
		`{"model":"m","max_tokens":1,"system":"be brief","messages":[{"role":"user","content":"p"}],"stream":false}`,
	},
	{"chat", Chat, Request{}, `…,"stream":false}`},
	{
		"a system prompt in chat", Chat, Request{System: "be brief"},
		`{"model":"m","max_tokens":1,"messages":[{"role":"system","content":"be brief"},{"role":"user","content":"p"}],"stream":false}`,
	},
	{
		"turns", Messages, Request{System: "s", Turns: turns},
		`{"model":"m","max_tokens":1,"system":"s","messages":[` + talk + `,"stream":false}`,
	},
	{
		"turns and a system prompt in chat", Chat, Request{System: "s", Turns: turns},
		`{"model":"m","max_tokens":1,"messages":[{"role":"system","content":"s"},` + talk + `,"stream":false}`,
	},
	{"stream", Messages, Request{Stream: true}, `…,"stream":true}`},
	{"stream in chat", Chat, Request{Stream: true}, `…,"stream":true,"stream_options":{"include_usage":true}}`},
	{"stream in complete", Complete, Request{Stream: true}, `…,"stream":true}`},
	{
		"sampling under the older version", Messages,
		Request{Version: "2023-06-01", Temperature: number(0), TopP: number(0.25), Stop: []string{"\n\n", "<end>"}},
		`…,"stream":false,"temperature":0,"top_p":0.25,"stop_sequences":["\n\n","<end>"]}`,
	},
	{
		"sampling in chat", Chat, Request{Temperature: number(1.5), TopP: number(0), Stop: []string{"x"}},
		`…,"stream":false,"temperature":1.5,"top_p":0,"stop":["x"]}`,
	},
	{
		"sampling in complete", Complete, Request{Temperature: number(0), Stop: []string{"x"}},
		`…,"temperature":0,"stop_sequences":["x"]}`,
	},
	{
		"a schema", Messages, Request{Schema: schema},
		`…,"stream":false,"output_config":{"format":{"type":"json_schema","schema":{"type":"object","x":"<&>"}}}}`,
	},
	{
		"a schema in chat", Chat, Request{Schema: schema},
		`…,"stream":false,"response_format":{"type":"json_schema",` +
			`"json_schema":{"name":"answer","schema":{"type":"object","x":"<&>"},"strict":true}}}`,
	},
	{
		"params in the order of their keys", Complete,
		Request{Params: params("z", `{ "a": [1, null] }`, "é\"<", `"<x>"`, "b", "2")},
		`…,"b":2,"z":{"a":[1,null]},"é\"<":"<x>"}`,
	},
	{
		"a member changed, one taken away, one that was not there", Messages,
		Request{Params: params("max_tokens", "7", "model", "null", "none", " null ", "system", `[{"type":"text"}]`), System: "s"},
		`{"max_tokens":7,"system":[{"type":"text"}],"messages":[{"role":"user","content":"p"}],"stream":false}`,
	},
	{
		"a member under another name", Chat, Request{Params: params("max_tokens", "null", "max_completion_tokens", "9")},
		`{"model":"m","messages":[{"role":"user","content":"p"}],"stream":false,"max_completion_tokens":9}`,
	},
	{
		"OpenAI's own host", Chat, Request{Host: "api.openai.com", Stream: true},
		`{"model":"m","max_completion_tokens":1,"messages":[{"role":"user","content":"p"}],"stream":true,` +
			`"stream_options":{"include_usage":true}}`,
	},
	{
		"OpenAI's own host with a number of one's own", Chat,
		Request{Host: "api.openai.com", Params: params("max_completion_tokens", "9")},
		`{"model":"m","max_completion_tokens":9,"messages":[{"role":"user","content":"p"}],"stream":false}`,
	},
	{"OpenAI's own host with the older name", Chat, Request{Host: "api.openai.com", Params: params("max_tokens", "1")}, `…,"stream":false}`},
	{"Mistral's host", Chat, Request{Host: "api.mistral.ai", Stream: true}, `…,"stream":true}`},
	{
		"Mistral's host with the member asked for", Chat,
		Request{Host: "api.mistral.ai", Stream: true, Params: params("stream_options", "{}")}, `…,"stream":true,"stream_options":{}}`,
	},
	{"another dialect at OpenAI's host", Messages, Request{Host: "api.openai.com"}, `…,"stream":false}`},
	{
		"a param that this request leaves free", Messages, Request{Params: params("output_config", `{"effort":"low"}`)},
		`…,"stream":false,"output_config":{"effort":"low"}}`,
	},
}

// TestEncode checks the exact bytes of requests: a gateway that signs, logs or caches bodies sees exactly these.
func TestEncode(t *testing.T) {
	for _, test := range requests {
		in, begin := test.in, `{"prompt":"p","max_tokens":1`
		in.Prompt, in.MaxTokens = cmp.Or(in.Prompt, "p"), cmp.Or(in.MaxTokens, 1)
		if test.api != Complete {
			in.Model = cmp.Or(in.Model, "m")
			begin = `{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"p"}]`
		}
		want := strings.Replace(test.want, "…", begin, 1)
		if got, err := test.api.Encode(in); err != nil || string(got.Display()) != want || !json.Valid(got.Display()) || got.Len() != int64(len(want)) {
			t.Errorf("%s: got %s, %v\nwant %s", test.name, got.Display(), err, want)
		}
	}
}

// FuzzEncode checks that a prompt is unchanged after encoding in every dialect.
func FuzzEncode(f *testing.F) {
	f.Add("hi")
	f.Add(" 你好 \u2028<&>\x00\"\\")
	f.Fuzz(func(t *testing.T, prompt string) {
		prompt = strings.ToValidUTF8(prompt, "?") // cmd refuses other prompts
		for _, api := range APIs() {
			body, err := api.Encode(Request{Model: "m", Prompt: prompt, MaxTokens: 1})
			check(t, err)
			var back struct {
				Prompt   string
				Messages []struct{ Content string }
			}
			if err := json.Unmarshal(body.Display(), &back); err != nil {
				t.Fatalf("%s: %v", body.Display(), err)
			}
			if len(back.Messages) == 1 {
				back.Prompt = back.Messages[0].Content
			}
			fatalIf(t, back.Prompt != prompt, "%s: sent %q for %q", api, back.Prompt, prompt)
		}
	})
}

// TestBase checks addresses as users write them: only the part that the dialect appends is removed.
func TestBase(t *testing.T) {
	for _, tt := range []struct {
		api        API
		path, want string
	}{
		{Messages, "", ""}, {Messages, "/", ""}, {Messages, "/v1", ""}, {Messages, "/v1/", ""}, {Messages, "/v1/messages", ""},
		{Messages, "/v1/messages/", ""}, {Messages, "/v1/models", ""}, {Messages, "/api/v1/messages", "/api"}, {Messages, "/api//", "/api"},
		{Messages, "/messages", "/messages"}, {Messages, "/api/v11", "/api/v11"}, {Messages, "/chat/completions", "/chat/completions"},
		{Complete, "/v1/complete", ""}, {Complete, "/v1/models", ""}, {Complete, "/api/v1", "/api"}, {Complete, "/v1/messages", "/v1/messages"},
		{Chat, "", ""}, {Chat, "/v1", "/v1"}, {Chat, "/v1/", "/v1"}, {Chat, "/v1/chat/completions", "/v1"}, {Chat, "/chat/completions/", ""},
		{Chat, "/v1/models", "/v1"}, {Chat, "/openai/deployments/d/chat/completions", "/openai/deployments/d"}, {Chat, "/v1/messages", "/v1/messages"},
	} {
		got := tt.api.Base(tt.path)
		errorIf(t, got != tt.want, "%s of %q: got %q, want %q", tt.api, tt.path, got, tt.want)
	}
	for address, want := range map[string]API{
		"https://h": "", "https://h/v1": "", "https://h/v1/messages": Messages, "https://h/v1/complete/": Complete,
		"https://h/v1/chat/completions": Chat, "https://h/openai/deployments/d/chat/completions?api-version=1": Chat,
		"https://h/?to=/chat/completions": "", "demo:": "", "": "",
	} {
		got := APIOf(address)
		errorIf(t, got != want, "%s: got %s, want %s", address, got, want)
	}
	var names []string
	for _, api := range APIs() {
		names = append(names, string(api))
	}
	listed := strings.Replace(APINames, " or ", ", ", 1)
	errorIf(t, listed != strings.Join(names, ", "), "APINames has %s, want the names %s", APINames, names)
}

// TestUnsupported checks that what a dialect does not support is refused with a reason, and never left out.
func TestUnsupported(t *testing.T) {
	param := func(key, value string) Request { return Request{Params: params(key, value)} }
	tests := []struct {
		api  API
		in   Request
		want string
		hint bool
	}{
		{Complete, Request{System: "s"}, "the complete api has no system prompt", true},
		{Complete, Request{Turns: []Turn{{Role: "user", Text: "x"}}}, "the complete api has no earlier turns", true},
		{Complete, Request{Schema: json.RawMessage("{}")}, "the complete api has no JSON schema", true},
		{Messages, Request{Temperature: number(0)}, "the messages api takes no temperature: version 2026-10-21 removed it", true},
		{Messages, Request{TopP: number(1), Version: "2026-10-21"}, "the messages api takes no top_p: version 2026-10-21 removed it", true},
		{Messages, Request{TopP: number(1), Version: "2027-01-01"}, "the messages api takes no top_p: version 2026-10-21 removed it", true},
		{Chat, Request{Turns: []Turn{{Role: "system", Text: "x"}}}, `the chat api takes no turn of the role "system": a turn is the user's or the assistant's`, false},
		{Chat, Request{Schema: json.RawMessage(" [1]")}, "the chat api takes no such schema: it is not one JSON object", false},
		{Chat, Request{Schema: json.RawMessage("{")}, "the chat api takes no such schema: it is not one JSON object", false},
		{Chat, Request{Schema: json.RawMessage{}}, "the chat api takes no such schema: it is not one JSON object", false},
		{Messages, param("messages", `"x"`), `the messages api takes no param "messages": it is the prompt`, true},
		{Complete, param("prompt", `null`), `the complete api takes no param "prompt": it is the prompt`, true},
		{Complete, param("stream", "true"), `the complete api takes no param "stream": ferry sets it itself`, true},
		{Chat, param("stream", "true"), `the chat api takes no param "stream": ferry sets it itself`, true},
		{Chat, param("x", "yes"), `the chat api takes no param "x": its value is not JSON`, true},
		{Chat, param("x", ""), `the chat api takes no param "x": its value is not JSON`, true},
		{Chat, param("x", `1,"model":2`), `the chat api takes no param "x": its value is not JSON`, true},
	}
	for _, test := range tests {
		body, err := test.api.Encode(test.in)
		unsupported, ok := errors.AsType[*UnsupportedError](err)
		if !ok || err.Error() != test.want || body != nil || unsupported.API != test.api {
			t.Errorf("%s, %+v: got %v, %v\nwant %s", test.api, test.in, body, err, test.want)
			continue
		}
		errorIf(t, (unsupported.Hint() != "") != test.hint, "%v: got the hint %q, want one: %t", err, unsupported.Hint(), test.hint)
	}
	if _, err := Chat.Encode(Request{Temperature: number(math.NaN())}); err == nil {
		t.Error("NaN has no JSON, and no error came")
	}
}

// TestJSONSize checks that jsonSize is equal to the encoder's output size.
func TestJSONSize(t *testing.T) {
	texts := []string{"", "plain", "\u2028\u2029", "\u2027\u202a", "€ß語😀", "a\xe2", "<&>", "\x7f"}
	for c := range rune(0x80) {
		texts = append(texts, "a"+string(c)+"b")
	}
	for _, text := range texts {
		encoded, err := members{{"", strings.ToValidUTF8(text, "")}}.encode(0)
		check(t, err)
		if got, want := jsonSize(strings.ToValidUTF8(text, "")), int(encoded.Len())-len(`{"":""}`); got != want {
			t.Errorf("%q: %d bytes, want the %d of %s", text, got, want, encoded.Display())
		}
	}
}

// TestEncodeRefusesSize checks the limit on the size of a request as JSON, for texts in each field.
func TestEncodeRefusesSize(t *testing.T) {
	fits := strings.Repeat("\x01", maxEncoded/6)
	most := Request{Model: "m", MaxTokens: 1, Prompt: fits}
	body, err := Messages.Encode(most)
	errorIf(t, err != nil || body.Len() < maxEncoded-6, "a prompt within the limit: %d bytes, %v", body.Len(), err)
	over := fits[:maxEncoded/6-6] + strings.Repeat("\x01", 7)
	for name, r := range map[string]Request{
		"prompt": {Prompt: over},
		"system": {Prompt: "x", System: over},
		"turn":   {Prompt: "x", Turns: []Turn{{Role: "user", Text: over}}},
		"stop":   {Prompt: "x", Stop: []string{over}},
		"schema": {Prompt: "x", Schema: json.RawMessage(`{"a":"` + strings.Repeat("x", maxEncoded) + `"}`)},
		"param":  {Prompt: "x", Params: params("a", `"`+strings.Repeat("x", maxEncoded)+`"`)},
	} {
		r.Model, r.MaxTokens = "m", 1
		if _, err := Messages.Encode(r); errorText(err) != "the request would have 65 MiB as JSON, over the limit of 64 MiB" {
			t.Errorf("%s: %v, want that it would have 65 MiB", name, err)
		}
	}
}

// TestParamHint tests the error messages of servers that reject a member.
func TestParamHint(t *testing.T) {
	const sent = `{"model":"m","max_tokens":4096,"messages":[],"stream":true,"stream_options":{"include_usage":true},` +
		`"temperature":0.5,"stop":["x"],"system":"s","user":"someone"}`
	for _, test := range []struct{ body, want string }{
		{
			`{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",` +
				`"param":"max_tokens","code":"unsupported_parameter"}}`,
			"--param max_tokens=null --param max_completion_tokens=4096; params: of the node sets this permanently",
		},
		{
			`{"error":{"message":"Unsupported value: 'temperature' does not support 0.5 with this model. Only the default (1) value is supported.","param":"temperature"}}`,
			"--param temperature=null leaves it out; params: of the node sets this permanently",
		},
		{`{"error":{"message":"invalid temperature: only 1 is allowed for this model"}}`, "--param temperature=null leaves it out; params: of the node sets this permanently"},
		{
			`{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs are not permitted"}]}}`,
			"--param stream_options=null leaves it out; params: of the node sets this permanently",
		},
		{`{"error":{"message":"max_tokens: 4096 > 1024, which is the maximum"}}`, "--param max_tokens=VALUE sends another, --param max_tokens=null none"},
		{`{"error":{"message":"body.stop: Extra inputs are not permitted"}}`, "--param stop=null leaves it out; params: of the node sets this permanently"},
		{`{"error":{"message":"the user must stop; the system is not permitted"}}`, ""},
		{`{"error":{"message":"messages: at least one message is required","param":"messages"}}`, ""},
		{`{"error":{"message":"'unsent_field' is not permitted","param":"unsent_field"}}`, ""},
		{`{"error":{"message":"bad","param":{"a":1}}}`, ""},
		{`not JSON`, ""},
	} {
		_, err := Chat.Decode(400, []byte(test.body))
		refused, ok := errors.AsType[*APIError](err)
		fatalIf(t, !ok, "%s: got %v, want an APIError", test.body, err)
		if got := refused.ParamHint(Body{{JSON: []byte(sent)}}); got != test.want {
			t.Errorf("%s: got the hint %q, want %q", test.body, got, test.want)
		}
		if refused.Status = 500; refused.ParamHint(Body{{JSON: []byte(sent)}}) != "" {
			t.Errorf("%s: a hint with status 500", test.body)
		}
	}
}

// TestEncodeLongTexts checks that a text encoded in pieces is equal to the same text encoded at once.
func TestEncodeLongTexts(t *testing.T) {
	for _, unit := range []string{"a", `"`, "\x01", "é", "中", "🚢", "a中🚢\n"} {
		for _, before := range []string{"", "x", "xx", "xxx"} {
			prompt := before + strings.Repeat(unit, (2<<20)/len(unit)+1)
			body, err := Messages.Encode(Request{Model: "m", MaxTokens: 1, Prompt: prompt})
			check(t, err)
			var want bytes.Buffer
			enc := json.NewEncoder(&want)
			enc.SetEscapeHTML(false)
			_ = enc.Encode(prompt)
			errorIf(t, !bytes.Contains(body[0].JSON, bytes.TrimSuffix(want.Bytes(), []byte("\n"))),
				"%q and many of %q: the body has not the prompt as one JSON string", before, unit)
		}
	}
}

package wire

import (
	"bytes"
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

// TestEncode checks the exact bytes of requests: a gateway that signs, logs or caches bodies sees exactly these. A case
// of testdata/requests.txt has the dialect and a name, the fields of the Request as JSON, and the body. A request has
// the prompt p, 1 token and, except in complete, the model m, unless the case sets others.
func TestEncode(t *testing.T) {
	for _, c := range readCases(t, "testdata/requests.txt") {
		name, _, _ := strings.Cut(c.title, " ")
		api := API(name)
		in := Request{Prompt: "p", MaxTokens: 1}
		if api != Complete {
			in.Model = "m"
		}
		check(t, json.Unmarshal([]byte(c.head), &in))
		got, err := api.Encode(in)
		isJSON := json.Valid(got.Display())
		errorIf(t, err != nil || string(got.Display()) != c.body || !isJSON || got.Len() != int64(len(c.body)),
			"%s: got %s, %v\nwant %s", c.title, got.Display(), err, c.body)
	}
	got, err := Complete.Encode(Request{Prompt: "p", Params: params("max_tokens", " null ", "none", " null ")})
	errorIf(t, err != nil || string(got.Display()) != `{"prompt":"p"}`,
		"null with white space: got %s, %v", got.Display(), err)
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

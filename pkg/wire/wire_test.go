package wire

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestEncode holds the request bytes: a gateway that signs, logs or caches bodies sees exactly these.
func TestEncode(t *testing.T) {
	tests := []struct {
		name string
		api  API
		in   Request
		want string
	}{
		// The script's own request, byte for byte.
		{"the script's", Complete, Request{Prompt: "hi", MaxTokens: 100}, `{"prompt":"hi","max_tokens":100}`},
		{
			"complete with a model", Complete, Request{Prompt: "hi", MaxTokens: 5, Model: "m-1"},
			`{"prompt":"hi","max_tokens":5,"model":"m-1"}`,
		},
		{"Chinese stays as typed", Complete, Request{Prompt: " 你好 ", MaxTokens: 100}, `{"prompt":" 你好 ","max_tokens":100}`},
		{
			"no HTML escapes", Complete, Request{Prompt: `<a href="x">&'`, MaxTokens: 1},
			`{"prompt":"<a href=\"x\">&'","max_tokens":1}`,
		},
		{
			"what the script pasted raw", Complete, Request{Prompt: "a\"b\\c\nd\te\r\x1b\x00", MaxTokens: 1},
			`{"prompt":"a\"b\\c\nd\te\r\u001b\u0000","max_tokens":1}`,
		},
		{
			"messages", Messages, Request{Model: "claude-haiku-5-5", Prompt: "你好 <3", MaxTokens: 4096},
			`{"model":"claude-haiku-5-5","max_tokens":4096,"messages":[{"role":"user","content":"你好 <3"}],"stream":false}`,
		},
		{
			"messages with a system prompt", Messages, Request{Model: "m", System: "be brief", Prompt: "hi", MaxTokens: 1},
			`{"model":"m","max_tokens":1,"system":"be brief","messages":[{"role":"user","content":"hi"}],"stream":false}`,
		},
		{
			"chat", Chat, Request{Model: "qwen-plus", Prompt: "hi", MaxTokens: 7},
			`{"model":"qwen-plus","max_tokens":7,"messages":[{"role":"user","content":"hi"}],"stream":false}`,
		},
		{
			"chat with a system prompt", Chat, Request{Model: "m", System: "be brief", Prompt: "hi", MaxTokens: 7},
			`{"model":"m","max_tokens":7,"messages":[{"role":"system","content":"be brief"},{"role":"user","content":"hi"}],"stream":false}`,
		},
	}
	for _, test := range tests {
		got, err := test.api.Encode(test.in)
		if err != nil || string(got) != test.want {
			t.Errorf("%s: %s, %v\nwant %s", test.name, got, err, test.want)
		}
	}
	if _, err := Complete.Encode(Request{Prompt: "hi", System: "x"}); err == nil || err.Error() != "the complete api has no system prompt" {
		t.Errorf("a system prompt in complete: %v", err)
	}
}

// FuzzEncode holds that a prompt survives its encoding in every dialect.
func FuzzEncode(f *testing.F) {
	f.Add("hi")
	f.Add(" 你好 \u2028<&>\x00\"\\")
	f.Fuzz(func(t *testing.T, prompt string) {
		prompt = strings.ToValidUTF8(prompt, "?") // what cmd refuses otherwise
		for _, api := range APIs() {
			body, err := api.Encode(Request{Model: "m", Prompt: prompt, MaxTokens: 1})
			if err != nil {
				t.Fatal(err)
			}
			var back struct {
				Prompt   string
				Messages []struct{ Content string }
			}
			if err := json.Unmarshal(body, &back); err != nil {
				t.Fatalf("%s: %v", body, err)
			}
			if len(back.Messages) == 1 {
				back.Prompt = back.Messages[0].Content
			}
			if back.Prompt != prompt {
				t.Fatalf("%s: sent %q for %q", api, back.Prompt, prompt)
			}
		}
	})
}

func TestPaths(t *testing.T) {
	tests := []struct {
		api          API
		path, models string
	}{
		{Messages, "/v1/messages", "/v1/models"},
		{Complete, "/v1/complete", "/v1/models"},
		{Chat, "/chat/completions", "/models"},
	}
	for _, test := range tests {
		if test.api.Dialect().Path() != test.path || test.api.Dialect().Facts().ModelsPath != test.models {
			t.Errorf("%s: %s and %s", test.api, test.api.Dialect().Path(), test.api.Dialect().Facts().ModelsPath)
		}
	}
}

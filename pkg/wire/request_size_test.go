package wire

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// TestJSONSize counts as the encoder writes.
func TestJSONSize(t *testing.T) {
	texts := []string{"", "plain", "\u2028\u2029", "\u2027\u202a", "€ß語😀", "a\xe2", "<&>", "\x7f"}
	for c := range rune(0x80) {
		texts = append(texts, "a"+string(c)+"b")
	}
	for _, text := range texts {
		encoded, err := encodeJSON(strings.ToValidUTF8(text, ""))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := jsonSize(strings.ToValidUTF8(text, "")), len(encoded)-2; got != want {
			t.Errorf("%q: %d bytes, want the %d of %s", text, got, want, encoded)
		}
	}
}

// TestEncodeRefusesSize bounds a request by what it would be as JSON, wherever its texts stand.
func TestEncodeRefusesSize(t *testing.T) {
	fits := strings.Repeat("\x01", mostEncoded/6)
	most := Request{Model: "m", MaxTokens: 1, Prompt: fits}
	if body, err := Messages.Encode(most); err != nil || len(body) < mostEncoded-6 {
		t.Errorf("a prompt within the limit: %d bytes, %v", len(body), err)
	}
	over := fits[:mostEncoded/6-6] + strings.Repeat("\x01", 7)
	for name, r := range map[string]Request{
		"prompt": {Prompt: over},
		"system": {Prompt: "x", System: over},
		"turn":   {Prompt: "x", Turns: []Turn{{Role: "user", Text: over}}},
		"stop":   {Prompt: "x", Stop: []string{over}},
		"schema": {Prompt: "x", Schema: json.RawMessage(`{"a":"` + strings.Repeat("x", mostEncoded) + `"}`)},
		"param":  {Prompt: "x", Params: map[string]json.RawMessage{"a": json.RawMessage(`"` + strings.Repeat("x", mostEncoded) + `"`)}},
	} {
		r.Model, r.MaxTokens = "m", 1
		var size *SizeError
		if _, err := Messages.Encode(r); !errors.As(err, &size) || err.Error() != "the request would have 65 MiB as JSON, over the limit of 64 MiB" {
			t.Errorf("%s: %v, want that it would have 65 MiB", name, err)
		}
	}
}

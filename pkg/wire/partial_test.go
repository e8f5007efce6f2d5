package wire

import (
	"strings"
	"testing"
)

// wholeBodies are answers of each dialect, with every kind of character that a cut can fall into.
var wholeBodies = map[API]string{
	Complete: `{"status": 200, "n": [1, {"a": null}], "completion": "a \"b\" \\ \u4f60 好 \ud83d\ude00 😀\n{[,", "stop_reason": "stop"}`,
	Messages: `{"id":"m","content":[{"type":"text","text":"one, {two}"},{"type":"text","text":" \u597d 三"}],"stop_reason":"end_turn"}`,
	Chat:     `{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"one\t二 ]}"},"finish_reason":"stop"}]}`,
}

// TestPartial cuts whole answers at every byte: what is shown of a cut answer is always a beginning of the whole one,
// never shorter than after an earlier cut, and all of it once its string is closed.
func TestPartial(t *testing.T) {
	for api, body := range wholeBodies {
		whole, err := api.Decode(200, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		last := ""
		for n := 0; n <= len(body); n++ {
			got := api.Partial([]byte(body[:n]))
			if !strings.HasPrefix(whole.Text, got) {
				t.Errorf("%s, %s: %q is no beginning of %q", api, body[:n], got, whole.Text)
			}
			if len(got) < len(last) {
				t.Errorf("%s, %s: got %q, want no less than %q", api, body[:n], got, last)
			}
			last = got
		}
		if last != whole.Text {
			t.Errorf("%s: got %q of the whole body, want %q", api, last, whole.Text)
		}
	}
	closed := map[API]string{
		Complete: `{"completion":"all of it"`,
		Messages: `{"content":[{"type":"text","text":"all of it"`,
		Chat:     `{"choices":[{"message":{"content":"all of it"`,
	}
	for api, body := range closed {
		for _, behind := range []string{"", " ", ",", `,"x`, `,"x":`, `,"x":tr`} {
			if got := api.Partial([]byte(body + behind)); got != "all of it" {
				t.Errorf("%s, %s: got %q, want all of it", api, body+behind, got)
			}
		}
	}
	for _, body := range []string{"", "{", "[", "<html>", "not json", `{"completion"`, `{"status":429,"completion":"a`, "}}}}"} {
		if got := Complete.Partial([]byte(body)); got != "" {
			t.Errorf("%q: got %q, want nothing", body, got)
		}
	}
}

func FuzzPartial(f *testing.F) {
	for _, body := range wholeBodies {
		f.Add([]byte(body))
		f.Add([]byte(body[:len(body)/2]))
	}
	f.Add([]byte(`{"completion":"\`))
	f.Add([]byte(`{"completion":"\u00`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, api := range APIs() {
			got := api.Partial(body)
			if len(got) > 3*len(body) { // a byte that is no UTF-8 becomes the three of U+FFFD
				t.Fatalf("%d bytes of text in %d of body", len(got), len(body))
			}
		}
	})
}

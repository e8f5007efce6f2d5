package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"
)

// values are valid and invalid JSON texts for each rule of the grammar.
var values = []string{
	`{}`, `[]`, `""`, `0`, `-0`, `null`, `true`, `false`, ` { "a" : [ 1 , 2.5e+3 , -0.1E-2 ] } `, `{"a":{"b":{"c":[[[]]]}}}`,
	``, ` `, `{`, `[`, `"`, `}`, `]`, `{]`, `[}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{"a":1 "b":2}`, `{a:1}`, `[1,]`, `[,1]`, `[1 2]`,
	`01`, `-`, `-01`, `1.`, `.1`, `1e`, `1e+`, `+1`, `0x1`, `NaN`, `1 2`, `{}{}`, `{}x`, "{}\x00", "\x00", "\xa0{}", "\ufeff{}",
	`nul`, `nulls`, `tru`, `falsee`, `"\x"`, `"\u12"`, `"\u12g4"`, `"\`, `"\u`, "\"\n\"", "\"\x1f\"", "\"\x7f\"", "\"\xff\"",
	`{"type":"a","type":"b"}`, `{"t\u0079pe":"x"}`, `{"delta":{"text":"a"},"delta":{}}`, `{"delta":null,"delta":{"text":"\ud83d\ude00"}}`,
	`{"completion":"\ud83d \ude00 \ud83dx \ud83d\ud83d\ude00 \u0000 \/\b\f\n\r\t\"\\"}`, "{\"completion\":\"\xff好\xe5\xa5 \xed\xa0\x80\"}",
	`{"completion":"12345678\"12345678\\n1234567\u597d 😀 12345678"}`, `{"completion":7,"stop_reason":{}}`,
	`{"choices":[{"index":1,"delta":{"content":"no"}},{"index":0,"delta":{"content":"yes","refusal":"r"},"finish_reason":"stop"}]}`,
	`{"choices":[],"choices":[{"delta":{"reasoning":"r"}},{"delta":{"content":"second"}}]}`, `{"choices":[{"delta":{"content":"a"}}],"choices":[]}`, `{"choices":[null,1,"x",[]]}`, `{"choices":{}}`,
	`{"choices":[{"delta":{"content":"a"},"delta":3,"finish_reason":null}]}`, `{"delta":[{"text":"a"}]}`,
}

// TestLexerDepth checks that the maximum depth is the same as in encoding/json. Only nested values count.
func TestLexerDepth(t *testing.T) {
	for _, depth := range []int{9999, 10000, 10001, 200_000} {
		for _, text := range []string{
			strings.Repeat("[", depth) + strings.Repeat("]", depth),
			strings.Repeat(`{"a":`, depth) + "1" + strings.Repeat("}", depth),
		} {
			if got := isOneValue(text); got != json.Valid([]byte(text)) || got != (depth <= 10000) {
				t.Errorf("%d deep: got whole %v, want %v", depth, got, depth <= 10000)
			}
		}
	}
	errorIf(t, !isOneValue("["+strings.Repeat(`[],{"a":{}},`, 20_000)+"[]]"), "wide, not deep, and refused")
}

func isOneValue(text string) bool {
	l := lexer{b: []byte(text)}
	l.value()
	return l.whole()
}

// FuzzField checks that the lexer accepts what encoding/json accepts, and reads the same values.
func FuzzField(f *testing.F) {
	for _, value := range values {
		f.Add([]byte(value))
	}
	f.Add([]byte(`{"` + strings.Repeat("x", maxName) + `":1,"` + strings.Repeat("x", maxName+1) + `":2}`))
	f.Add([]byte(strings.Repeat(" ", 9) + `{"completion":"` + strings.Repeat("x", 100) + "\x01\"}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l := lexer{b: data}
		raw := l.value()
		valid := json.Valid(data)
		fatalIf(t, l.whole() != valid, "%q: got whole %v, want %v", data, l.whole(), valid)
		fatalIf(t, valid && string(raw) != string(bytes.Trim(data, " \t\r\n")), "%q: the value is %q", data, raw)
		fields, isObject := parse(data)
		sameObject(t, data, fields, isObject)
		isObject = isObject && !bytes.HasPrefix(data, bom)
		for _, api := range APIs() {
			s := api.NewStream(nil)
			got := s.parse(data)
			fatalIf(t, got != isObject, "%s, %q: got an object: %v, want %v", api, data, got, isObject)
			if isObject {
				sameFields(t, s, fields)
			}
		}
	})
}

// sameFields compares what a stream's lexer found with what encoding/json finds.
func sameFields(t *testing.T, s *Stream, fields object) {
	t.Helper()
	same := func(name string, got, raw []byte) {
		t.Helper()
		want := jsonText(raw)
		if utf8.Valid(got) && string(unquote(got)) != want { // encoding/json changes bytes that are not UTF-8
			t.Fatalf("%s: %s is %q, encoding/json says %q", s.api, name, unquote(got), want)
		}
		reader := textReader{buffer: []byte("rest")}
		plain := string(reader.read(got)) + string(reader.end())
		fatalIf(t, strings.ToValidUTF8(plain, "") != strings.ToValidUTF8(want, "") && utf8.Valid(got),
			"%s: %s is %q with a buffer, encoding/json says %q", s.api, name, plain, want)
	}
	c := s.chunk
	same("type", c.kind, fields["type"])
	same("id", c.id, fields["id"])
	same("model", c.model, fields["model"])
	for name, got := range map[string][]byte{"usage": c.usage, "error": c.fault, "status": c.status} {
		if name != "status" && (c.inFault != nil || c.inUsage != nil) {
			continue // the choice's value may be used instead
		}
		fatalIf(t, string(got) != string(fields[name]), "%s: %s is %q, encoding/json says %q", s.api, name, got, fields[name])
	}
	switch r := s.reader.(type) {
	case *completeReader:
		same("completion", r.completion, fields["completion"])
		same("stop_reason", r.stop, fields["stop_reason"])
	case *messagesReader:
		delta := jsonObject(fields["delta"])
		same("type", r.delta.kind, delta["type"])
		same("text", r.delta.text, delta["text"])
		same("thinking", r.delta.thinking, delta["thinking"])
		same("stop_reason", r.delta.stop, delta["stop_reason"])
	case *chatReader:
		choice := selectChoice(fields["choices"])
		delta := jsonObject(choice["delta"])
		same("content", r.delta.content, delta["content"])
		same("refusal", r.delta.refusal, delta["refusal"])
		same("finish_reason", r.stop, choice["finish_reason"])
		if stringOf(delta["reasoning_content"]) != "" {
			same("reasoning_content", r.delta.reasoning, delta["reasoning_content"])
		} else if !bytes.HasPrefix(r.delta.reasoning, []byte("[")) {
			same("reasoning", r.delta.reasoning, delta["reasoning"])
		}
	}
}

// jsonObject and jsonText return what encoding/json reads, or the zero value if raw is of another type.
func jsonObject(raw []byte) (fields map[string]json.RawMessage) {
	if json.Unmarshal(raw, &fields) != nil {
		return nil
	}
	return fields
}

func jsonText(raw []byte) (text string) {
	if json.Unmarshal(raw, &text) != nil {
		return ""
	}
	return text
}

// sameObject checks that parse reads the same as encoding/json.
func sameObject(t *testing.T, data []byte, got object, isObject bool) {
	t.Helper()
	want := jsonObject(bytes.TrimPrefix(data, bom))
	fatalIf(t, isObject != (want != nil), "%q: got an object: %v, and encoding/json says %v", data, isObject, want)
	if !utf8.Valid(data) || !isObject {
		return // encoding/json changes bytes that are not UTF-8
	}
	maps.DeleteFunc(want, func(name string, _ json.RawMessage) bool { return len(name) > maxName }) // longer names are not kept
	fatalIf(t, len(got) != len(want), "%q: got %d fields, want %d", data, len(got), len(want))
	for name, raw := range want {
		fatalIf(t, string(got[name]) != string(raw), "%q: %q is %q, want %q", data, name, got[name], raw)
		if said := jsonText(raw); stringOf(got[name]) != said {
			t.Fatalf("%q: the text of %q is %q, want %q", data, name, stringOf(got[name]), said)
		}
	}
}

// FuzzTexts checks that content blocks are read as encoding/json reads them.
func FuzzTexts(f *testing.F) {
	for _, raw := range []string{
		`[]`, `null`, `[null]`, `[{"type":"text","text":"a"},{"type":"thinking","text":"b"},{"type":"text","text":"\u4f60c"}]`,
		`[{"type":1}]`, `[{"text":"no type"}]`, `[1]`, `{"type":"text"}`, `[{"type":"text","text":null,"x":[{}]}] `, `[{"type":"text","text":"a","text":"b"}]`,
	} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) || !utf8.Valid(raw) {
			return // invalid JSON is rejected before this point
		}
		want, wantOK := "", false
		var blocks []map[string]json.RawMessage
		if json.Unmarshal(raw, &blocks) == nil && blocks != nil {
			wantOK = true
			for _, b := range blocks {
				var kind, words string
				for name, into := range map[string]*string{"type": &kind, "text": &words} {
					if b[name] != nil && json.Unmarshal(b[name], into) != nil {
						wantOK = false
					}
				}
				if kind == "text" || kind == "output_text" {
					want += words
				}
			}
		}
		if !wantOK {
			want = ""
		}
		got, _, ok := readParts(raw, maxNested)
		fatalIf(t, string(got) != want || ok != wantOK, "%q: %q, %v, want %q, %v", raw, got, ok, want, wantOK)
	})
}

// FuzzStream checks that only a terminal event completes an answer. Its own check of the events shares only the event
// framing with Stream.
func FuzzStream(f *testing.F) {
	for i, api := range APIs() {
		f.Add(recorded(f, api), uint8(i))
	}
	f.Add([]byte(started+hello+stopped), uint8(0))
	f.Add([]byte(started+hello+stopped+hello), uint8(0))
	f.Add([]byte(chatHi+chatEnd+"data: [DONE]\n\n"), uint8(2))
	f.Fuzz(func(t *testing.T, in []byte, which uint8) {
		api := APIs()[int(which)%len(APIs())]
		s := api.NewStream(bytes.NewReader(in))
		got := readStream(s)
		fatalIf(t, got.err == io.EOF && !hasEnd(api, in), "%s: %q is taken for a whole answer", api, in)
		fatalIf(t, utf8.Valid(in) && strings.ToValidUTF8(got.text+got.reasoning, "") != got.text+got.reasoning,
			"%s: %q is not UTF-8", api, got.text)
		if _, err := s.Next(); err != got.err || s.Buffered() { //nolint:errorlint // the very same error
			t.Fatalf("%s: %v, then %v", api, got.err, err)
		}
		var cut *TruncatedError
		var malformed *MalformedError
		var apiErr *APIError
		fatalIf(t, got.err != io.EOF && !errors.As(got.err, &cut) && !errors.As(got.err, &malformed) && !errors.As(got.err, &apiErr),
			"%s: an error of another type: %v", api, got.err)
	})
}

// hasEnd reports whether a stream contains an event that ends its answer.
func hasEnd(api API, in []byte) bool {
	begun, counted, said := false, false, false
	r := newEventReader(bytes.NewReader(in))
	look := func(e event) {
		fields, _ := parse(e.Data)
		switch api {
		case Messages:
			kind := string(e.Name)
			if kind == "" || kind == "message" {
				kind = stringOf(fields["type"])
			}
			delta, _ := parse(fields["delta"])
			said = said || begun && (kind == "message_stop" || stringOf(delta["stop_reason"]) != "") || kind == "message"
			begun = begun || kind == "message_start"
		case Complete:
			begun = begun || isText(fields["completion"])
			said = said || begun && stringOf(fields["stop_reason"]) != ""
		case Chat:
			said = said || counted && strings.TrimSpace(string(e.Data)) == "[DONE]"
			counted = counted || isNull(fields["choices"]) || !strings.Contains(string(fields["choices"]), "{")
			for _, raw := range elements(fields["choices"]) {
				choice, _ := parse(raw)
				said = said || stringOf(choice["finish_reason"]) != ""
			}
		}
	}
	for {
		e, err := r.Next()
		if err != nil {
			if rest, ok := r.Rest(); ok {
				look(rest)
			}
			return said
		}
		look(e)
	}
}

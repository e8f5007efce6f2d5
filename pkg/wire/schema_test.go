package wire

import "testing"

func TestCheckSchema(t *testing.T) {
	const prefix = "the answer does not match the schema: "
	for _, test := range []struct{ schema, text, want string }{
		{`{"type":"object","required":["a","b"]}`, `{"b":1,"a":null}`, ""},
		{`{"type":"object","required":["a","b"]}`, " \n{\"a\":{\"c\":[]},\"b\":2,\"d\":3}\n", ""},
		{`{"type":"object","required":["a","b"]}`, `{"b":1}`, "it has no member a"},
		{`{"type":"object","required":["a"]}`, `{"x":{"a":1}}`, "it has no member a"},
		{`{"type":"object","required":["é"]}`, `{"\u00e9":1}`, ""},
		{`{"required":["a"]}`, `{}`, "it has no member a"},
		{`{"required":["a"]}`, `[]`, ""},
		{`{"type":"object"}`, `["a"]`, "it is of type array, not object"},
		{`{"type":"object"}`, `Sure! {"a":1}`, "it is not JSON"},
		{`{"type":"object"}`, "```json\n{}\n```", "it is not JSON"},
		{`{"type":"object"}`, `{"a":1} and more`, "it is not JSON"},
		{`{"type":"object"}`, `{"a":1`, "it is not JSON"},
		{`{"type":"object"}`, ``, "it is not JSON"},
		{`{"type":"array"}`, `[1]`, ""},
		{`{"type":["object","null"]}`, `null`, ""},
		{`{"type":["object","null"]}`, `"x"`, "it is of type string, not object or null"},
		{`{"type":"number"}`, `1`, ""},
		{`{"type":"integer"}`, `1.0`, ""},
		{`{"type":"integer"}`, `1.5`, "it is of type number, not integer"},
		{`{"type":"boolean"}`, `true`, ""},
		{`{"type":"boolean"}`, `tru`, "it is not JSON"},
		{`{"anyOf":[{"type":"object"}]}`, `"x"`, ""},
		{`{}`, `words`, "it is not JSON"},
	} {
		got := ""
		if err := CheckSchema([]byte(test.schema), test.text); err != nil {
			got = err.Error()
		}
		want := test.want
		if want != "" {
			want = prefix + want
		}
		errorIf(t, got != want, "%s and %q: %q, want %q", test.schema, test.text, got, want)
	}
}

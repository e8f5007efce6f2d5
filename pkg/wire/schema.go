package wire

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"ferry/pkg/text"
)

// kinds maps the first character of a JSON value to its type. Any other first character means a number.
var kinds = map[byte]string{'{': "object", '[': "array", '"': "string", 't': "boolean", 'f': "boolean", 'n': "null"}

// CheckSchema checks an answer against the top level of a schema: it must be JSON, of the schema's type, with the
// required members. Deeper levels are not checked. Some gateways that translate requests drop the schema silently.
func CheckSchema(schema json.RawMessage, answer string) error {
	reason := schemaMismatch(schema, answer)
	if reason == "" {
		return nil
	}
	return text.Errorf("the node may have ignored the schema: ask for JSON in the prompt too, or use another node",
		"the answer does not match the schema: %s", reason)
}

// schemaMismatch returns why an answer does not match the schema, "" if it does.
func schemaMismatch(schema json.RawMessage, answer string) string {
	want, _ := parse(schema)
	types, missing := stringsIn(want["type"]), stringsIn(want["required"])
	if isText(want["type"]) {
		types = []string{stringOf(want["type"])}
	}
	l := lexer{b: []byte(answer)}
	kind, known := kinds[l.peek()]
	isObject := l.enter('{')
	if isObject {
		for name, ok := l.member(); ok; name, ok = l.member() {
			missing = slices.DeleteFunc(missing, func(required string) bool { return required == string(name) })
			l.value()
		}
	} else if number := l.value(); !known {
		kind = "number"
		var n float64
		if json.Unmarshal(number, &n) == nil && n == float64(int64(n)) { // in any notation: 1.0 and 1e2
			kind = "integer"
		}
	}
	switch {
	case !l.whole():
		return "it is not JSON"
	case len(types) > 0 && !slices.Contains(types, kind) && !(kind == "integer" && slices.Contains(types, "number")):
		return fmt.Sprintf("it is of type %s, not %s", kind, strings.Join(types, " or "))
	case isObject && len(missing) > 0:
		return "it has no member " + missing[0]
	}
	return ""
}

// stringsIn returns the strings of a list.
func stringsIn(raw []byte) (texts []string) {
	for _, one := range elements(raw) {
		if isText(one) {
			texts = append(texts, stringOf(one))
		}
	}
	return texts
}

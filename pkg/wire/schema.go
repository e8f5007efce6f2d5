package wire

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// SchemaError is an answer that is not of the schema that was asked for. Gateways that translate drop a schema without a
// word.
type SchemaError struct{ Reason string }

func (e *SchemaError) Error() string { return "the answer is not of the schema: " + e.Reason }

// Hint tells what to do about it.
func (e *SchemaError) Hint() string {
	return "the node may have dropped the schema: ask for JSON in the prompt too, or take another node"
}

// kinds are what a JSON value is that begins with a character. Any other is a number.
var kinds = map[byte]string{'{': "object", '[': "array", '"': "string", 't': "boolean", 'f': "boolean", 'n': "null"}

// CheckSchema holds a text to the top level of a schema: it is JSON, of the type and with the members that the schema
// requires. It does not look deeper. The error is a *SchemaError.
func CheckSchema(schema json.RawMessage, text string) error {
	var want struct {
		Type     any      `json:"type"`
		Required []string `json:"required"`
	}
	_ = json.Unmarshal(schema, &want) // what has another form requires nothing here
	l := lexer{b: []byte(text)}
	kind, known := kinds[l.peek()]
	var missing []string
	if kind == "object" {
		missing = slices.Clone(want.Required)
		l.enter('{')
		for name, ok := l.member(); ok; name, ok = l.member() {
			missing = slices.DeleteFunc(missing, func(required string) bool { return required == string(name) })
			l.value()
		}
	} else if number := l.value(); !known {
		kind = "number"
		var n float64
		if json.Unmarshal(number, &n) == nil && n == float64(int64(n)) { // in any spelling: 1.0 and 1e2
			kind = "integer"
		}
	}
	types := typesOf(want.Type)
	switch {
	case !l.whole():
		return &SchemaError{"it is no JSON"}
	case len(types) > 0 && !slices.Contains(types, kind) && !(kind == "integer" && slices.Contains(types, "number")):
		return &SchemaError{fmt.Sprintf("it is of type %s, not %s", kind, strings.Join(types, " or "))}
	case len(missing) > 0:
		return &SchemaError{"it has no member " + missing[0]}
	}
	return nil
}

// typesOf are the names in a schema's type: one, or a list of them.
func typesOf(value any) (names []string) {
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	for _, one := range list {
		if name, ok := one.(string); ok {
			names = append(names, name)
		}
	}
	return names
}

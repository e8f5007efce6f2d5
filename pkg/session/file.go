package session

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

const (
	fileSuffix = ".json"
	lockSuffix = ".lock"

	// schema is the version of the format. Adding fields does not change it, because older versions keep unknown
	// fields. A higher schema means that older versions must not use the file.
	schema = 1

	// maxSize is the maximum size of a file in bytes: twice the largest request that the APIs accept.
	maxSize = 64 << 20
)

// fields maps the exact member names of a JSON object to their values.
type fields map[string]json.RawMessage

// MarshalJSON returns the content of the conversation's file.
func (s *Session) MarshalJSON() ([]byte, error) {
	type members Session
	known := struct {
		Schema int `json:"schema"`
		members
	}{schema, members(*s)}
	if known.Turns == nil {
		known.Turns = []Turn{}
	}
	object, err := encode(known, s.other)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = json.Indent(&b, append(object, '\n'), "", "  ")
	return b.Bytes(), err
}

// MarshalJSON returns the JSON object of one turn.
func (t Turn) MarshalJSON() ([]byte, error) {
	type members Turn
	return encode(members(t), t.other)
}

// encode writes the known members, followed by the unknown ones.
func encode(known any, other fields) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // people read the file too
	if err := enc.Encode(known); err != nil {
		return nil, fmt.Errorf("encode a conversation: %w", err)
	}
	b.Truncate(b.Len() - len("}\n"))
	for _, name := range slices.Sorted(maps.Keys(other)) {
		key, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, ",%s:%s", key, other[name])
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// decode reads the file of a conversation. It returns an error if the file is cut, has trailing data, or has another
// structure.
func decode(data []byte) (*Session, error) {
	var all fields
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("is damaged: %w", describeJSONError(err))
	}
	var version int
	if err := all.take("schema", &version, true); err != nil {
		return nil, err
	}
	switch {
	case version > schema:
		return nil, fmt.Errorf("was written by a newer ferry (schema %d; this one reads %d)", version, schema)
	case version < 1:
		return nil, fmt.Errorf("is damaged: there is no schema %d", version)
	}
	var s Session
	var turns []json.RawMessage
	err := errors.Join(
		all.take("name", &s.Name, true), all.take("used", &s.Used, true), all.take("started", &s.Started, true),
		all.take("token", &s.Token, true), all.take("nodes", &s.Nodes, false), all.take("api", &s.API, false),
		all.take("model", &s.Model, false), all.take("pending", &s.Pending, false),
		all.take("pending_files", &s.PendingFiles, false), all.take("turns", &turns, true),
	)
	if err != nil {
		return nil, err
	}
	for i, raw := range turns {
		turn, err := decodeTurn(raw)
		if err != nil {
			return nil, fmt.Errorf("turn %d: %w", i+1, err)
		}
		s.Turns = append(s.Turns, turn)
	}
	s.other = all
	return &s, nil
}

func decodeTurn(raw json.RawMessage) (Turn, error) {
	var all fields
	if err := json.Unmarshal(raw, &all); err != nil {
		return Turn{}, fmt.Errorf("is damaged: %w", describeJSONError(err))
	}
	var t Turn
	err := errors.Join(all.take("role", &t.Role, true), all.take("text", &t.Text, true), all.take("node", &t.Node, false),
		all.take("model", &t.Model, false), all.take("at", &t.At, true), all.take("files", &t.Files, false))
	if err == nil && t.Role != User && t.Role != Assistant {
		err = fmt.Errorf("is damaged: there is no role %q", t.Role)
	}
	t.other = all
	return t, err
}

// take moves one member into a value. Unlike encoding/json, it compares names case-sensitively.
func (f fields) take(name string, into any, needed bool) error {
	raw, ok := f[name]
	delete(f, name)
	switch {
	case !ok && needed, ok && string(raw) == "null":
		return fmt.Errorf("is damaged: %s is missing", name)
	case !ok:
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("is damaged: %s: %w", name, describeJSONError(err))
	}
	return nil
}

// describeJSONError describes a JSON error without naming Go types.
func describeJSONError(err error) error {
	if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("unexpected %s", kind.Value)
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("%w (byte %d)", err, syntax.Offset)
	}
	return err
}

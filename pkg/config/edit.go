package config

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"ferry/pkg/text"
)

// Set returns src with key, such as "retry.attempts" or "nodes.hongkong.headers.X-Team", set to value. It changes one
// contiguous part of the text and keeps every other byte: comments, blank lines, quotes, line ends. It creates missing
// maps and nodes. It parses the result to verify that exactly this value changed and that the file is valid. Errors
// are *Error and never repeat the value. If the text cannot be edited safely, the error names the line to edit by
// hand.
func Set(src []byte, key, value string) ([]byte, error) { return edit(src, key, &value) }

// Unset returns src without key, which may also name a group such as "retry" or a node. A map that becomes empty is
// removed too, unless it contains a comment. A missing key is an *Error. Otherwise Unset works like Set.
func Unset(src []byte, key string) ([]byte, error) { return edit(src, key, nil) }

func edit(src []byte, key string, value *string) ([]byte, error) {
	k, err := parseKey(key)
	if err == nil && value != nil {
		*value, err = k.typed(*value)
	}
	if err != nil {
		err.Key = shownKey(key)
		if tree, fault := parseTree(src); value == nil && fault == nil && len(follow(tree, []string{"nodes", key})) == 2 {
			err.Advice = text.Advice("ferry config unset nodes." + key + " removes the node")
		}
		return nil, err
	}
	return change(src, k, value)
}

// InFile reports whether the file can have a value for key.
func InFile(key string) bool {
	k, err := parseKey(key)
	return err == nil && !k.isGroup()
}

// CheckKey returns an *Error if the file, a flag or a variable cannot set key.
func CheckKey(key string) error {
	for _, k := range keys {
		if k.Key == key && k.Usage != "" {
			return nil
		}
	}
	k, err := parseKey(key)
	if err == nil && k.isGroup() {
		err = newError("is a group; use one of the keys in it", "")
	}
	if err != nil {
		err.Key = shownKey(key)
		return err
	}
	return nil
}

// shownKey returns key if it looks like a key, else "…".
func shownKey(key string) string {
	if isWord(key) || strings.HasPrefix(key, "nodes.") && !looksLikeKey(key) && !strings.ContainsAny(key, " \t\r\n") {
		return text.Excerpt([]byte(key), 160)
	}
	return "…"
}

// dottedKey is a key as the user types it.
type dottedKey struct {
	key  // from the table; without a rule for a group of keys
	text string
	path []string
}

func (k dottedKey) isGroup() bool { return k.check == nil }

// parseKey accepts every key that the file may have.
func parseKey(text string) (dottedKey, *Error) {
	k := dottedKey{text: text, path: strings.Split(text, ".")}
	if i := userNameIndex(k.path); i >= 0 {
		k.path = strings.SplitN(text, ".", i+1)
	}
	if k.path[0] == "nodes" && len(k.path) > 1 && !isNodeName(k.path[1]) {
		return k, newError("use nodes.NAME.FIELD, the name of letters, digits, - and _", "")
	}
	err := checkName(k.path[:min(len(k.path), 2)])
	if err == nil {
		err = checkName(k.path)
	}
	if k.path[0] == "nodes" && len(k.path) == 4 && k.path[2] == "headers" {
		err = checkHeaderName(k.path[3])
	}
	if err != nil {
		return k, err
	}
	var isGroup bool
	if k.key, isGroup = find(k.path); isGroup || k.check != nil {
		return k, nil
	}
	for _, other := range keys {
		if other.Key == text {
			hint := "use --" + other.Flag + " or " + other.Env
			if field, _ := find([]string{"nodes", "NAME", text}); field.check != nil {
				hint = "it belongs to a node: nodes.NAME." + text + "; or use --" + other.Flag
			}
			return k, newError("is not a top-level setting of the file", hint)
		}
	}
	var group []string
	switch {
	case k.path[0] == "nodes":
		group = k.path[:2]
	case k.path[0] == "gateway":
		group = k.path[:1]
	}
	name := strings.Join(k.path[len(group):], ".")
	return k, newError(didYouMean("unknown key", name, namesIn(group, true)), "")
}

// typed converts a value as the user types it to the form of File.values. The value is checked before the text of the
// file is, so that the message has no meaningless position.
func (k dottedKey) typed(value string) (string, *Error) {
	var err *Error
	switch {
	case k.isGroup():
		return "", newError("is a group; set one of the keys in it", "")
	case k.kind == kindJSON:
		var v any = value
		if d := json.NewDecoder(strings.NewReader(value)); json.Valid([]byte(value)) {
			d.UseNumber() // keeps the digits
			_ = d.Decode(&v)
		}
		value = jsonText(v)
	case k.kind != kindList:
	case strings.HasPrefix(value, "[") && strings.HasSuffix(value, "]"):
		if value, err = typedList(value); err != nil {
			return "", err
		}
	default:
		value = kindList.join([]string{value})
	}
	if looksLikeKey(value) {
		return "", newError("this looks like a key to an API, and is not shown", refHint)
	}
	err = k.checkText(value)
	if err != nil && value == "" {
		err = newError("has no value", "ferry config unset "+k.text+" removes the key")
	}
	return value, err
}

// typedList reads a list in the form of the file: [a, b].
func typedList(value string) (string, *Error) {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(value), &doc); err != nil || len(doc.Content) != 1 {
		return "", newError("use a list, such as [a, b]", "quote an item that contains YAML syntax: [\"a: b\"]")
	}
	var items []string
	for _, n := range doc.Content[0].Content {
		item, err := scalar(n, kindText)
		if err != nil {
			return "", err
		}
		items = append(items, item)
	}
	if items == nil {
		return "", newError("has no value", "")
	}
	return kindList.join(items), nil
}

// change sets a key, or removes it if value is nil, and verifies the edit.
func change(src []byte, k dottedKey, value *string) ([]byte, error) {
	before, err := parseTree(src)
	if err != nil {
		return nil, err // its position is in src
	}
	d := newDoc(src, before)
	k.path = d.spelled(k.path)
	var out []byte
	if value != nil {
		out = d.set(k, *value)
	} else if out, err = d.unset(k); err != nil {
		return nil, err
	}
	after, err := parseTree(out)
	if d.unsafe || err != nil || !maps.Equal(flatten(before, nil, k.path), flatten(after, nil, k.path)) {
		return nil, d.byHand(k)
	}
	file, err := fileOf("", after)
	if err != nil {
		// A fault of src itself is reported at its position there. Otherwise the edit caused it, and its lines are not lines
		// of the user's file.
		if _, old := fileOf("", before); old != nil && old.Key != k.text {
			return nil, old
		}
		err.Line, err.Column = 0, 0
		return nil, err
	}
	text, isSet := file.values[strings.Join(k.path, ".")]
	if value == nil && (isSet || len(follow(after, k.path)) == len(k.path)) ||
		value != nil && (!isSet || text != k.kind.join(k.kind.split(*value))) {
		return nil, d.byHand(k)
	}
	return out, nil
}

// flatten returns every value of a tree by its path, except the value at without. Empty maps and nulls have no
// meaning, so they are left out.
func flatten(n *yaml.Node, path, without []string) map[string]string {
	all := map[string]string{}
	switch {
	case n == nil || isNull(n) || slices.Equal(path, without):
	case n.Kind == yaml.ScalarNode:
		all[strings.Join(path, "\x00")] = n.Value
	case n.Kind == yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			maps.Copy(all, flatten(n.Content[i+1], append(path[:len(path):len(path)], n.Content[i].Value), without))
		}
	default:
		for i, c := range n.Content {
			maps.Copy(all, flatten(c, append(path[:len(path):len(path)], "["+strconv.Itoa(i)), without))
		}
	}
	return all
}

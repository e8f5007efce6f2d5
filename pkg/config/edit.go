package config

import (
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Set returns src with key, such as "retry.attempts" or "nodes.hongkong.headers.X-Team", set to value. One stretch of
// the text changes and every other byte stays: comments, blank lines, quotes, line ends. Missing maps and nodes are
// made. The result was read back: exactly this value changed, and the whole is a valid file. It fails with *Error, which
// never repeats the value; where the text is beyond a safe edit, it names the line to edit by hand.
func Set(src []byte, key, value string) ([]byte, error) {
	k, err := parseKey(key)
	if err == nil && k.isGroup {
		err = bad("is a group; set one of the keys in it", "")
	}
	if err == nil && k.kind == kindList {
		value, err = typedList(value)
	}
	if err == nil {
		err = k.checkValue(value)
	}
	if err != nil {
		err.Key = shownKey(key)
		return nil, err
	}
	return change(src, k, func(d *doc) ([]byte, *Error) { return d.set(k, value) }, &value)
}

// Unset returns src without key, which may name a group such as "retry" or a whole node. A map that becomes empty goes
// too, unless a comment stands in it. A key that is not there is an *Error; else it is as Set.
func Unset(src []byte, key string) ([]byte, error) {
	k, err := parseKey(key)
	if err != nil {
		err.Key = shownKey(key)
		return nil, err
	}
	return change(src, k, func(d *doc) ([]byte, *Error) { return d.unset(k) }, nil)
}

// shownKey repeats a key only when it looks like one.
func shownKey(key string) string {
	if isWord(key) || strings.HasPrefix(key, "nodes.") && !looksLikeKey(key) && !strings.ContainsAny(key, " \t\r\n") {
		return printable(key, 160)
	}
	return "…"
}

// change makes an edit and proves it. value is nil when the key is to go.
func change(src []byte, k keyPath, edit func(*doc) ([]byte, *Error), value *string) ([]byte, error) {
	before, err := parseTree(src)
	if err != nil {
		return nil, err // its place is one in src
	}
	d := newDoc(src, before)
	out, err := edit(d)
	if err != nil {
		err.Key = k.text
		return nil, err
	}
	after, err := parseTree(out)
	if err != nil || !sameBut(before, after, k, value) {
		return nil, d.byHand(k)
	}
	if _, err := parse("", out); err != nil {
		// A fault that src has by itself is shown at its place there. Else the edit is at fault, and its lines are not
		// the reader's.
		if _, old := parse("", src); old != nil && old.Key != k.text {
			return nil, old
		}
		err.Line, err.Column = 0, 0
		return nil, err
	}
	return out, nil
}

// keyPath is a dotted key taken apart.
type keyPath struct {
	text    string
	parts   []string
	kind    kind
	isGroup bool
	check   func(value string) *Error
}

// checkValue is the rule of the key, looked at before the text is: its message then has no place that means nothing.
func (k keyPath) checkValue(value string) *Error {
	if looksLikeKey(value) {
		return bad("this looks like a key to an API, and is not shown", refHint)
	}
	err := k.check(value)
	if err != nil && value == "" {
		return bad("has no value", "ferry config unset "+k.text+" takes the key away")
	}
	return err
}

// parseKey knows every key that the file may have.
func parseKey(key string) (keyPath, *Error) {
	k := keyPath{text: key, parts: strings.Split(key, ".")}
	if s, ok := findSetting(key); ok {
		if !s.InFile {
			return k, bad("is not kept at the file's top level", "a node has it: nodes.NAME."+key+"; or use --"+s.Flag)
		}
		k.kind, k.check = s.kind, s.check
		return k, nil
	}
	if key == "nodes" || slices.Contains(groups(), key) {
		k.isGroup = true
		return k, nil
	}
	switch k.parts[0] {
	case "nodes":
		return parseNodeKey(k)
	case "gateway":
		return parseGatewayKey(k)
	}
	var names []string
	for _, s := range settings() {
		if s.InFile {
			names = append(names, s.Key)
		}
	}
	return k, bad(meant("unknown key", key, append(names, "nodes", "gateway")), "")
}

func parseNodeKey(k keyPath) (keyPath, *Error) {
	parts := strings.SplitN(k.text, ".", 4)
	if !isNodeName(parts[1]) || parts[1] == "demo" {
		return k, bad("use nodes.NAME.FIELD, the name of letters, digits, - and _", "")
	}
	k.parts = parts
	if len(parts) == 2 || len(parts) == 3 && slices.Contains(nodeMaps, parts[2]) {
		k.isGroup = true
		return k, nil
	}
	if parts[2] == "headers" {
		k.check = func(v string) *Error { _, err := parseHeader(parts[3], v); return err }
		return k, checkHeaderName(parts[3])
	}
	if parts[2] == "aliases" {
		k.check = func(v string) *Error { return checkAlias(parts[3], v) }
		return k, nil
	}
	field := strings.Join(parts[2:], ".")
	names := slices.Clone(nodeMaps)
	for _, f := range nodeFields() {
		if f.name == field {
			k.kind, k.check = f.kind, func(v string) *Error { return f.set(&Node{}, v) }
			return k, nil
		}
		names = append(names, f.name)
	}
	return k, bad(meant("unknown key", field, names), "")
}

// sameBut holds when the two trees say the same everywhere but at k, and the second says value there, or nothing.
func sameBut(before, after *yaml.Node, k keyPath, value *string) bool {
	was, is := map[string]string{}, map[string]string{}
	flatten(before, "", was)
	flatten(after, "", is)
	path := ""
	for i, p := range k.parts {
		path += "\x00" + p
		if value != nil {
			delete(was, path) // a null on the way may become a map
		}
		if k.isHeader() && i == 3 {
			path = foldHeader(was, is, path)
		}
	}
	switch k.kind {
	case kindList:
		foldList(is, path, listText)
	case kindCommas:
		foldList(is, path, joinCommas)
	}
	for p := range was {
		if p == path || strings.HasPrefix(p, path+"\x00") {
			delete(was, p)
		}
	}
	if value != nil {
		if got, ok := is[path]; !ok || got != k.canonical(*value) {
			return false
		}
		delete(is, path)
	}
	return maps.Equal(was, is)
}

// canonical is a value as the file is to say it.
func (k keyPath) canonical(value string) string {
	if k.kind != kindCommas {
		return value
	}
	return joinCommas(splitCommas(value))
}

// isHeader: the case of a header's name does not count.
func (k keyPath) isHeader() bool { return len(k.parts) == 4 && k.parts[2] == "headers" }

// foldHeader finds the spelling of a header's path that the file uses.
func foldHeader(was, is map[string]string, path string) string {
	for _, m := range []map[string]string{is, was} {
		for p := range m {
			if strings.EqualFold(p, path) && strings.HasPrefix(p, path[:strings.LastIndexByte(path, 0)]) {
				return p
			}
		}
	}
	return path
}

// flatten lists every value of a tree by its path. Empty maps and nulls say nothing, so they are left out.
func flatten(n *yaml.Node, path string, into map[string]string) {
	switch {
	case n == nil || isNull(n):
	case n.Kind == yaml.ScalarNode:
		into[path] = n.Value
	case n.Kind == yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			flatten(n.Content[i+1], path+"\x00"+n.Content[i].Value, into)
		}
	default:
		for i, c := range n.Content {
			flatten(c, path+"\x00["+itoa(i), into)
		}
	}
}

package config

import (
	"encoding/json"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// decode reads the map at path. It stops at the first fault.
func (f *File) decode(m *yaml.Node, path []string) *Error {
	return each(m, displayKey(path), func(name string, k, v *yaml.Node) *Error {
		inner := append(path[:len(path):len(path)], name)
		if err := checkName(inner); err != nil {
			return withPosition(k, displayKey(inner), err)
		}
		found, isGroup := find(inner)
		if found.Key != "" {
			return f.decodeValue(found, inner, k, v)
		}
		if len(inner) == 1 && slices.ContainsFunc(keys, func(other key) bool { return other.Key == name && !other.inFile() }) {
			_, err := parseKey(name)
			return withPosition(k, name, err)
		}
		if !isGroup {
			return withPosition(k, displayKey(inner), newError(didYouMean("unknown key", name, namesIn(path, false)), ""))
		}
		f.positions[strings.Join(inner, ".")] = position{k.Line, k.Column}
		if err := f.decode(v, inner); err != nil {
			return err
		}
		if len(inner) == 2 && inner[0] == "nodes" {
			f.Nodes = append(f.Nodes, name)
			if field, err := f.checkNode(name); err != nil {
				return withPosition(k, displayKey(inner)+"."+field, err)
			}
		}
		return nil
	})
}

// checkName is the rule for the last name of a path, if the user chooses that name. Header names are checked together
// with their values.
func checkName(path []string) *Error {
	name := path[len(path)-1]
	switch {
	case len(path) == 2 && path[0] == "nodes" && !isNodeName(name):
		return newError("use a name of letters, digits, - and _", "")
	case len(path) == 2 && path[0] == "nodes" && name == "demo":
		return newError("this name is taken: the demo node is built in", "")
	case len(path) == 3 && path[0] == "gateway" && path[1] == "roles":
		return checkRole(name)
	}
	return nil
}

// decodeValue reads the value of one key. A fault in a list item is reported at the position of the item.
func (f *File) decodeValue(found key, path []string, k, v *yaml.Node) *Error {
	dotted := strings.Join(path, ".")
	isList := found.kind >= kindList && v.Kind == yaml.SequenceNode
	nodes := []*yaml.Node{v}
	switch {
	case found.kind == kindLimit && v.Kind == yaml.MappingNode:
		text, err := limitMap(v, displayKey(path))
		f.put(dotted, text, v)
		return err
	case found.kind == kindJSON:
		text, err := jsonOf(v, displayKey(path))
		f.put(dotted, text, v)
		return err
	case found.kind == kindList && !isList:
		return withPosition(v, displayKey(path), newError("use a list, such as [a, b]", ""))
	case isList && len(v.Content) == 0 && found.kind == kindCommas:
		return withPosition(v, displayKey(path), newError("has no value", "leave the key out if there is none"))
	case isList && len(v.Content) == 0:
		return withPosition(v, displayKey(path), newError("has no value", ""))
	case isList:
		nodes = v.Content
	}
	var items []string
	for _, n := range nodes {
		text, err := scalar(n, found.kind)
		if err == nil && text == "" && found.Default != "" {
			err = newError("has no value", "")
		}
		if err != nil {
			return withPosition(n, displayKey(path), err)
		}
		values := []string{text}
		if !isList || found.kind != kindNodes && found.kind != kindList {
			values = found.kind.split(text)
		}
		for _, text := range values {
			if err := found.checkItem(items, text); err != nil {
				return withPosition(n, displayKey(path), err)
			}
			if found.kind >= kindList {
				f.positions[dotted+"/"+text] = position{n.Line, n.Column}
			}
			items = append(items, text)
		}
	}
	if found.Key == "nodes.*.headers.*" {
		for _, other := range f.keys {
			if strings.EqualFold(other, dotted) && strings.HasPrefix(other, strings.Join(path[:3], ".")+".") {
				return withPosition(k, displayKey(path), newError("is given twice; header names are case-insensitive", ""))
			}
		}
	}
	f.put(dotted, found.kind.join(items), v)
	return nil
}

func (f *File) put(key, text string, v *yaml.Node) {
	f.keys = append(f.keys, key)
	f.values[key], f.positions[key] = text, position{v.Line, v.Column}
}

// complete refuses a filter without words and an audit log without a file, even if the section is empty: they would
// look enabled but do nothing.
func (f *File) complete() *Error {
	for _, group := range []struct{ name, needs, one string }{
		{"filter", "needs file or words", "words"}, {"audit", "needs file", "file"},
	} {
		m, ok := f.positions[group.name]
		if ok && f.values[group.name+".file"] == "" && f.values[group.name+"."+group.one] == "" {
			e := newError(group.needs, "ferry config set "+group.name+".file PATH")
			e.Line, e.Column, e.Key = m.line, m.column, group.name
			return e
		}
	}
	return nil
}

// each calls visit for every entry of a map. The map may be empty or null, because all its entries may be commented
// out.
func each(n *yaml.Node, key string, visit func(name string, k, v *yaml.Node) *Error) *Error {
	if isNull(n) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return withPosition(n, key, newError("use keys and values", ""))
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if err := visit(k.Value, k, v); err != nil {
			return err
		}
	}
	return nil
}

// scalar returns a value as it is written, so that tls.min may be 1.3 without quotes and a version may look like a
// date. Numbers and booleans must be unquoted, as everywhere in YAML.
func scalar(n *yaml.Node, k kind) (string, *Error) {
	switch {
	case k == kindNumber && (n.Kind != yaml.ScalarNode || !isPlain(n)):
		return "", newError("use a whole number, without quotes", "")
	case k == kindBool && (n.Kind != yaml.ScalarNode || !isPlain(n)):
		return "", newError("use true or false, without quotes", "")
	case n.Kind != yaml.ScalarNode:
		return "", newError("use a single value", "")
	case isNull(n):
		return "", newError("has no value", "")
	}
	return n.Value, nil
}

// limitMap converts the long form of a limit, {rate: 50/min, burst: 5}, to the short form.
func limitMap(m *yaml.Node, key string) (string, *Error) {
	var rate, burst string
	fault := each(m, key, func(name string, k, v *yaml.Node) *Error {
		var err *Error
		switch name {
		case "rate":
			if rate, err = scalar(v, kindText); err == nil {
				_, err = parseRate(rate)
			}
		case "burst":
			if burst, err = scalar(v, kindNumber); err == nil {
				err = checkBurst(burst)
			}
			burst = burstWord + burst
		default:
			return withPosition(k, join(key, name), newError(didYouMean("unknown key", name, []string{"rate", "burst"}), ""))
		}
		if err != nil {
			return withPosition(v, key+"."+name, err)
		}
		return nil
	})
	if fault == nil && rate == "" {
		fault = withPosition(m, key+".rate", newError("is required", ""))
	}
	return rate + burst, fault
}

// jsonOf returns a value as JSON, with its members in their order.
func jsonOf(n *yaml.Node, key string) (string, *Error) {
	var parts []string
	switch {
	case isNull(n):
		return "null", nil
	case n.Kind == yaml.MappingNode:
		err := each(n, key, func(name string, _, v *yaml.Node) *Error {
			text, err := jsonOf(v, key)
			parts = append(parts, jsonText(name)+":"+text)
			return err
		})
		return "{" + strings.Join(parts, ",") + "}", err
	case n.Kind == yaml.SequenceNode:
		for _, v := range n.Content {
			text, err := jsonOf(v, key)
			if err != nil {
				return "", err
			}
			parts = append(parts, text)
		}
		return "[" + strings.Join(parts, ",") + "]", nil
	case !isPlain(n) || n.ShortTag() == "!!str" || n.ShortTag() == "!!timestamp":
		return jsonText(n.Value), nil
	case json.Valid([]byte(n.Value)): // a number, true or false; the digits are kept
		return n.Value, nil
	}
	var v any
	if err := n.Decode(&v); err == nil {
		if text, err := json.Marshal(v); err == nil {
			return string(text), nil
		}
	}
	return "", withPosition(n, key, newError("is not a JSON value", "quote it if it is a string"))
}

package config

import (
	"strings"

	"go.yaml.in/yaml/v4"
)

// decoder turns a tree into a File. Every method stops at the first fault.
type decoder struct {
	file   *File
	fields []nodeField
}

// groups are the top level's maps of settings.
func groups() []string { return []string{"retry", "failover", "tls", "session", "filter", "audit"} }

func (d *decoder) top(root *yaml.Node) *Error {
	return each(root, "", func(name string, k, v *yaml.Node) *Error {
		switch name {
		case "nodes":
			return d.nodes(v)
		case "gateway":
			return d.gateway(k, v)
		}
		for _, g := range groups() {
			if name == g {
				return d.group(g, v)
			}
		}
		if s, ok := findSetting(name); ok && s.InFile && !strings.Contains(name, ".") {
			return d.setting(s, v)
		}
		return at(k, join("", name), bad(meant("unknown key", name, topNames()), ""))
	})
}

// topNames are the keys of the file's top level.
func topNames() []string {
	var names []string
	for _, s := range settings() {
		name, _, _ := strings.Cut(s.Key, ".")
		if s.InFile && (len(names) == 0 || names[len(names)-1] != name) {
			names = append(names, name)
		}
	}
	return append(names, "nodes", "gateway")
}

func (d *decoder) group(group string, v *yaml.Node) *Error {
	return each(v, group, func(name string, k, v *yaml.Node) *Error {
		s, ok := findSetting(group + "." + name)
		if !ok || !s.InFile {
			return at(k, join(group, name), bad(meant("unknown key", name, fileKeys(group)), ""))
		}
		return d.setting(s, v)
	})
}

func (d *decoder) setting(s setting, v *yaml.Node) *Error {
	if s.Key == "node" && v.Kind == yaml.SequenceNode {
		return d.nodeList(s, v)
	}
	if s.Key == "limit" && v.Kind == yaml.MappingNode {
		text, err := limitMap(v, s.Key)
		d.file.values[s.Key] = fileValue{text, v.Line}
		return err
	}
	text, err := scalarOrList(v, s.kind)
	if err == nil && text == "" && s.Default != "" {
		err = bad("has no value", "")
	}
	if err == nil {
		err = s.check(text)
	}
	if err != nil {
		return placed(v, s.Key, err)
	}
	d.file.values[s.Key] = fileValue{text, v.Line}
	return nil
}

func scalarOrList(v *yaml.Node, k kind) (string, *Error) {
	if k == kindList {
		return sequence(v)
	}
	return scalar(v, k)
}

func (d *decoder) nodes(v *yaml.Node) *Error {
	return each(v, "nodes", func(name string, k, v *yaml.Node) *Error {
		key := join("nodes", name)
		if !isNodeName(name) {
			return at(k, key, bad("use a name of letters, digits, - and _", ""))
		}
		if name == "demo" {
			return at(k, key, bad("this name is taken: the demo node is built in", ""))
		}
		n := Node{Name: name, InFile: true, origins: map[string]string{"": d.file.origin(k.Line)}}
		if err := each(v, key, func(field string, k, v *yaml.Node) *Error { return d.field(&n, key, field, k, v) }); err != nil {
			return err
		}
		if field, err := n.checkWhole(); err != nil {
			return at(k, key+"."+field, err)
		}
		d.file.Nodes = append(d.file.Nodes, n)
		return nil
	})
}

// field reads one key of a node; of a map inside it, each.
func (d *decoder) field(n *Node, key, name string, k, v *yaml.Node) *Error {
	switch name {
	case "headers":
		return each(v, key+".headers", func(h string, k, v *yaml.Node) *Error { return d.header(n, key, h, k, v) })
	case "aliases":
		return each(v, key+".aliases", func(name string, _, v *yaml.Node) *Error { return d.alias(n, key, name, v) })
	case "tls":
		return each(v, key+".tls", func(sub string, k, v *yaml.Node) *Error {
			return d.plainField(n, key, "tls."+sub, sub, "tls.", k, v)
		})
	}
	if strings.Contains(name, ".") {
		return at(k, join(key, name), bad("unknown key", ""))
	}
	return d.plainField(n, key, name, name, "", k, v)
}

func (d *decoder) plainField(n *Node, key, name, short, prefix string, k, v *yaml.Node) *Error {
	var names []string
	for _, f := range d.fields {
		if f.name != name {
			if rest, ok := strings.CutPrefix(f.name, prefix); ok && !strings.Contains(rest, ".") {
				names = append(names, rest)
			}
			continue
		}
		if f.kind == kindCommas {
			return d.list(n, key, f, v)
		}
		text, err := scalar(v, f.kind)
		if name == "limit" && v.Kind == yaml.MappingNode {
			if text, err = limitMap(v, key+".limit"); err != nil {
				return err
			}
		}
		if err == nil {
			err = f.set(n, text)
		}
		if err != nil {
			return at(v, key+"."+name, err)
		}
		n.origins[name] = d.file.origin(v.Line)
		return nil
	}
	if prefix == "" {
		names = append(names, nodeMaps...)
	}
	return at(k, join(key, prefix+short), bad(meant("unknown key", short, names), ""))
}

// list reads one text or a list of them. A fault is placed at its own item.
func (d *decoder) list(n *Node, key string, f nodeField, v *yaml.Node) *Error {
	items := []*yaml.Node{v}
	if v.Kind == yaml.SequenceNode {
		items = v.Content
	}
	if len(items) == 0 {
		return at(v, key+"."+f.name, bad("has no value", "leave the key out where there is none"))
	}
	for _, item := range items {
		text, err := scalar(item, kindText)
		if err == nil {
			err = f.set(n, text)
		}
		if err != nil {
			return at(item, key+"."+f.name, err)
		}
	}
	n.origins[f.name] = d.file.origin(v.Line)
	return nil
}

func (d *decoder) alias(n *Node, key, name string, v *yaml.Node) *Error {
	text, err := scalar(v, kindText)
	if err == nil {
		err = checkAlias(name, text)
	}
	if err != nil {
		return at(v, join(key+".aliases", name), err)
	}
	n.Aliases = append(n.Aliases, Alias{name, text})
	n.origins["aliases."+name] = d.file.origin(v.Line)
	return nil
}

func (d *decoder) header(n *Node, key, name string, k, v *yaml.Node) *Error {
	full := key + ".headers." + name
	if !isToken(name) {
		full = join(key+".headers", name)
	}
	text, err := scalar(v, kindText)
	if err != nil {
		return at(v, full, err)
	}
	h, err := parseHeader(name, text)
	if err != nil {
		return at(v, full, err)
	}
	for _, other := range n.Headers {
		if strings.EqualFold(other.Name, name) {
			return at(k, full, bad("is given twice; the case of a header's name does not count", ""))
		}
	}
	n.Headers = append(n.Headers, h)
	n.origins["headers."+name] = d.file.origin(v.Line)
	return nil
}

// each calls visit for every entry of a map, which may be empty or null: all its entries may be commented out.
func each(n *yaml.Node, key string, visit func(name string, k, v *yaml.Node) *Error) *Error {
	if isNull(n) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return at(n, key, bad("use keys and values", ""))
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
// date. Numbers and truth values must stand without quotes, as anywhere in YAML.
func scalar(n *yaml.Node, k kind) (string, *Error) {
	switch {
	case n.Kind != yaml.ScalarNode && k == kindText:
		return "", bad("use a single value", "")
	case isNull(n):
		return "", bad("has no value", "")
	case k == kindNumber && (n.Kind != yaml.ScalarNode || !isPlain(n)):
		return "", bad("use a whole number, without quotes", "")
	case k == kindBool && (n.Kind != yaml.ScalarNode || !isPlain(n)):
		return "", bad("use true or false, without quotes", "")
	}
	return n.Value, nil
}

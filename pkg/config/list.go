package config

import (
	"strings"
	"unicode"

	"ferry/pkg/guard"
)

// Entry is an effective setting, as List returns it.
type Entry struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Origin string `json:"from"`
}

// List returns every effective setting and every key of the file's nodes, roles and gateway, each with its origin. A
// secret is shown as its reference, a proxy without its password.
func List(v *Values) []Entry {
	var list []Entry
	for _, k := range keys {
		if k.Usage == "" {
			continue
		}
		val := v.set[k.Key]
		switch k.Key {
		case "proxy":
			val.text = ShowProxy(val.text)
		case "node":
			val.text = strings.Join(v.Nodes, ",")
		}
		list = append(list, Entry{k.Key, guard.HideKeys(val.text), val.origin})
	}
	for _, name := range v.file.Nodes {
		list = append(list, v.file.node(name).entries()...)
	}
	for _, role := range v.file.under("roles") {
		list = append(list, Entry{"roles." + role.Key, guard.HideKeys(role.Value), role.Origin})
	}
	if _, ok := v.file.positions["gateway"]; ok {
		list = append(list, v.file.gatewayEntries()...)
	}
	return list
}

// entries returns a node's keys, both those that were set and those derived from them.
func (n Node) entries() []Entry {
	n.read(n.setValue)
	var list []Entry
	for _, k := range keys {
		field, ok := strings.CutPrefix(k.Key, "nodes.*.")
		if prefix, many := strings.CutSuffix(field, "*"); many {
			for _, e := range n.fields {
				if name, ok := strings.CutPrefix(e.Key, prefix); ok {
					list = append(list, Entry{e.Key, publicText(prefix, name, e.Value), e.Origin})
				}
			}
			continue
		}
		text := n.setValue(field)
		switch {
		case !ok, k.kind == kindBool && text == "false":
			continue
		case field == "api":
			text = string(n.API)
		case field == "auth":
			text = n.Auth.String()
		case field == "proxy":
			text = ShowProxy(text)
		}
		if field != "pins" { // hashes of public keys, which may begin like an API key
			text = guard.HideKeys(text)
		}
		if text != "" || field == "system" && n.entry(field).Origin != "" { // "" sends none, instead of the file's
			list = append(list, Entry{field, text, n.Origin(field)})
		}
	}
	for i := range list {
		list[i].Key = "nodes." + n.Name + "." + list[i].Key
	}
	return list
}

// publicText returns the value of a header or an alias as it may be shown.
func publicText(prefix, name, text string) string {
	if prefix != "headers." {
		return text
	}
	h, _ := parseHeader(name, text)
	switch {
	case h.Ref != "":
		return string(h.Ref)
	case isOpaque(h.Value):
		return "***"
	}
	return guard.HideKeys(h.Value)
}

func (f *File) gatewayEntries() []Entry {
	var list []Entry
	for _, k := range keys {
		if text, ok := f.values[k.Key]; ok && strings.HasPrefix(k.Key, "gateway.") {
			list = append(list, Entry{k.Key, text, f.origin(k.Key)})
		} else if strings.HasPrefix(k.Key, "gateway.") && k.Default != "" {
			list = append(list, Entry{k.Key, k.Default, "default"})
		}
	}
	for _, role := range f.under("gateway.roles") {
		list = append(list, Entry{"gateway.roles." + role.Key, role.Value, role.Origin})
	}
	return list
}

// isOpaque reports whether s is a word that is long and mixed enough to be an API key of an unknown shape.
func isOpaque(s string) bool {
	return len(s) >= 24 && !strings.ContainsAny(s, " /.:") && strings.ContainsAny(s, "0123456789") &&
		strings.ContainsFunc(s, unicode.IsLetter)
}

// Get returns the value of a key in a list, and whether the list has it. The case of a header's name does not matter.
func Get(list []Entry, key string) (string, bool) {
	for _, e := range list {
		if e.Key == key || strings.Contains(key, ".headers.") && strings.EqualFold(e.Key, key) {
			return e.Value, true
		}
	}
	return "", false
}

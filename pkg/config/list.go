package config

import (
	"strings"
	"unicode"

	"ferry/pkg/guard"
)

// Entry is a setting in effect, as List shows it.
type Entry struct{ Key, Value, Origin string }

// List shows every setting in effect and every key of the file's nodes and gateway, with where each comes from. Secrets are shown
// as their reference, a proxy without its password.
func List(v *Values, file *File) []Entry {
	var list []Entry
	for _, s := range settings() {
		val := v.set[s.Key]
		switch s.Key {
		case "proxy":
			val.text = ShowProxy(val.text)
		case "node":
			val.text = strings.Join(v.Nodes, ",")
		}
		list = append(list, Entry{s.Key, guard.HideKeys(val.text), val.origin})
	}
	for _, n := range file.Nodes {
		list = append(list, n.entries()...)
	}
	if file.gateway != nil {
		list = append(list, file.gateway.entries()...)
	}
	return list
}

// entries lists a node's keys, those that were said and those that follow from them.
func (n Node) entries() []Entry {
	n.fill()
	prefix := "nodes." + n.Name + "."
	var list []Entry
	for _, f := range nodeFields() {
		text := f.show(n)
		if text == "" {
			continue
		}
		if f.name == "proxy" {
			text = ShowProxy(text)
		}
		if f.name != "pins" { // hashes of public keys, which may begin as a key does
			text = guard.HideKeys(text)
		}
		list = append(list, Entry{prefix + f.name, text, n.Origin(f.name)})
	}
	for _, a := range n.Aliases {
		list = append(list, Entry{prefix + "aliases." + a.Name, a.Model, n.Origin("aliases." + a.Name)})
	}
	for _, h := range n.Headers {
		text := guard.HideKeys(h.Value)
		switch {
		case !h.Ref.IsZero():
			text = h.Ref.String()
		case isOpaque(h.Value):
			text = "***"
		}
		list = append(list, Entry{prefix + "headers." + h.Name, text, n.Origin("headers." + h.Name)})
	}
	return list
}

// isOpaque holds for a word that is long and mixed enough to be a key of an unlisted shape.
func isOpaque(s string) bool {
	return len(s) >= 24 && !strings.ContainsAny(s, " /.:") && strings.ContainsAny(s, "0123456789") &&
		strings.ContainsFunc(s, unicode.IsLetter)
}

// Get is the value of one key of a list.
func Get(list []Entry, key string) (string, bool) {
	for _, e := range list {
		if e.Key == key || strings.Contains(key, ".headers.") && strings.EqualFold(e.Key, key) {
			return e.Value, true
		}
	}
	return "", false
}

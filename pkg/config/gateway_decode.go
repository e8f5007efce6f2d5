package config

import (
	"strings"

	"go.yaml.in/yaml/v4"
)

// gateway reads the section. k is its key.
func (d *decoder) gateway(k, v *yaml.Node) *Error {
	g := &Gateway{file: d.file, texts: map[string]string{}, marks: map[string]mark{"": {k.Line, k.Column}}}
	d.file.gateway = g
	return each(v, "gateway", func(name string, k, v *yaml.Node) *Error {
		if name == "roles" {
			g.marks["roles"] = mark{k.Line, k.Column}
			return each(v, "gateway.roles", func(name string, k, v *yaml.Node) *Error { return g.role(name, k, v) })
		}
		f, ok := findGatewayField(name)
		if !ok {
			return at(k, join("gateway", name), bad(meant("unknown key", name, gatewayNames()), ""))
		}
		return g.field(f, v)
	})
}

// field reads one key, which may be a list.
func (g *Gateway) field(f gatewayField, v *yaml.Node) *Error {
	key := "gateway." + f.name
	g.marks[f.name] = mark{v.Line, v.Column}
	items, err := g.each(f.name, key, v, f.kind, f.list)
	if err != nil {
		return err
	}
	for _, item := range items {
		if err := f.check(item.text); err != nil {
			return at(item.node, key, err)
		}
	}
	g.texts[f.name] = joinItems(items)
	return nil
}

func (g *Gateway) role(name string, k, v *yaml.Node) *Error {
	if err := checkRole(name); err != nil {
		return at(k, join("gateway.roles", name), err)
	}
	key := "roles." + name
	g.marks[key] = mark{v.Line, v.Column}
	items, err := g.each(key, "gateway."+key, v, kindText, true)
	if err != nil {
		return err
	}
	role := Role{Name: name}
	for _, item := range items {
		if err := checkPermission(item.text); err != nil {
			return at(item.node, "gateway."+key, err)
		}
		role.Permissions = append(role.Permissions, item.text)
	}
	g.Roles = append(g.Roles, role)
	return nil
}

// item is one value of a list, with the node where it stands.
type item struct {
	text string
	node *yaml.Node
}

func joinItems(items []item) string {
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = item.text
	}
	return strings.Join(texts, ",")
}

// each takes a value apart: a list of YAML's, or one text, with commas where a list is wanted. It marks each item's place.
func (g *Gateway) each(name, key string, v *yaml.Node, k kind, list bool) ([]item, *Error) {
	nodes := []*yaml.Node{v}
	if list && v.Kind == yaml.SequenceNode {
		if nodes = v.Content; len(nodes) == 0 {
			return nil, at(v, key, bad("has no value", ""))
		}
	}
	var items []item
	for _, n := range nodes {
		text, err := scalar(n, k)
		if err == nil && text == "" {
			err = bad("has no value", "")
		}
		if err != nil {
			return nil, at(n, key, err)
		}
		texts := []string{text}
		if list {
			texts = splitList(text)
		}
		for _, text := range texts {
			if _, twice := g.marks[name+"/"+text]; twice {
				return nil, at(n, key, bad("names the same twice", ""))
			}
			g.marks[name+"/"+text] = mark{n.Line, n.Column}
			items = append(items, item{text, n})
		}
	}
	return items, nil
}

// parseGatewayKey knows the section's keys for Set and Unset.
func parseGatewayKey(k keyPath) (keyPath, *Error) {
	k.parts = strings.SplitN(k.text, ".", 3)
	if len(k.parts) == 1 || len(k.parts) == 2 && k.parts[1] == "roles" {
		k.isGroup = true
		return k, nil
	}
	if k.parts[1] == "roles" {
		k.check = func(text string) *Error {
			for _, p := range splitList(text) {
				if err := checkPermission(p); err != nil {
					return err
				}
			}
			return nil
		}
		return k, checkRole(k.parts[2])
	}
	name := strings.Join(k.parts[1:], ".")
	f, ok := findGatewayField(name)
	if !ok {
		return k, bad(meant("unknown key", name, gatewayNames()), "")
	}
	k.kind, k.check = f.kind, f.checkAll
	return k, nil
}

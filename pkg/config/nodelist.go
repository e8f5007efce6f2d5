package config

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// SplitNodes takes a failover order apart: commas or line ends stand between its nodes. A comma in a URL's query is the
// query's own, as in demo:?status=429,503, unless another URL or demo node follows it; -n given again, and a list in the
// file, are never misread, since they join with line ends.
func SplitNodes(text string) []string {
	var names []string
	for line := range strings.SplitSeq(text, "\n") {
		from := 0
		for i := range len(line) {
			if line[i] == ',' && endsNode(line[from:i], line[i+1:]) {
				names = append(names, strings.TrimSpace(line[from:i]))
				from = i + 1
			}
		}
		names = append(names, strings.TrimSpace(line[from:]))
	}
	return names
}

// endsNode reports whether the comma between the two ends the node before it.
func endsNode(before, after string) bool {
	after = strings.TrimSpace(after)
	next, _, _ := strings.Cut(after, ",")
	return !strings.Contains(before, "?") || isURL(after) || strings.TrimSpace(next) == "demo" ||
		strings.HasPrefix(after, "demo:") || strings.HasPrefix(after, "demo/")
}

// JoinNodes is the text that SplitNodes takes apart into these names, on one line where that can be.
func JoinNodes(names []string) string {
	if text := strings.Join(names, ","); slices.Equal(SplitNodes(text), names) {
		return text
	}
	return strings.Join(names, "\n")
}

// checkNodes is the rule for a node or several.
func checkNodes(text string) *Error {
	names := SplitNodes(text)
	for i, name := range names {
		if err := checkSelector(name); err != nil {
			return err
		}
		if slices.Contains(names[:i], name) {
			return bad("names a node twice", "")
		}
	}
	return nil
}

// nodeList reads the top level's node where it is a list.
func (d *decoder) nodeList(s setting, v *yaml.Node) *Error {
	var names []string
	for _, n := range v.Content {
		text, err := scalar(n, kindText)
		if err == nil {
			err = checkSelector(text)
		}
		if err == nil && slices.Contains(names, text) {
			err = bad("names a node twice", "")
		}
		if err != nil {
			return at(n, s.Key, err)
		}
		names = append(names, text)
	}
	if len(names) == 0 {
		return at(v, s.Key, bad("has no value", ""))
	}
	d.file.values[s.Key] = fileValue{JoinNodes(names), v.Line}
	return nil
}

// checkZone is the rule for where a node is, such as cn or eu-west: it is repeated in messages.
func checkZone(s string) *Error {
	if err := checkText(s); err != nil {
		return err
	}
	if !isNodeName(s) {
		return bad("wants a word such as cn or eu-west", "")
	}
	return nil
}

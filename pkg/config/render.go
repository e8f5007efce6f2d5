package config

import (
	"fmt"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"
)

// renderBlock writes entries one inside the other, a line each.
func renderBlock(parts []string, indent, step int, value, eol string) string {
	var b strings.Builder
	for i, p := range parts {
		b.WriteString(strings.Repeat(" ", indent+i*step) + renderKey(p) + ":")
		if i == len(parts)-1 {
			b.WriteString(" " + value)
		}
		b.WriteString(eol)
	}
	return b.String()
}

func renderFlow(parts []string, value string) string {
	text := renderKey(parts[len(parts)-1]) + ": " + value
	for i := len(parts) - 2; i >= 0; i-- {
		text = renderKey(parts[i]) + ": {" + text + "}"
	}
	return text
}

// renderKey quotes what a reader of YAML could take for something else than a word.
func renderKey(s string) string {
	if isPlainText(s) {
		return s
	}
	return quoted(s)
}

// render writes a value: a number or a truth value as it is, text in the quotes that were there, or in the ones it
// needs.
func render(k keyPath, s string, was yaml.Style) string {
	switch {
	case k.kind == kindList:
		return renderList(k, listItems(s))
	case k.kind == kindCommas:
		return renderCommas(s)
	case k.kind != kindText:
		return s // it passed its rule, so it has nothing to quote
	case was&yaml.SingleQuotedStyle != 0 && !strings.ContainsFunc(s, unicode.IsControl):
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	case was&yaml.DoubleQuotedStyle != 0 || !isPlainText(s):
		return quoted(s)
	}
	return s
}

// renderCommas writes a list on one line.
func renderCommas(s string) string {
	items := splitCommas(s)
	for i, item := range items {
		items[i] = quoted(item)
	}
	return "[" + strings.Join(items, ", ") + "]"
}

// quoted is s in double quotes with the escapes of YAML.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	return b.String() + `"`
}

// isPlainText holds for text that means itself without quotes, in every version of YAML: it begins with a letter or is
// a duration, has no mark of YAML's in it, and is none of the words for true, false and nothing.
func isPlainText(s string) bool {
	switch strings.ToLower(s) {
	case "", "true", "false", "yes", "no", "on", "off", "y", "n", "null":
		return false
	}
	rest := strings.TrimPrefix(strings.TrimPrefix(s, "https://"), "http://")
	for i, r := range rest {
		switch {
		case unicode.IsLetter(r):
		case i == 0 && (!unicode.IsDigit(r) || checkDelay(s) != nil):
			return false
		case !unicode.IsDigit(r) && !strings.ContainsRune("-_./~", r):
			return false
		}
	}
	return rest != ""
}

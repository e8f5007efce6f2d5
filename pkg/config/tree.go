package config

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// maxDepth limits nesting; the deepest key, nodes.NAME.headers.NAME, needs four levels.
const maxDepth = 16

// parseTree reads one YAML document. It refuses everything that is invalid in this file under any key: further
// documents, anchors, aliases, tags, duplicate keys, and anything that looks like an API key. It returns nil for a
// file without content.
func parseTree(src []byte) (*yaml.Node, *Error) {
	if err := checkBytes(src); err != nil {
		return nil, err
	}
	doc, err := loadOne(src)
	if err != nil || doc == nil || len(doc.Content) == 0 {
		return nil, err
	}
	root := doc.Content[0]
	if err := checkNode(root, "", 0); err != nil {
		return nil, err
	}
	if isNull(root) {
		return nil, nil
	}
	if root.Kind != yaml.MappingNode {
		return nil, withPosition(root, "", newError("use keys and values, such as timeout: 10m", ""))
	}
	return root, nil
}

// checkBytes refuses characters that editors do not show and characters that only YAML treats as line breaks, so that
// line numbers agree between YAML, the reader of a message, and the code that edits one value.
func checkBytes(src []byte) *Error {
	if len(src) > MaxSize {
		return newError("is larger than 1 MiB", "")
	}
	text := strings.TrimPrefix(string(src), "\ufeff")
	for i, r := range text {
		msg := ""
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], "\ufffd"):
			msg = "is not UTF-8"
		case r == '\r' && !strings.HasPrefix(text[i:], "\r\n"):
			msg = "has a carriage return without a line feed"
		case r < ' ' && r != '\n' && r != '\r' && r != '\t', r >= 0x7f && r <= 0x9f, r == '\ufeff':
			msg = "has a control character"
		case r == '\u2028', r == '\u2029':
			msg = "has a line separator that is not a line feed"
		}
		if msg != "" {
			before := text[:i]
			line := before[strings.LastIndexByte(before, '\n')+1:]
			return &Error{Line: 1 + strings.Count(before, "\n"), Column: 1 + utf8.RuneCountInString(line), Msg: msg}
		}
	}
	return nil
}

// loadOne runs the library. Its messages can quote the file, so they are replaced.
func loadOne(src []byte) (doc *yaml.Node, fault *Error) {
	defer func() {
		if recover() != nil { // the library panics on its own bugs
			doc, fault = nil, newError("cannot be read as YAML", "")
		}
	}()
	// The library's own limit of 10000 levels takes a second to reach.
	limit := loaderlimits.DepthFunc(func(depth int, _ *yaml.DepthContext) error {
		if depth > 4*maxDepth { // a level of the file can be several levels of the parser
			return errors.New(tooDeep)
		}
		return nil
	})
	loader, err := yaml.NewLoader(bytes.NewReader(src), yaml.WithPlugin(loaderlimits.New(limit)))
	if err != nil {
		return nil, syntaxError(err)
	}
	var first, second yaml.Node
	if err := loader.Load(&first); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, syntaxError(err)
	}
	switch err := loader.Load(&second); {
	case err == nil:
		return nil, withPosition(&second, "", newError("a second document begins here; only one is allowed", ""))
	case !errors.Is(err, io.EOF):
		return nil, syntaxError(err)
	}
	return &first, nil
}

func syntaxError(err error) *Error {
	le, ok := errors.AsType[*yaml.LoadError](err)
	if !ok {
		return newError("is not valid YAML", "")
	}
	e := &Error{Line: le.Mark.Line, Column: le.Mark.Column, Msg: wording(le.Message)}
	if le.Message == unclosedQuote && le.ContextMark.Line > 0 {
		e.Line, e.Column = le.ContextMark.Line, le.ContextMark.Column
	}
	return e
}

const (
	unclosedQuote = "found unexpected end of stream"
	tooDeep       = "is nested too deep"
)

// wording replaces the library's most common messages. Unknown messages are not shown, because some of them quote the
// file.
func wording(msg string) string {
	ours := map[string]string{
		tooDeep:       tooDeep,
		unclosedQuote: "a quote is not closed",
		"mapping values are not allowed in this context":               "a ':' is not allowed here; check the indentation, and quote a value that contains one",
		"found character that cannot start any token":                  "a value cannot begin with this character; quote it, and indent with spaces",
		"found a tab character where an indentation space is expected": "a tab is not allowed here; indent with spaces",
		"did not find expected key":                                    "a key is expected here; check the indentation and the quotes",
		"could not find expected ':'":                                  "a ':' is missing after a key",
		"did not find expected ',' or ']'":                             "a ',' or the closing bracket is missing",
		"did not find expected ',' or '}'":                             "a ',' or the closing bracket is missing",
		"block sequence entries are not allowed in this context":       "a '-' is not allowed here",
	}
	return cmp.Or(ours[msg], "is not valid YAML")
}

// checkNode checks the whole tree, including unknown keys, so that a secret pasted anywhere is found before any
// message can repeat it.
func checkNode(n *yaml.Node, key string, depth int) *Error {
	switch {
	case depth > maxDepth:
		return withPosition(n, "", newError(tooDeep, ""))
	case n.Kind == yaml.AliasNode, n.Anchor != "":
		return withPosition(n, key, newError("anchors and aliases are not used in this file", "write the value out"))
	case n.Style&yaml.TaggedStyle != 0:
		return withPosition(n, key, newError("tags are not used in this file", "write the value without its !tag"))
	case n.Kind == yaml.ScalarNode && looksLikeKey(n.Value):
		return withPosition(n, key, newError("this looks like a key to an API, and is not shown", refHint))
	}
	if n.Kind != yaml.MappingNode {
		for _, c := range n.Content {
			if err := checkNode(c, key, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	seen := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if err := checkNode(k, key, depth+1); err != nil {
			return err
		}
		if k.Kind != yaml.ScalarNode {
			return withPosition(k, key, newError("a key must be a word", ""))
		}
		inner := join(key, k.Value)
		if line, ok := seen[k.Value]; ok {
			return withPosition(k, inner, newError("is given twice; first on line "+strconv.Itoa(line), ""))
		}
		seen[k.Value] = k.Line
		if err := checkNode(v, inner, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// withPosition sets the position and key of an error.
func withPosition(n *yaml.Node, key string, e *Error) *Error {
	e.Line, e.Column, e.Key = n.Line, n.Column, key
	return e
}

// join returns a dotted key. A name that does not look like a word is not repeated: it may be a secret in the wrong
// place.
func join(key, name string) string {
	if !isWord(name) {
		name = "…"
	}
	if key == "" {
		return name
	}
	return key + "." + name
}

// isNull reports whether n is empty, ~ or null.
func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && isPlain(n) && slices.Contains([]string{"", "~", "null", "Null", "NULL"}, n.Value)
}

// isPlain reports whether a scalar has no quotes and is not in block style.
func isPlain(n *yaml.Node) bool {
	return n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
}

// displayKey returns the dotted key of a path as a message may repeat it.
func displayKey(path []string) string {
	key := ""
	for _, name := range path {
		key = join(key, name)
	}
	return key
}

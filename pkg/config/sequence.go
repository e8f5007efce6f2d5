package config

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"ferry/pkg/guard"

	"go.yaml.in/yaml/v4"
)

// A list is held as one text, a JSON array of strings, so that it travels as every other value does.

func listText(items []string) string {
	if len(items) == 0 {
		return ""
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(items) // strings always encode
	return strings.TrimSuffix(b.String(), "\n")
}

// listItems reads what listText wrote, nil for "".
func listItems(text string) []string {
	var items []string
	_ = json.Unmarshal([]byte(text), &items) // "" is no list
	return items
}

// typedList reads a list as it is typed: [a, b] as in the file, or one item as it is.
func typedList(text string) (string, *Error) {
	if !strings.HasPrefix(text, "[") || !strings.HasSuffix(text, "]") {
		return listText([]string{text}), nil
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil || len(doc.Content) != 1 {
		return "", bad("use a list, such as [a, b]", "quote an item that holds a mark of YAML's: [\"a: b\"]")
	}
	return sequence(doc.Content[0])
}

// sequence reads a list of the file.
func sequence(v *yaml.Node) (string, *Error) {
	if v.Kind != yaml.SequenceNode {
		return "", bad("use a list, such as [a, b]", "")
	}
	if len(v.Content) == 0 {
		return "", bad("has no value", "")
	}
	var items []string
	for i, item := range v.Content {
		text, err := scalar(item, kindText)
		if err != nil {
			err.item = i + 1
			return "", err
		}
		items = append(items, text)
	}
	return listText(items), nil
}

// placed puts a fault in a value in its place, which for a list is the item's.
func placed(v *yaml.Node, key string, err *Error) *Error {
	if err.item > 0 && err.item <= len(v.Content) {
		v = v.Content[err.item-1]
	}
	return at(v, key, err)
}

// renderList writes a list as the file has it.
func renderList(k keyPath, items []string) string {
	k.kind = kindText
	for i, item := range items {
		items[i] = render(k, item, 0)
	}
	return "[" + strings.Join(items, ", ") + "]"
}

// splitCommas are the items of a list that is written as one text.
func splitCommas(text string) []string {
	items := strings.Split(text, ",")
	for i, item := range items {
		items[i] = strings.TrimSpace(item)
	}
	return items
}

func joinCommas(items []string) string { return strings.Join(items, ",") }

// foldList gives a list that flatten took apart as the one value that it is.
func foldList(values map[string]string, path string, join func([]string) string) {
	var items []string
	for i := 0; ; i++ {
		item, ok := values[path+"\x00["+itoa(i)]
		if !ok {
			break
		}
		delete(values, path+"\x00["+itoa(i))
		items = append(items, item)
	}
	if items != nil {
		values[path] = join(items)
	}
}

// checkItems is the rule for each item of a list.
func checkItems(text, what string, check func(string) *Error) *Error {
	for i, item := range listItems(text) {
		if err := check(item); err != nil {
			err.item = i + 1
			err.Msg = what + " " + itoa(i+1) + " " + err.Msg
			return err
		}
	}
	return nil
}

func checkOn(text string) *Error {
	places := []string{"prompt", "answer"}
	return checkItems(text, "place", func(s string) *Error {
		if !slices.Contains(places, s) {
			return bad(meant("is not one of prompt, answer", s, places), "")
		}
		return nil
	})
}

// checkWords holds the words to what the filter can look for. None is repeated in a message.
func checkWords(text string) *Error {
	if err := checkItems(text, "word", checkText); err != nil {
		return err
	}
	var fault *guard.FilterError
	if _, err := guard.NewFilter("", listItems(text)); errors.As(err, &fault) {
		e := bad("word "+itoa(fault.Line)+" "+fault.Reason, "")
		e.item = fault.Line
		return e
	}
	return nil
}

// checkPatterns does not repeat a pattern: it may be the very name that is not to be logged.
func checkPatterns(text string) *Error {
	return checkItems(text, "pattern", func(s string) *Error {
		if err := checkText(s); err != nil {
			return err
		}
		var fault *guard.PatternError
		if _, err := guard.NewRedactor([]string{s}); errors.As(err, &fault) {
			return bad("cannot be used: character "+itoa(fault.Column)+": "+fault.Reason, fault.Hint())
		}
		return nil
	})
}

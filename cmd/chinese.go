package cmd

import (
	_ "embed"
	"strconv"
	"strings"

	"ferry/pkg/report"
)

// chineseTable translates the errors, hints and notes that new users see first, one per line: English with {} for any
// text, an arrow, and Chinese with {1}, {2}… for these texts. Other messages are printed in English.
//
//go:embed chinese.txt
var chineseTable string

// translate returns a message in the user's language. For Chinese it looks up lines, parts of a hint, and the text
// after the name of a node or a file, one by one.
func (a *app) translate(message string) string {
	if a.lang != report.Chinese {
		return message
	}
	return chinese(message)
}

// maxTranslated is the longest message to translate, in bytes: a longer one contains a server's text.
const maxTranslated = 4 << 10

func chinese(message string) string {
	if len(message) > maxTranslated {
		return message
	}
	if said, ok := lookUp(message); ok {
		return said
	}
	lines := strings.Split(message, "\n")
	for i, line := range lines {
		lines[i], _ = chineseLine(line)
	}
	return strings.Join(lines, "\n")
}

// chineseLine translates a line and reports whether any part of it was found: the complete line, the text after a name,
// or a part of a hint.
func chineseLine(line string) (said string, found bool) {
	if said, found = lookUp(line); found {
		return said, true
	}
	if name, rest, ok := strings.Cut(line, ": "); ok && !strings.Contains(name, " ") {
		if said, found = chineseLine(rest); found {
			return name + "：" + said, true
		}
	}
	parts := strings.Split(line, "; ")
	if len(parts) == 1 {
		return line, false
	}
	for i, part := range parts {
		if said, ok := chineseLine(part); ok {
			parts[i], found = said, true
		}
	}
	if !found {
		return line, false
	}
	return strings.Join(parts, "；"), true
}

// lookUp translates a message that is in the table. The first matching row is used.
func lookUp(message string) (said string, ok bool) {
	for row := range strings.Lines(chineseTable) {
		english, translated, isRow := strings.Cut(strings.TrimSpace(row), " → ")
		texts, fit := matchPattern(english, message)
		if !isRow || !fit {
			continue
		}
		var filled []string
		for i, text := range texts {
			if !strings.HasPrefix(english, "status ") { // the server's words follow it
				text = chinese(text)
			}
			filled = append(filled, "{"+strconv.Itoa(i+1)+"}", text)
		}
		return strings.NewReplacer(filled...).Replace(translated), true
	}
	return "", false
}

// matchPattern returns the texts in place of {} if a message matches the pattern. A text may contain "; " only if the
// pattern ends in it, as ": {}": there another error follows, elsewhere the next part of a hint.
func matchPattern(pattern, message string) (texts []string, ok bool) {
	parts := strings.Split(pattern, "{}")
	message, ok = strings.CutPrefix(message, parts[0])
	for _, part := range parts[1:] {
		at := strings.Index(message, part)
		if part == "" {
			at = len(message)
		}
		if !ok || at < 0 || strings.Contains(message[:at], "; ") && (part != "" || !strings.HasSuffix(pattern, ": {}")) {
			return nil, false
		}
		texts, message = append(texts, message[:at]), message[at+len(part):]
	}
	return texts, ok && message == ""
}

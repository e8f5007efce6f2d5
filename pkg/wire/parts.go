package wire

import "bytes"

// readParts puts the texts of an array of content blocks together, and their reasoning, which is not of the answer. It
// reports false for what is no array of blocks.
func readParts(raw []byte) (said, thought []byte, ok bool) { return partsWithin(raw, maxNested) }

// partsWithin is readParts of blocks that nest no deeper than depth.
func partsWithin(raw []byte, depth int) (said, thought []byte, ok bool) {
	l := lexer{b: raw}
	if !l.enter('[') {
		return nil, nil, false
	}
	for l.more(']') {
		text, reasoning, ok := part(&l, depth)
		if !ok {
			return nil, nil, false
		}
		said, thought = joined(said, text), joined(thought, reasoning)
	}
	return said, thought, l.whole()
}

// joined puts two texts together, and copies nothing where one is empty: both may be a part of the body.
func joined(before, text []byte) []byte {
	if len(before) == 0 {
		return text[:len(text):len(text)]
	}
	return append(before, text...)
}

// part reads one block and gives its text, or its reasoning. null is an empty block, and any other value none.
func part(l *lexer, depth int) (said, thought []byte, ok bool) {
	if l.peek() == 'n' {
		return nil, nil, l.value() != nil
	}
	if !l.enter('{') {
		return nil, nil, false
	}
	var kind, text, thinking, summary []byte
	for name, ok := l.member(); ok; name, ok = l.member() {
		switch string(name) {
		case "type":
			kind = l.value()
		case "text":
			text = l.value()
		case "thinking":
			thinking = l.value()
		case "summary":
			summary = l.value()
		default:
			l.value()
		}
	}
	if !textOrNull(kind) || !textOrNull(text) {
		return nil, nil, false
	}
	switch string(unquote(kind)) {
	case "text", "output_text":
		return words(text), nil, true
	case "thinking", "reasoning", "reasoning.text", "reasoning.summary":
		return nil, firstWithin(depth-1, thinking, text, summary), true
	}
	return nil, nil, true
}

// firstText is the first value that says something: a text, or a list of texts.
func firstText(values ...[]byte) []byte { return firstWithin(maxNested, values...) }

// firstWithin is firstText of lists that nest no deeper than depth.
func firstWithin(depth int, values ...[]byte) []byte {
	for _, raw := range values {
		said := words(raw)
		if len(raw) > 0 && raw[0] == '[' && depth > 0 {
			inside, reasoning, _ := partsWithin(raw, depth)
			said = append(inside, reasoning...)
		}
		if len(said) > 0 {
			return said
		}
	}
	return nil
}

// textOrNull reports whether a raw value is a string, null or not there.
func textOrNull(raw []byte) bool { return isNull(raw) || isText(raw) }

// jsonLines reports whether a body is JSON objects, one a line: its first line is one, and there are more.
func jsonLines(body []byte) bool {
	body = bytes.TrimLeft(bytes.TrimPrefix(body, bom), " \t\r\n")
	first, rest, _ := bytes.Cut(body, []byte("\n"))
	if len(first) == 0 || first[0] != '{' || len(bytes.TrimSpace(rest)) == 0 {
		return false
	}
	_, ok := parse(first)
	return ok
}

package wire

import "bytes"

// Models reads a list of models: how many it has, and the ids of the first 4096. It reports false for what is no list.
func Models(body []byte) (ids []string, count int, ok bool) {
	l := lexer{b: bytes.TrimPrefix(body, bom)}
	if !l.enter('{') {
		return nil, 0, false
	}
	for {
		name, more := l.member()
		if !more {
			break
		}
		if string(name) != "data" || l.peek() != '[' {
			l.value()
			continue
		}
		l.enter('[')
		for ok = true; l.more(']'); count++ {
			if value := l.value(); len(ids) < maxElements {
				ids = append(ids, modelID(value))
			}
		}
	}
	return ids, count, ok && l.whole()
}

// modelID is the id of an entry, or its name, "" without one.
func modelID(raw []byte) string {
	fields, _ := parse(raw)
	for _, name := range []string{"id", "name"} {
		if id := stringOf(fields, name); id != "" {
			return id
		}
	}
	return ""
}

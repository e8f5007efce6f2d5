package wire

import (
	"math"
	"strconv"
)

// Usage is what an answer cost, in tokens. Input is the sum of all input, cached or not.
type Usage struct {
	Input         int `json:"input_tokens"`
	Output        int `json:"output_tokens"`
	CacheCreation int `json:"cache_creation_input_tokens"`
	CacheRead     int `json:"cache_read_input_tokens"`
}

// Total is all that the answer cost.
func (u Usage) Total() int64 { return int64(u.Input) + int64(u.Output) }

// maxTokens is the most tokens that a server is believed to count for one answer.
const maxTokens = 1_000_000_000

// counts puts the usages of an answer together: a stream may send several, each with some of the fields. A field is -1
// before it came. Messages and Complete have the first four, Chat the others; a gateway may have both.
type counts struct {
	input, created, read, output      int
	prompt, completion, total, cached int
	// wrong says that a number came that cannot be believed: then none is.
	wrong bool
}

func noCounts() counts { return counts{-1, -1, -1, -1, -1, -1, -1, -1, false} }

// add reads one more usage. What it has replaces what came before, since each counts from the start; a 0 does not
// replace a number, since some gateways fill in a 0 for what they do not know. The three fields of the input belong
// together: a later event may count the same tokens under another of them.
func (u *counts) add(raw []byte) {
	l := lexer{b: raw}
	if !l.enter('{') {
		return
	}
	next := noCounts()
	next.fields(&l)
	u.wrong = u.wrong || next.wrong
	input := next.input > 0 || next.created > 0 || next.read > 0
	merge(&u.input, next.input, input)
	merge(&u.created, next.created, input)
	merge(&u.read, next.read, input)
	merge(&u.output, next.output, false)
	merge(&u.prompt, next.prompt, false)
	merge(&u.completion, next.completion, false)
	merge(&u.total, next.total, false)
	merge(&u.cached, next.cached, false)
}

func merge(old *int, next int, zeroCounts bool) {
	if next > 0 || next == 0 && (zeroCounts || *old < 0) {
		*old = next
	}
}

func (u *counts) fields(l *lexer) {
	for name, ok := l.member(); ok; name, ok = l.member() {
		switch string(name) {
		case "input_tokens":
			u.number(&u.input, l)
		case "cache_creation_input_tokens":
			u.number(&u.created, l)
		case "cache_read_input_tokens":
			u.number(&u.read, l)
		case "output_tokens":
			u.number(&u.output, l)
		case "prompt_tokens":
			u.number(&u.prompt, l)
		case "completion_tokens":
			u.number(&u.completion, l)
		case "total_tokens":
			u.number(&u.total, l)
		case "prompt_cache_hit_tokens":
			u.number(&u.cached, l)
		case "prompt_tokens_details":
			u.details(l)
		default:
			l.value()
		}
	}
}

func (u *counts) details(l *lexer) {
	if !l.enter('{') {
		l.value()
		return
	}
	for name, ok := l.member(); ok; name, ok = l.member() {
		if string(name) == "cached_tokens" {
			u.number(&u.cached, l)
			continue
		}
		l.value()
	}
}

// number reads a number of tokens. null is none; anything that is no whole number from 0 to maxTokens is not believed.
func (u *counts) number(to *int, l *lexer) {
	raw := l.value()
	if len(raw) == 0 || string(raw) == "null" {
		return
	}
	number, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || number != math.Trunc(number) || number < 0 || number > maxTokens {
		u.wrong = true
		return
	}
	*to = int(number)
}

// usage is what the counts say in all, nil where they say nothing that can be believed. Some servers leave the reasoning
// out of completion_tokens: the total without the prompt is then the larger number.
func (u *counts) usage() *Usage {
	var out Usage
	switch {
	case u.wrong:
		return nil
	case u.prompt > 0 || u.completion > 0 || u.total > 0 && max(u.input, u.created, u.read, u.output) <= 0:
		out = Usage{
			Input: max(u.prompt, 0), Output: max(u.completion, u.total-max(u.prompt, 0), 0), CacheRead: max(u.cached, 0),
		}
	case *u == noCounts():
		return nil
	default:
		out = Usage{Output: max(u.output, 0), CacheCreation: max(u.created, 0), CacheRead: max(u.read, 0)}
		out.Input = max(u.input, 0) + out.CacheCreation + out.CacheRead
	}
	if out.Input > maxTokens {
		return nil
	}
	return &out
}

// usageOf reads the usage of a whole answer, from the first value that is one.
func usageOf(values ...[]byte) *Usage {
	u := noCounts()
	for _, raw := range values {
		if len(raw) > 0 && raw[0] == '{' {
			u.add(raw)
			break
		}
	}
	return u.usage()
}

// EstimateTokens guesses how many tokens a text is, rounded up, for what a request may cost before it is sent. Four ASCII
// bytes count as one token and any other character as one: real tokenisers differ by model, and this errs upwards for
// Chinese.
func EstimateTokens(text string) int {
	quarters := 0
	for _, r := range text {
		if r < 0x80 {
			quarters++
		} else {
			quarters += 4
		}
	}
	return (quarters + 3) / 4
}

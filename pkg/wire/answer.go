package wire

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// Answer is a whole answer.
type Answer struct {
	ID         string
	Model      string
	Text       string
	StopReason string
	// Usage is nil where the server reported none that can be believed.
	Usage *Usage
	// Empty says that no text came, and Thought that reasoning did.
	Empty, Thought bool
	// NotUTF8 says that the text has bytes that are not UTF-8. They are kept as they came.
	NotUTF8 bool
}

// Ending is what a stop reason says of an answer.
type Ending int

// The endings. An answer is whole with any of them but Failed.
const (
	// Ended is an answer that came to its own end, or whose server names no reason.
	Ended Ending = iota
	// Limited is an answer that ends at a limit on tokens.
	Limited
	// Refused is an answer that the model, or a filter of the server, declined to give.
	Refused
	// Paused is an answer after which the model wants to go on, such as with a tool.
	Paused
	// Unknown is a reason that ferry does not know.
	Unknown
	// Failed is a reason that reports a failure of the server.
	Failed
)

// endings are the stop reasons of the three dialects and of the servers that speak them, in lower case.
var endings = map[string]Ending{
	"": Ended, "end_turn": Ended, "stop": Ended, "stop_sequence": Ended, "eos": Ended, "normal": Ended, "complete": Ended, "completed": Ended,
	"max_tokens": Limited, "length": Limited, "model_length": Limited, "model_context_window_exceeded": Limited, "max_output_tokens": Limited,
	"refusal": Refused, "content_filter": Refused, "sensitive": Refused, "safety": Refused, "recitation": Refused,
	"prohibited_content": Refused, "blocklist": Refused, "spii": Refused, "guardrail_intervened": Refused,
	"tool_use": Paused, "tool_calls": Paused, "function_call": Paused, "pause_turn": Paused,
	"error": Failed, "network_error": Failed, "insufficient_system_resource": Failed, "aborted": Failed, "abort": Failed,
	"cancelled": Failed, "canceled": Failed, "failed": Failed, "timeout": Failed,
}

// EndingOf reads a stop reason. An error's name is that error.
func EndingOf(reason string) Ending {
	reason = strings.ToLower(reason)
	if known, ok := endings[reason]; ok {
		return known
	}
	_, isError := statusOfType(reason)
	switch {
	case isError || strings.HasSuffix(reason, "error"):
		return Failed
	case strings.HasPrefix(reason, "content_filter"): // some name the kind of content behind it
		return Refused
	}
	return Unknown
}

// Usage is what an answer cost, in tokens. Input is the sum of all input, cached or not.
type Usage struct {
	Input         int `json:"input_tokens"`
	Output        int `json:"output_tokens"`
	CacheCreation int `json:"cache_creation_input_tokens"`
	CacheRead     int `json:"cache_read_input_tokens"`
	// Reasoning is how many of Output no text was made of, 0 where the server does not say.
	Reasoning int `json:"-"`
}

// Total is all that the answer cost.
func (u Usage) Total() int64 { return int64(u.Input) + int64(u.Output) }

// maxTokens is the most tokens that a server is believed to count for one answer.
const maxTokens = 1_000_000_000

// usageNames are the members of a usage. Messages and Complete have the first four, Chat the others; a gateway may have
// both. The numbers of cached and of reasoning tokens stand in the details too.
var usageNames = []string{
	"input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens",
	"prompt_tokens", "completion_tokens", "total_tokens", "prompt_cache_hit_tokens",
	"reasoning_tokens",
}

// The places of the members in usageNames.
const (
	input = iota
	cacheCreation
	cacheRead
	output
	prompt
	completion
	total
	cacheHit
	reasoning
)

// counts puts the usages of an answer together: a stream may send several, each with some of the fields.
type counts struct {
	// n are the numbers in the order of usageNames, and came says which of them there are.
	n    [9]int
	came [9]bool
	// wrong says that a number came that cannot be believed: then none is.
	wrong bool
}

// add reads one more usage, and reports whether it is one. What it has replaces what came before, since each counts from
// the start; a 0 does not replace a number, since some gateways fill in a 0 for what they do not know. The three fields of
// the input belong together: a later event may count the same tokens under another of them. null is no number, and
// anything that is no whole number from 0 to maxTokens is not believed.
func (u *counts) add(raw []byte) bool {
	var next counts
	l := lexer{b: raw}
	if !l.enter('{') {
		return false
	}
	for name, ok := l.member(); ok; name, ok = l.member() {
		place, value := slices.Index(usageNames, string(name)), l.value()
		switch string(name) {
		case "prompt_tokens_details":
			details, _ := parse(value)
			place, value = cacheHit, details["cached_tokens"]
		case "completion_tokens_details", "output_tokens_details":
			details, _ := parse(value)
			place, value = reasoning, details["reasoning_tokens"]
		}
		if place < 0 || isNull(value) {
			continue
		}
		n, err := strconv.ParseFloat(string(value), 64)
		if err != nil || n != math.Trunc(n) || n < 0 || n > maxTokens {
			u.wrong = true
			continue
		}
		next.n[place], next.came[place] = int(n), true
	}
	hasInput := next.n[input]+next.n[cacheCreation]+next.n[cacheRead] > 0
	for i, n := range next.n {
		if n > 0 || next.came[i] && (!u.came[i] || hasInput && i <= cacheRead) {
			u.n[i], u.came[i] = n, true
		}
	}
	return true
}

// usage is what the counts say in all, nil where they say nothing that can be believed. Some servers leave the reasoning
// out of completion_tokens: the total without the prompt is then the larger number.
func (u *counts) usage() *Usage {
	var out Usage
	n := u.n
	switch {
	case u.wrong:
		return nil
	case n[prompt] > 0 || n[completion] > 0,
		n[total] > 0 && max(n[input], n[cacheCreation], n[cacheRead], n[output]) == 0:
		out = Usage{Input: n[prompt], Output: max(n[completion], n[total]-n[prompt]), CacheRead: n[cacheHit]}
	case u.came == [9]bool{}:
		return nil
	default:
		out = Usage{
			Input: n[input] + n[cacheCreation] + n[cacheRead], Output: n[output],
			CacheCreation: n[cacheCreation], CacheRead: n[cacheRead],
		}
	}
	if out.Input > maxTokens {
		return nil
	}
	out.Reasoning = n[reasoning]
	if u.came[completion] {
		out.Reasoning = max(out.Reasoning, out.Output-n[completion]) // what the server left out
	}
	out.Reasoning = min(out.Reasoning, out.Output)
	return &out
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

// readParts puts the texts of an array of content blocks together, and their reasoning, which is not of the answer. It
// reports false for what is no array of blocks. Blocks in blocks are read up to the depth.
func readParts(raw []byte, depth int) (said, thought []byte, ok bool) {
	l := lexer{b: raw}
	if !l.enter('[') {
		return nil, nil, false
	}
	for l.more(']') {
		raw := l.value()
		block, isBlock := parse(raw)
		kind, text := block["type"], block["text"]
		isBlock = isBlock || isNull(raw) // null is an empty block
		if !isBlock || !isNull(kind) && !isText(kind) || !isNull(text) && !isText(text) {
			return nil, nil, false
		}
		switch string(unquote(kind)) {
		case "text", "output_text":
			said = append(said, unquote(text)...)
		case "thinking", "reasoning", "reasoning.text", "reasoning.summary":
			thought = append(thought, firstText(depth-1, block["thinking"], text, block["summary"])...)
		}
	}
	return said, thought, true
}

// firstText is the first value that says something: a text, or a list of texts where the depth allows one.
func firstText(depth int, values ...[]byte) []byte {
	for _, raw := range values {
		said := unquote(raw)
		if len(raw) > 0 && raw[0] == '[' && depth > 0 {
			inside, reasoning, _ := readParts(raw, depth)
			said = append(inside, reasoning...)
		}
		if len(said) > 0 {
			return said
		}
	}
	return nil
}

package wire

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// Answer is the answer of a model. It may be partial if Decode also returned an error, or if Stream.Answer returned it
// before the end of the stream.
type Answer struct {
	ID         string
	Model      string
	Text       string
	StopReason string
	// Usage is nil if the server reported no plausible usage.
	Usage *Usage
	// Empty reports that there is no text, HasReasoning that there was reasoning.
	Empty, HasReasoning bool
	// NotUTF8 reports that the text has bytes that are not UTF-8. They are kept unchanged.
	NotUTF8 bool
}

// Ending classifies the stop reason of an answer.
type Ending int

// The endings. With any of them except Failed, the answer is complete.
const (
	// Ended is an answer that the model finished, or for which the server gives no reason.
	Ended Ending = iota
	// Limited is an answer that ends at a token limit.
	Limited
	// Refused is an answer that the model or a filter of the server refused to give.
	Refused
	// Paused is an answer after which the model wants to continue, such as with a tool.
	Paused
	// Unknown is a reason that ferry does not know.
	Unknown
	// Failed is a reason that reports a failure of the server.
	Failed
)

// endings maps the stop reasons of the three dialects and of the servers that use them, in lower case.
var endings = map[string]Ending{
	"": Ended, "end_turn": Ended, "stop": Ended, "stop_sequence": Ended, "eos": Ended, "normal": Ended, "complete": Ended, "completed": Ended,
	"max_tokens": Limited, "length": Limited, "model_length": Limited, "model_context_window_exceeded": Limited, "max_output_tokens": Limited,
	"refusal": Refused, "content_filter": Refused, "sensitive": Refused, "safety": Refused, "recitation": Refused,
	"prohibited_content": Refused, "blocklist": Refused, "spii": Refused, "guardrail_intervened": Refused,
	"tool_use": Paused, "tool_calls": Paused, "function_call": Paused, "pause_turn": Paused,
	"error": Failed, "network_error": Failed, "insufficient_system_resource": Failed, "aborted": Failed, "abort": Failed,
	"cancelled": Failed, "canceled": Failed, "failed": Failed, "timeout": Failed,
}

// EndingOf returns the ending for a stop reason. The name of an error is Failed.
func EndingOf(reason string) Ending {
	reason = strings.ToLower(reason)
	if known, ok := endings[reason]; ok {
		return known
	}
	switch {
	case statusOfType(reason) != 0 || strings.HasSuffix(reason, "error"):
		return Failed
	case strings.HasPrefix(reason, "content_filter"): // some servers append the kind of content
		return Refused
	}
	return Unknown
}

// Usage is the number of tokens of an answer. Input is the sum of all input, cached or not.
type Usage struct {
	Input         int `json:"input_tokens"`
	Output        int `json:"output_tokens"`
	CacheCreation int `json:"cache_creation_input_tokens"`
	CacheRead     int `json:"cache_read_input_tokens"`
	// Reasoning is the part of Output that is not text, 0 if the server does not report it.
	Reasoning int `json:"-"`
}

// maxTokens is the largest plausible token count of one answer.
const maxTokens = 1_000_000_000

// usageNames are the members of a usage object. Messages and Complete have the first four, Chat the others; a gateway
// may send both. The numbers of cached and of reasoning tokens are also in the details objects.
var usageNames = []string{
	"input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens",
	"prompt_tokens", "completion_tokens", "total_tokens", "prompt_cache_hit_tokens",
	"reasoning_tokens",
}

// The indexes of the members in usageNames.
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

// counts merges the usage objects of an answer: a stream may send several, each with some of the fields.
type counts struct {
	// n holds the numbers in the order of usageNames, and present reports which of them were present.
	n       [9]int
	present [9]bool
	// wrong reports that one number was not plausible. Then no usage is reported.
	wrong bool
}

// add merges one more usage object, and reports whether raw is an object. Its numbers replace earlier ones, because
// each usage counts from the start of the answer. A 0 does not replace a number, because some gateways send 0 for an
// unknown count. The three input fields are replaced together, because a later event may count the same tokens in
// another of them. null is ignored. A value that is not a whole number from 0 to maxTokens makes the usage
// implausible.
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
		next.n[place], next.present[place] = int(n), true
	}
	hasInput := next.n[input]+next.n[cacheCreation]+next.n[cacheRead] > 0
	for i, n := range next.n {
		if n > 0 || next.present[i] && (!u.present[i] || hasInput && i <= cacheRead) {
			u.n[i], u.present[i] = n, true
		}
	}
	return true
}

// usage returns the merged usage, nil if it is empty or not plausible. Some servers leave the reasoning tokens out of
// completion_tokens: total_tokens minus prompt_tokens is then larger.
func (u *counts) usage() *Usage {
	var out Usage
	n := u.n
	switch {
	case u.wrong:
		return nil
	case n[prompt] > 0 || n[completion] > 0,
		n[total] > 0 && max(n[input], n[cacheCreation], n[cacheRead], n[output]) == 0:
		out = Usage{Input: n[prompt], Output: max(n[completion], n[total]-n[prompt]), CacheRead: n[cacheHit]}
		if u.present[completion] {
			out.Reasoning = out.Output - n[completion] // left out of completion_tokens
		}
	case u.present == [9]bool{}:
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
	out.Reasoning = min(max(out.Reasoning, n[reasoning]), out.Output)
	return &out
}

// EstimateTokens estimates the number of tokens in text, rounded up, for the possible cost of a request before it is
// sent. Four ASCII bytes count as one token, and any other character as one. Tokenizers differ by model; for Chinese
// this estimate is rather too high.
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

// readParts joins the texts of an array of content blocks, and separately their reasoning, which is not part of the
// answer. It returns false if raw is not an array of blocks. Nested blocks are read up to depth.
func readParts(raw []byte, depth int) (text, reasoning []byte, ok bool) {
	l := lexer{b: raw}
	if !l.enter('[') {
		return nil, nil, false
	}
	for l.more(']') {
		raw := l.value()
		block, isBlock := parse(raw)
		kind, blockText := block["type"], block["text"]
		isBlock = isBlock || isNull(raw) // null counts as an empty block
		if !isBlock || !isNull(kind) && !isText(kind) || !isNull(blockText) && !isText(blockText) {
			return nil, nil, false
		}
		switch string(unquote(kind)) {
		case "text", "output_text":
			text = append(text, unquote(blockText)...)
		case "thinking", "reasoning", "reasoning.text", "reasoning.summary":
			reasoning = append(reasoning, firstText(depth-1, block["thinking"], blockText, block["summary"])...)
		}
	}
	return text, reasoning, true
}

// firstText returns the first value that is not empty: a string or, if depth allows it, a list of blocks.
func firstText(depth int, values ...[]byte) []byte {
	for _, raw := range values {
		found := unquote(raw)
		if len(raw) > 0 && raw[0] == '[' && depth > 0 {
			inside, reasoning, _ := readParts(raw, depth)
			found = append(inside, reasoning...)
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// maxItem bounds a line of a batch's input: the 32 MiB that a prompt may have, and room for JSON's escapes.
	maxItem = 64 << 20
	// maxPromptBytes is the request limit of the messages API.
	maxPromptBytes = 32 << 20
	// maxLines bounds the input's lines, each of which takes some bits of memory.
	maxLines = 1 << 28
	// maxID bounds an id in bytes.
	maxID = 512
	// mostTokens bounds an item's max_tokens, as --max-tokens is, so that no sum of them overflows.
	mostTokens = 1<<31 - 1
)

// Item is one prompt of a batch.
type Item struct {
	// Line is where it stands in the input, from 1. It names the item in the journal.
	Line int
	// ID is its own, or the line's number in decimal.
	ID     string
	Prompt string
	// System, Model and MaxTokens are nil, "" and 0 where the batch's own count.
	System    *string
	Model     string
	MaxTokens int

	numbered bool // the id is the line's number
}

// ItemError is a line of the input that is no item.
type ItemError struct {
	Line int
	Msg  string
}

func (e *ItemError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Msg) }

// itemLine is an item as an object. The fields are pointers where being there has a meaning of its own.
type itemLine struct {
	ID        json.RawMessage `json:"id"`
	Prompt    *string         `json:"prompt"`
	System    *string         `json:"system"`
	Model     string          `json:"model"`
	MaxTokens *int            `json:"max_tokens"`
}

// parseItem reads a line without its end. A blank one is neither an item nor an error.
func parseItem(number int, line []byte) (item Item, blank bool, err error) {
	bad := func(msg string, args ...any) (Item, bool, error) {
		return Item{}, false, &ItemError{number, fmt.Sprintf(msg, args...)}
	}
	if number == 1 {
		line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
	}
	line = bytes.TrimSuffix(line, []byte("\r"))
	start := bytes.TrimLeft(line, " \t")
	switch {
	case len(bytes.TrimSpace(line)) == 0:
		return Item{}, true, nil
	case !utf8.Valid(line):
		return bad("is not UTF-8")
	case bytes.IndexByte(line, 0) >= 0:
		return bad("has a NUL byte")
	}
	item = Item{Line: number, ID: strconv.Itoa(number), Prompt: string(line), numbered: true}
	if start[0] == '{' {
		if msg := item.read(start); msg != "" {
			return bad("%s", msg)
		}
	}
	switch {
	case strings.TrimSpace(item.Prompt) == "":
		return bad("the prompt is empty")
	case strings.IndexByte(item.Prompt, 0) >= 0:
		return bad("the prompt has a NUL byte")
	case len(item.Prompt) > maxPromptBytes:
		return bad("the prompt is over %d MiB", maxPromptBytes>>20)
	}
	return item, false, nil
}

// read fills the item from an object. It returns what is wrong with it, "" for nothing.
func (item *Item) read(object []byte) string {
	var in itemLine
	d := json.NewDecoder(bytes.NewReader(object))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return "no valid object: " + plainJSON(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return "something stands behind the object"
	}
	if in.Prompt == nil {
		return "the object has no prompt"
	}
	item.Prompt, item.System, item.Model = *in.Prompt, in.System, in.Model
	if in.MaxTokens != nil {
		if item.MaxTokens = *in.MaxTokens; item.MaxTokens < 1 || item.MaxTokens > mostTokens {
			return fmt.Sprintf("max_tokens wants a whole number from 1 to %d", mostTokens)
		}
	}
	return item.identify(in.ID)
}

// identify takes an id that is a text or a whole number, which is the same as its digits.
func (item *Item) identify(id json.RawMessage) string {
	const want = "the id wants a text or a whole number"
	switch {
	case len(id) == 0 || string(id) == "null":
		return ""
	case id[0] == '"':
		if err := json.Unmarshal(id, &item.ID); err != nil {
			return want
		}
	default:
		n, err := strconv.ParseInt(string(id), 10, 64)
		if err != nil {
			return want
		}
		item.ID = strconv.FormatInt(n, 10)
	}
	item.numbered = false
	if item.ID == "" || len(item.ID) > maxID {
		return fmt.Sprintf("the id wants 1 to %d bytes", maxID)
	}
	return ""
}

// plainJSON is what the decoder says, without its own name for things.
func plainJSON(err error) string {
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong):
		return fmt.Sprintf("%s cannot be a %s", wrong.Field, wrong.Value)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "it is cut"
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

package guard

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"ferry/pkg/state"
)

// listLimit is the maximum size of a word list in bytes, so that an endless file cannot fill the memory.
const listLimit = 32 << 20

// Filter finds blocked words in text in one pass, however many words there are. It has at least one word, never
// changes, and may be used by several goroutines at once.
//
// A word is found at any position, inside longer words too, and in other spellings: full-width or half-width, in
// capitals, as one character with a compatibility decomposition (NFKD) such as ㈱, ﬁ or ①, with invisible characters
// such as U+200B between its letters, and with any white space where the word has a space. It is not found if an
// accent or a voiced sound mark turns its last letter into another letter: ハハ is not found in ハバ.
type Filter struct {
	list string
	trie *trie
}

// Match is the position of a blocked word.
type Match struct {
	// Line is the word's line in the list, from 1; if the list is not a file, its index, from 1.
	Line int
	// Start and End are byte offsets in the text.
	Start, End int
}

// FilterError reports that a word list cannot be used. Without its list nothing is sent: the filter fails closed.
type FilterError struct {
	// List is the list's name, such as a file's.
	List string
	// Line is the line with the error, 0 for the complete list.
	Line   int
	Reason string
	// Err is the cause, or nil.
	Err error
}

func (e *FilterError) Error() string {
	where := e.List
	if e.Line > 0 {
		where = fmt.Sprintf("%s:%d", e.List, e.Line)
	}
	return fmt.Sprintf("word list %s %s", where, e.Reason)
}

// Unwrap returns the cause.
func (e *FilterError) Unwrap() error { return e.Err }

// Hint returns what the user can do about it.
func (e *FilterError) Hint() string {
	return "a word list is UTF-8 text with one word a line and comments on separate lines; nothing is sent until it can be used"
}

// BlockedError reports that the filter blocked a text. It names the list and the line, never the word or the text.
type BlockedError struct {
	List string
	Line int
	// Where is "prompt" or "answer".
	Where string
}

func (e *BlockedError) Error() string {
	return fmt.Sprintf("the content filter blocked the %s: line %d of %s", e.Where, e.Line, e.List)
}

// Hint returns what the user can do about it.
func (e *BlockedError) Hint() string {
	if e.Where == "answer" {
		return "the answer is withheld; a stream has already shown the text before the word"
	}
	return "nothing was sent; look at that line of the list, then change the prompt or the list"
}

// LoadFilter reads a word list: UTF-8, with or without a byte order mark, one word per line, with LF or CRLF line
// ends. White space around a word is ignored. Empty lines are skipped, and so is a line that is "#" or begins with "#
// " ("#topic" is a word). Every error is a *FilterError.
func LoadFilter(list string, source io.Reader) (*Filter, error) {
	text, err := io.ReadAll(io.LimitReader(source, listLimit+1))
	if err != nil {
		return nil, &FilterError{List: list, Reason: "cannot be read: " + state.StripPath(err).Error(), Err: err}
	}
	if len(text) > listLimit {
		return nil, &FilterError{List: list, Reason: fmt.Sprintf("is longer than %d MiB", listLimit>>20)}
	}
	w := &wordSet{symbols: make([]rune, 0, len(text)/2), all: make([]folded, 0, len(text)/16)}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	line := 0
	for word := range bytes.Lines(text) {
		line++
		if err := w.addLine(list, line, bytes.TrimSpace(word), true); err != nil {
			return nil, err
		}
	}
	return w.filter(list)
}

// NewFilter returns a filter for a list that is not a file, such as one in the configuration. It has no comments.
func NewFilter(list string, words []string) (*Filter, error) {
	w := &wordSet{}
	for i, word := range words {
		if err := w.addLine(list, i+1, []byte(strings.TrimSpace(word)), false); err != nil {
			return nil, err
		}
	}
	return w.filter(list)
}

// addLine adds the word of one line, if there is one.
func (w *wordSet) addLine(list string, line int, word []byte, comments bool) error {
	switch {
	case len(word) == 0:
		return nil
	case comments && word[0] == '#' && (len(word) == 1 || word[1] == ' '):
		return nil
	case !utf8.Valid(word):
		return &FilterError{List: list, Line: line, Reason: "is not UTF-8"}
	case bytes.IndexByte(word, 0) >= 0:
		return &FilterError{List: list, Line: line, Reason: "has a NUL byte"}
	case comments && (bytes.Contains(word, []byte(" # ")) || bytes.HasSuffix(word, []byte(" #"))):
		return &FilterError{List: list, Line: line, Reason: "has a comment after its word, which would become part of the word"}
	case !w.add(word, line):
		return &FilterError{List: list, Line: line, Reason: "has only invisible characters"}
	}
	return nil
}

func (w *wordSet) filter(list string) (*Filter, error) {
	if len(w.all) == 0 {
		return nil, &FilterError{List: list, Reason: "has no words"}
	}
	return &Filter{list: list, trie: w.trie()}, nil
}

// List returns the name of the list.
func (f *Filter) List() string { return f.list }

// Find returns the blocked word that ends first in text; if several end there, the longest one.
func (f *Filter) Find(text string) (Match, bool) {
	s := f.Stream()
	if s.scan([]byte(text), true); !s.done {
		return Match{}, false
	}
	return s.found, true
}

// Check returns a *BlockedError if text contains a blocked word. where is "prompt" or "answer".
func (f *Filter) Check(text, where string) error {
	if m, blocked := f.Find(text); blocked {
		return &BlockedError{List: f.list, Line: m.Line, Where: where}
	}
	return nil
}

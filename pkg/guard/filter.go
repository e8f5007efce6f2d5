package guard

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"ferry/pkg/state"
)

// listLimit is the longest word list in bytes that is read: an endless file must not take all of the memory.
const listLimit = 32 << 20

// Filter finds blocked words in a text in one pass, however many words there are. It is never empty, never changes, and
// may be used by several goroutines at once.
//
// A word is found wherever its characters stand, inside longer words too, and where it is written otherwise: full-width
// or half-width, in capitals, in the characters that compatibility decomposition (NFKD) makes of one sign (㈱, ﬁ, ①),
// with invisible characters such as U+200B between its letters, and with any white space where the word has a space. It
// is not found where an accent or a voiced sound mark on its last letter makes another letter of it: ハハ is not in ハバ.
type Filter struct {
	list string
	trie *trie
}

// Match is where a blocked word stands.
type Match struct {
	// Line is the word's line in the list, from 1; in a list that is no file, its place.
	Line int
	// Start and End are byte offsets in the text.
	Start, End int
}

// FilterError says why a word list cannot be used. Without its list nothing is sent: the filter fails closed.
type FilterError struct {
	// List is the list's name, such as a file's.
	List string
	// Line is the line in question, 0 where it is the list as a whole.
	Line   int
	Reason string
	// Err is the cause, nil without one.
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

// Hint tells what to do about it.
func (e *FilterError) Hint() string {
	return "a word list is UTF-8 text with one word a line, a remark on a line of its own; nothing is sent while it cannot be used"
}

// BlockedError says that the filter blocked a text. It names the list and the line, never the word or the text.
type BlockedError struct {
	List string
	Line int
	// Where is "prompt" or "answer".
	Where string
}

func (e *BlockedError) Error() string {
	return fmt.Sprintf("the content filter blocked the %s: line %d of %s", e.Where, e.Line, e.List)
}

// Hint tells what to do about it.
func (e *BlockedError) Hint() string {
	if e.Where == "answer" {
		return "the answer is withheld; a stream shows what came before the word"
	}
	return "nothing was sent; look at that line of the list, then change the prompt or the list"
}

// LoadFilter reads a word list: UTF-8, with or without a byte order mark, one word a line, line ends of either kind.
// White space around a word counts for nothing; empty lines are skipped, and so is a line that is "#" or begins with
// "# " ("#topic" is a word). Every error is a *FilterError.
func LoadFilter(list string, source io.Reader) (*Filter, error) {
	text, err := io.ReadAll(io.LimitReader(source, listLimit+1))
	if err != nil {
		return nil, &FilterError{List: list, Reason: "cannot be read: " + state.Bare(err).Error(), Err: err}
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

// NewFilter takes the words of a list that is no file, such as one in the configuration. Nothing in it is a comment.
func NewFilter(list string, words []string) (*Filter, error) {
	w := &wordSet{}
	for i, word := range words {
		if err := w.addLine(list, i+1, []byte(strings.TrimSpace(word)), false); err != nil {
			return nil, err
		}
	}
	return w.filter(list)
}

// addLine adds the word of one line, if it has one.
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
		return &FilterError{List: list, Line: line, Reason: "has a remark behind its word, of which it would be a part"}
	case !w.add(word, line):
		return &FilterError{List: list, Line: line, Reason: "has invisible characters alone"}
	}
	return nil
}

func (w *wordSet) filter(list string) (*Filter, error) {
	if len(w.all) == 0 {
		return nil, &FilterError{List: list, Reason: "has no words"}
	}
	return &Filter{list: list, trie: w.trie()}, nil
}

// List is the name of the list.
func (f *Filter) List() string { return f.list }

// Find looks for the blocked word that ends first in text; of those that end there, it is the longest.
func (f *Filter) Find(text string) (Match, bool) {
	s := f.Stream()
	if s.scan([]byte(text), true); !s.done {
		return Match{}, false
	}
	return s.found, true
}

// Check returns a *BlockedError where text, which is the "prompt" or the "answer", has a blocked word.
func (f *Filter) Check(text, where string) error {
	if m, blocked := f.Find(text); blocked {
		return &BlockedError{List: f.list, Line: m.Line, Where: where}
	}
	return nil
}

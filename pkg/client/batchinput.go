package client

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"ferry/pkg/state"
	"ferry/pkg/text"
	"ferry/pkg/wire"
)

const (
	// maxItem bounds a line of a batch's input: the 32 MiB that a prompt may have, and room for JSON's escapes.
	maxItem = 64 << 20
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
	// Files go with the prompt, by their paths: see BatchRequest.Dir.
	Files []string

	numbered bool  // the id is the line's number
	price    Price // where a run has a cap on tokens: it stays the same when a file changes
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
	Files     []string        `json:"files"`
}

// byteOrderMark may begin the input.
var byteOrderMark = []byte("\xef\xbb\xbf")

// parseItem reads a line without its end. A blank one is neither an item nor an error.
func parseItem(number int, line []byte) (item Item, blank bool, fault *ItemError) {
	bad := func(msg string, args ...any) (Item, bool, *ItemError) {
		return Item{}, false, &ItemError{number, fmt.Sprintf(msg, args...)}
	}
	if number == 1 {
		line = bytes.TrimPrefix(line, byteOrderMark)
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
	case len(item.Prompt) > wire.MaxRequest:
		return bad("the prompt is over %d MiB", wire.MaxRequest>>20)
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
	item.Prompt, item.System, item.Model, item.Files = *in.Prompt, in.System, in.Model, in.Files
	if slices.Contains(in.Files, "") {
		return "files wants the paths of files"
	}
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

// lineReader gives lines one by one and holds no more than one.
type lineReader struct {
	from   *bufio.Reader
	limit  int // of a line's bytes, 0 for none
	number int
	// read counts the bytes up to and with the last line end.
	read int64
	buf  []byte
}

func newLineReader(r io.Reader, limit int) *lineReader {
	return &lineReader{from: bufio.NewReaderSize(r, 64<<10), limit: limit}
}

// errLong is a line beyond the limit; the reader stands behind it.
var errLong = errors.New("longer than a line may be")

// next gives the next line without its end, valid until the call after. ended says that the line has one. The error is
// io.EOF where there is nothing more, errLong, or the reader's.
func (l *lineReader) next() (line []byte, ended bool, err error) {
	if l.buf = l.buf[:0]; cap(l.buf) > 1<<20 {
		l.buf = nil // one long line is no reason to hold as much for the rest
	}
	for length := 0; ; {
		part, err := l.from.ReadSlice('\n')
		length += len(part)
		long := l.limit > 0 && length > l.limit
		if !long {
			l.buf = append(l.buf, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && (length == 0 || !errors.Is(err, io.EOF)):
			return nil, false, err
		}
		l.number++
		if err == nil {
			l.read += int64(length)
		}
		if long {
			return nil, err == nil, errLong
		}
		return bytes.TrimSuffix(l.buf, []byte("\n")), err == nil, nil
	}
}

// BatchInput is a file as it was when it was opened: what is appended later is not a part of it, and that it was changed
// ends the reading.
type BatchInput struct {
	// Name is what the input is called.
	Name string

	file *os.File
	temp bool // the file is to be removed
	info fs.FileInfo
	at   *io.SectionReader
	// shard is which part of it is wanted.
	shard Shard
}

// OpenBatchInput opens the input of a batch that writes to out; the path - is stdin. What can be read only once is put into
// a private file beside out: that disk has to hold the answers too.
func OpenBatchInput(path, out string, stdin io.Reader) (*BatchInput, error) {
	in, from := &BatchInput{Name: "standard input"}, stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, cannotRead(path, err)
		}
		defer func() {
			if in.file != file {
				file.Close()
			}
		}()
		in.Name, from = path, file
	}
	if file, ok := from.(*os.File); ok {
		info, err := file.Stat()
		switch {
		case err != nil:
			return nil, cannotRead(in.Name, err)
		case path != "-" && info.IsDir():
			return nil, cannotRead(path, errors.New("it is a folder"))
		}
		for _, path := range batchPaths(out) {
			if written, err := os.Stat(path); err == nil && os.SameFile(info, written) { // the input would be lost
				return nil, text.Errorf("take another --out", "--batch and --out: the batch writes %s, which is its input", path)
			}
		}
		if path != "-" && info.Mode().IsRegular() {
			in.file, in.info = file, info
			return in, nil
		}
	}
	if err := in.spool(from, filepath.Dir(out)); err != nil {
		in.Close()
		return nil, fmt.Errorf("cannot keep %s beside %s: %s", in.Name, out, state.Bare(err))
	}
	return in, nil
}

// spool puts a stream into a private file in a folder: a batch reads its input twice.
func (in *BatchInput) spool(from io.Reader, folder string) (err error) {
	state.Sweep(folder)
	if in.file, err = os.CreateTemp(folder, state.TempPattern); err != nil {
		return err
	}
	in.temp = os.Remove(in.file.Name()) != nil // at once where the system can, so that a kill leaves nothing
	if _, err = io.Copy(in.file, from); err != nil {
		return err
	}
	in.info, err = in.file.Stat()
	return err
}

// Close ends the use of the file.
func (in *BatchInput) Close() {
	in.file.Close() // closing nil does nothing
	if in.temp {
		_ = os.Remove(in.file.Name()) // best effort: it is private
	}
}

// errChanged is an input that was written to while it was read.
var errChanged = errors.New("it was changed while the batch was reading it")

func (in *BatchInput) Read(p []byte) (int, error) {
	n, err := in.at.Read(p)
	if info, failed := in.file.Stat(); failed == nil && (info.Size() != in.info.Size() || !info.ModTime().Equal(in.info.ModTime())) {
		return 0, errChanged
	}
	return n, err
}

// items calls each with every line of the shard that is not blank: an item, or the *ItemError of a line that is none. What
// is read goes to seen too, and the ids of all shards to ids, which may be nil.
func (in *BatchInput) items(seen io.Writer, ids *seenIDs, each func(Item, *ItemError) error) error {
	in.at = io.NewSectionReader(in.file, 0, in.info.Size())
	lines := newLineReader(io.TeeReader(in, seen), maxItem)
	for {
		line, _, err := lines.next()
		var item Item
		var fault *ItemError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errLong):
			fault = &ItemError{lines.number, "is over " + text.Size(maxItem)}
		case err == nil && lines.number > maxLines:
			err = fmt.Errorf("it has more than %d lines", maxLines)
			fallthrough
		case err != nil:
			return fileError(in.Name, "cannot read", err)
		default:
			var blank bool
			if item, blank, fault = parseItem(lines.number, line); blank {
				continue
			}
		}
		if ids != nil && fault == nil {
			if err := ids.add(item); err != nil {
				return err
			}
		}
		if !in.shard.has(item, line) {
			continue
		}
		if err := each(item, fault); err != nil {
			return err
		}
	}
}

// scan reads all of the input once. It returns the digest of its bytes and an error where two items have one id.
func (in *BatchInput) scan(each func(Item, *ItemError) error) (digest string, err error) {
	sum := sha256.New()
	err = in.items(sum, &seenIDs{own: map[[16]byte]int{}}, each)
	return hex.EncodeToString(sum.Sum(nil)), err
}

// seenIDs finds ids that come twice. It keeps a few bytes of an id that is an item's own and a bit of one that is a line's
// number.
type seenIDs struct {
	own      map[[16]byte]int // the line, by 128 bits of a digest: no two ids share them by chance
	numbered marks
}

// add fails where an earlier item has the item's id.
func (s *seenIDs) add(item Item) error {
	sum := sha256.Sum256([]byte(item.ID))
	key := [16]byte(sum[:16])
	first := s.own[key]
	if item.numbered {
		s.numbered.set(item.Line)
	} else {
		s.own[key] = item.Line
		if n, err := strconv.Atoi(item.ID); err == nil && n > 0 && strconv.Itoa(n) == item.ID && s.numbered.has(n) {
			first = n
		}
	}
	if first == 0 {
		return nil
	}
	return text.Errorf("an item without an id has the number of its line",
		"lines %d and %d have the same id %q", first, item.Line, item.ID)
}

// marks is a set of line numbers, a bit for each line.
type marks []uint64

func (m *marks) set(line int) {
	for len(*m) <= line/64 {
		*m = append(*m, 0)
	}
	(*m)[line/64] |= 1 << (line % 64)
}

func (m marks) clear(line int) {
	if line/64 < len(m) {
		m[line/64] &^= 1 << (line % 64)
	}
}

func (m marks) has(line int) bool { return line/64 < len(m) && m[line/64]&(1<<(line%64)) != 0 }

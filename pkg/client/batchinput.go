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
	"unicode"
	"unicode/utf8"

	"ferry/pkg/state"
	"ferry/pkg/text"
	"ferry/pkg/wire"
)

const (
	// maxItem bounds an input line in bytes: 32 MiB for the prompt, and as much for JSON escapes.
	maxItem = 64 << 20
	// maxLines bounds the number of input lines. Each line needs a few bits of memory.
	maxLines = 1 << 28
	// maxID bounds an ID in bytes.
	maxID = 512
	// maxTokens bounds max_tokens of an item (and --max-tokens), so that no sum overflows.
	maxTokens = 1<<31 - 1
)

// Item is one prompt of a batch.
type Item struct {
	// Line is the item's line in the input, from 1. The journal identifies the item by it.
	Line int
	// ID is the item's own ID, or the line number in decimal.
	ID     string
	Prompt string
	// System, Model and MaxTokens are nil, "" and 0 if the item uses the values of the batch.
	System    *string
	Model     string
	MaxTokens int
	// Files are the paths of files to send with the prompt; see BatchRequest.Dir.
	Files []string

	numbered bool   // the ID is the line number
	fault    string // why the line is not a valid item, "" if it is
	price    Price  // set if the run has a cap on tokens; it stays the same if a file changes
}

// invalidItem returns the item of a line that is not valid.
func invalidItem(line int, fault string) Item {
	return Item{Line: line, ID: strconv.Itoa(line), numbered: true, fault: fault}
}

// itemLine is an item in JSON. A field is a pointer if absent and empty have different meanings.
type itemLine struct {
	ID        json.RawMessage `json:"id"`
	Prompt    *string         `json:"prompt"`
	System    *string         `json:"system"`
	Model     string          `json:"model"`
	MaxTokens *int            `json:"max_tokens"`
	Files     []string        `json:"files"`
}

// byteOrderMark can be at the start of the input.
var byteOrderMark = []byte("\xef\xbb\xbf")

// parseItem parses a line. A blank line is the zero Item.
func parseItem(number int, line []byte) Item {
	if number == 1 {
		line = bytes.TrimPrefix(line, byteOrderMark)
	}
	line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
	if len(bytes.TrimSpace(line)) == 0 {
		return Item{}
	}
	item := Item{Line: number, ID: strconv.Itoa(number), Prompt: string(line), numbered: true}
	if fault := item.read(line); fault != "" {
		return invalidItem(number, fault)
	}
	return item
}

// read fills the item from its line. It returns the fault, "" if there is none.
func (item *Item) read(line []byte) string {
	switch {
	case !utf8.Valid(line):
		return "is not UTF-8"
	case bytes.IndexByte(line, 0) >= 0:
		return "has a NUL byte"
	}
	if object := bytes.TrimLeft(line, " \t"); object[0] == '{' {
		if fault := item.readObject(object); fault != "" {
			return fault
		}
	}
	switch {
	case strings.TrimSpace(item.Prompt) == "":
		return "the prompt is empty"
	case strings.IndexByte(item.Prompt, 0) >= 0:
		return "the prompt has a NUL byte"
	case item.System != nil && strings.IndexByte(*item.System, 0) >= 0:
		return "system has a NUL byte"
	case strings.ContainsFunc(item.Model, unicode.IsControl):
		return "model has a line break or a control character"
	case len(item.Prompt) > wire.MaxRequest:
		return fmt.Sprintf("the prompt is over %d MiB", wire.MaxRequest>>20)
	}
	return ""
}

// readObject fills the item from a JSON object. It returns the fault, "" if there is none.
func (item *Item) readObject(object []byte) string {
	var in itemLine
	d := json.NewDecoder(bytes.NewReader(object))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return "invalid JSON object: " + plainJSON(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return "there is data after the object"
	}
	if in.Prompt == nil {
		return "the object has no prompt"
	}
	item.Prompt, item.System, item.Model, item.Files = *in.Prompt, in.System, in.Model, in.Files
	if slices.Contains(in.Files, "") {
		return "files must be a list of paths"
	}
	if in.MaxTokens != nil {
		if item.MaxTokens = *in.MaxTokens; item.MaxTokens < 1 || item.MaxTokens > maxTokens {
			return fmt.Sprintf("max_tokens must be a whole number from 1 to %d", maxTokens)
		}
	}
	return item.identify(in.ID)
}

// identify sets the ID from a JSON string or integer. The integer 1 and the string "1" are the same ID.
func (item *Item) identify(id json.RawMessage) string {
	const want = "the id must be a string or a whole number"
	switch {
	case len(id) == 0 || string(id) == "null":
		return ""
	case id[0] == '"':
		_ = json.Unmarshal(id, &item.ID) // a string of a decoded object is valid
	default:
		n, err := strconv.ParseInt(string(id), 10, 64)
		if err != nil {
			return want
		}
		item.ID = strconv.FormatInt(n, 10)
	}
	item.numbered = false
	if item.ID == "" || len(item.ID) > maxID {
		return fmt.Sprintf("the id must have 1 to %d bytes", maxID)
	}
	return ""
}

// plainJSON returns the decoder's message without Go's terms.
func plainJSON(err error) string {
	var wrong *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return fmt.Sprintf("syntax error at byte %d", syntax.Offset)
	case errors.As(err, &wrong):
		return fmt.Sprintf("%s cannot be a %s", wrong.Field, wrong.Value)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "it is cut"
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

// lineReader reads lines and keeps at most one in memory.
type lineReader struct {
	from   *bufio.Reader
	limit  int // bytes per line, 0 for no limit
	number int
	buf    []byte
}

func newLineReader(r io.Reader, limit int) *lineReader {
	return &lineReader{from: bufio.NewReaderSize(r, 64<<10), limit: limit}
}

// errLineTooLong means that a line was longer than the limit. The reader is after that line.
var errLineTooLong = errors.New("longer than the limit of a line")

// next returns the next line with its line end, valid until the next call. The last line may have no line end. The
// error is io.EOF at the end, errLineTooLong, or the reader's.
func (l *lineReader) next() ([]byte, error) {
	if l.buf = l.buf[:0]; cap(l.buf) > 1<<20 {
		l.buf = nil // free the memory of a long line
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
			return nil, err
		}
		l.number++
		if long {
			return nil, errLineTooLong
		}
		return l.buf, nil
	}
}

// BatchInput is the input file as it was when it was opened. Data appended later does not belong to it. Reading fails
// if the file changed.
type BatchInput struct {
	// Name is the name of the input in messages.
	Name string

	file *os.File
	temp bool // Close removes the file
	info fs.FileInfo
	at   *io.SectionReader
	// shard is the part of the input to read.
	shard Shard
}

// OpenBatchInput opens the input of a batch that writes to out. The path - is stdin. Standard input, or a file that is
// not regular, is copied to a private file in the folder of out; that disk must have space for the answers too.
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
			if written, err := os.Stat(path); err == nil && os.SameFile(info, written) { // writing would destroy the input
				return nil, text.Errorf("use another --out", "--batch and --out: the batch writes %s, which is its input", path)
			}
		}
		if path != "-" && info.Mode().IsRegular() {
			in.file, in.info = file, info
			return in, nil
		}
	}
	if err := in.spool(from, filepath.Dir(out)); err != nil {
		in.Close()
		return nil, fmt.Errorf("cannot copy %s to the folder of %s: %s", in.Name, out, state.StripPath(err))
	}
	return in, nil
}

// spool copies a stream to a private file in folder, because a batch reads its input twice.
func (in *BatchInput) spool(from io.Reader, folder string) (err error) {
	state.Sweep(folder)
	if in.file, err = os.CreateTemp(folder, state.TempPattern); err != nil {
		return err
	}
	in.temp = os.Remove(in.file.Name()) != nil // at once if the system allows it, so that nothing stays after a kill
	if _, err = io.Copy(in.file, from); err != nil {
		return err
	}
	in.info, err = in.file.Stat()
	return err
}

// Close closes the file, and removes it if it is temporary.
func (in *BatchInput) Close() {
	in.file.Close() // Close on nil does nothing
	if in.temp {
		_ = os.Remove(in.file.Name()) // best effort: the file is private
	}
}

// errChanged means that the input was changed while it was read.
var errChanged = errors.New("it was changed while the batch was reading it")

func (in *BatchInput) Read(p []byte) (int, error) {
	n, err := in.at.Read(p)
	if info, failed := in.file.Stat(); failed == nil && (info.Size() != in.info.Size() || !info.ModTime().Equal(in.info.ModTime())) {
		return 0, errChanged
	}
	return n, err
}

// items calls each for every line of the shard that is not blank. It writes the input to seen, and adds the IDs of all
// shards to ids, which may be nil.
func (in *BatchInput) items(seen io.Writer, ids *seenIDs, each func(Item) error) error {
	in.at = io.NewSectionReader(in.file, 0, in.info.Size())
	lines := newLineReader(io.TeeReader(in, seen), maxItem)
	for {
		line, err := lines.next()
		var item Item
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errLineTooLong):
			item = invalidItem(lines.number, "is over "+text.Size(maxItem))
		case err == nil && lines.number > maxLines:
			err = fmt.Errorf("it has more than %d lines", maxLines)
			fallthrough
		case err != nil:
			return fileError(in.Name, "cannot read", err)
		default:
			if item = parseItem(lines.number, line); item.Line == 0 {
				continue
			}
		}
		if ids != nil && item.fault == "" {
			if err := ids.add(item); err != nil {
				return err
			}
		}
		if !in.shard.has(item, line) {
			continue
		}
		if err := each(item); err != nil {
			return err
		}
	}
}

// scan reads the complete input once. It returns its digest, and an error if two items have the same ID.
func (in *BatchInput) scan(each func(Item) error) (digest string, err error) {
	sum := sha256.New()
	err = in.items(sum, &seenIDs{own: map[[16]byte]int{}}, each)
	return hex.EncodeToString(sum.Sum(nil)), err
}

// seenIDs finds duplicate IDs. It needs a few bytes for an item's own ID, and one bit for a line number.
type seenIDs struct {
	own      map[[16]byte]int // line by 128 bits of the ID's digest; a collision is practically impossible
	numbered lineSet
}

// add returns an error if an earlier item has the same ID.
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
	return text.Errorf("the id of an item without one is its line number",
		"lines %d and %d have the same id %q", first, item.Line, item.ID)
}

// lineSet is a set of line numbers with one bit per line.
type lineSet []uint64

func (m *lineSet) set(line int) {
	for len(*m) <= line/64 {
		*m = append(*m, 0)
	}
	(*m)[line/64] |= 1 << (line % 64)
}

func (m lineSet) clear(line int) {
	if line/64 < len(m) {
		m[line/64] &^= 1 << (line % 64)
	}
}

func (m lineSet) has(line int) bool { return line/64 < len(m) && m[line/64]&(1<<(line%64)) != 0 }

package client

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"ferry/pkg/state"
	"ferry/pkg/text"
	"ferry/pkg/wire"
)

// The files of a batch, all private: state.OpenPrivate refuses what exists and is not.
//
//	OUT           one line for each item that was answered, and nothing else. A line that is there stays.
//	OUT.journal   the header, then "s LINE" before an item is sent and "f LINE" when it failed and no request for it was
//	              carried out. Its lock is the batch's.
//	OUT.failed    one line for each item that the last run could not answer. It is written anew by each run.
//
// An item is done when OUT has it, and in flight when it was sent and neither done nor failed. Each line is one write, of
// over a MiB several, and the write of "s LINE" comes before the request, so that a process that is killed loses nothing.
// The system is told to put both on the disk at least every 100 ms: a power cut can take the answers of that long, and
// their intents.

const (
	journalKind   = "ferry batch"
	journalSchema = 1
)

// journalHeader says what a batch is about.
type journalHeader struct {
	Kind   string `json:"kind"`
	Schema int    `json:"schema"`
	// Input is the digest of the input's bytes, Settings the digests of what all requests have in common, by name.
	Input    string            `json:"input"`
	Settings map[string]string `json:"settings"`
	// Shard is the part of the input that OUT is about, "" for all of it.
	Shard string `json:"shard,omitempty"`
}

// differs names what two batches do not have in common, "" for nothing. The shard does not count.
func (h *journalHeader) differs(other *journalHeader) string {
	if h.Input != other.Input {
		return inputDiffers
	}
	for _, name := range slices.Sorted(maps.Keys(h.Settings)) {
		if h.Settings[name] != other.Settings[name] {
			return name
		}
	}
	return ""
}

const inputDiffers = "input"

// resultLine is a line of OUT and of OUT.failed. Its fields are only ever added to.
type resultLine struct {
	ID         string       `json:"id"`
	Line       int          `json:"line"`
	Node       string       `json:"node"`
	Model      string       `json:"model"`
	Text       string       `json:"text"`
	StopReason string       `json:"stop_reason"`
	Usage      *wire.Usage  `json:"usage"`
	Attempts   int          `json:"attempts"`
	LatencyMS  float64      `json:"latency_ms"`
	Error      *resultError `json:"error"`
}

type resultError struct {
	Class     Class  `json:"class"`
	Status    int    `json:"status"`
	Message   string `json:"message"`
	Ambiguous bool   `json:"ambiguous"`
}

// Ambiguous is the class of an item that was in flight when a batch ended.
const Ambiguous Class = "ambiguous"

// fileError is a file of a batch that cannot be used, or could not be written.
func fileError(path, msg string, err error) error {
	return &state.Error{Path: path, Msg: msg, Err: state.Bare(err)}
}

// cannotRead is an error of a file that is the input or belongs to an item.
func cannotRead(name string, err error) error {
	return fmt.Errorf("cannot read %s: %w", name, state.Bare(err))
}

// batchPaths are the files that a batch writes: OUT, OUT.journal and OUT.failed.
func batchPaths(out string) [3]string { return [3]string{out, out + ".journal", out + ".failed"} }

// record is what the files say of a batch.
type record struct {
	out                string
	isNew              bool           // there is no OUT
	header             *journalHeader // nil before the first run
	shard              Shard          // the header's
	done, sent         marks
	journalEnd, outEnd int64 // behind the last whole line
}

// readRecord reads OUT and the journal, either of which may be missing, and changes nothing. It looks at OUT.failed too, so
// that a file that cannot be written is found before anything is sent.
func readRecord(out string, journal *os.File) (*record, error) {
	r := &record{out: out}
	journalPath := out + ".journal"
	if journal != nil {
		if err := r.readJournal(journalPath, journal); err != nil {
			return nil, err
		}
	}
	info, err := os.Lstat(out)
	switch {
	case err == nil && r.header == nil && info.Mode().IsRegular() && info.Size() > 0:
		return nil, text.Errorf("a file that is there is never written over: take another name",
			"%s: is there, and it has no journal of a batch", out)
	case errors.Is(err, fs.ErrNotExist) && r.header != nil:
		return nil, text.Errorf("put them back, or remove the journal to ask all of it again",
			"%s: is there, and its results in %s are not", journalPath, out)
	}
	failed, err := openExisting(out + ".failed")
	if err != nil {
		return nil, err
	}
	failed.Close() // closing nil does nothing
	results, err := openExisting(out)
	if r.isNew = results == nil; err != nil || r.isNew {
		return r, err
	}
	defer results.Close()
	return r, r.readOut(results)
}

// openExisting opens a file of the batch as it will be opened to write, and makes none: it is nil where there is none.
func openExisting(path string) (*os.File, error) {
	f, err := state.OpenPrivate(path, os.O_RDWR)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return f, err
}

// changed is an error of a line that no batch has written.
func changed(path string, line int, msg string, args ...any) error {
	return text.Errorf("it was changed by something else", "%s: line %d %s", path, line, fmt.Sprintf(msg, args...))
}

// readWhole calls each with every line that has its end, and returns where the last of them ends and what follows it.
func readWhole(path string, from io.Reader, each func(number int, line []byte) error) (end int64, rest []byte, err error) {
	in := newLineReader(from, 0)
	for {
		line, whole, err := in.next()
		switch {
		case errors.Is(err, io.EOF), err == nil && !whole:
			return in.read, line, nil
		case err != nil:
			return 0, nil, fileError(path, "cannot read", err)
		}
		if err := each(in.number, line); err != nil {
			return 0, nil, err
		}
	}
}

// readJournal takes what the journal says. A header that never came to its end is none, since nothing was sent then.
func (r *record) readJournal(path string, from io.Reader) (err error) {
	var rest []byte
	r.journalEnd, rest, err = readWhole(path, from, func(number int, line []byte) error {
		if r.header == nil {
			h := &journalHeader{}
			err := json.Unmarshal(line, h)
			r.header = h
			r.shard, _ = ParseShard(h.Shard)
			if err != nil || h.Kind != journalKind || h.Schema != journalSchema || h.Shard != r.shard.String() {
				return fmt.Errorf("%s: is no journal of a batch that this ferry can read", path)
			}
			return nil
		}
		kind, digits, _ := bytes.Cut(line, []byte(" "))
		item, err := strconv.Atoi(string(digits))
		known := err == nil && item >= 1 && item <= maxLines
		switch {
		case known && string(kind) == "s":
			r.sent.set(item)
		case known && string(kind) == "f":
			r.sent.clear(item)
		default:
			return changed(path, number, "cannot be read")
		}
		return nil
	})
	const begin = `{"kind":"` + journalKind
	if err == nil && r.header == nil && !bytes.HasPrefix(rest, []byte(begin[:min(len(rest), len(begin))])) {
		err = fmt.Errorf("%s: is no journal of a batch", path)
	}
	return err
}

// readOut marks the items that are done.
func (r *record) readOut(from io.Reader) (err error) {
	r.outEnd, _, err = readWhole(r.out, from, func(number int, line []byte) error {
		item, ok := itemOf(line)
		switch {
		case !ok:
			return changed(r.out, number, "is no result of a batch")
		case r.done.has(item):
			return changed(r.out, number, "is the second for line %d of the input", item)
		}
		r.done.set(item)
		return nil
	})
	return err
}

// itemOf is the line of the input that a line of OUT answers.
func itemOf(line []byte) (item int, ok bool) {
	var result struct{ Line int }
	err := json.Unmarshal(line, &result)
	return result.Line, err == nil && result.Line >= 1 && result.Line <= maxLines
}

// file is what a lineFile writes to.
type file interface {
	io.Writer
	Truncate(size int64) error
	Sync() error
	Close() error
}

// lineFile appends lines, each in one write. After an error it takes no more: what it holds ends with a whole line.
type lineFile struct {
	path string
	mu   sync.Mutex
	file file
	size int64
	// fresh says that something was written since the last sync.
	fresh atomic.Bool
	err   error
}

// appendTo opens a file behind its last whole line, and drops what follows.
func appendTo(path string, f *os.File, end int64) (*lineFile, error) {
	err := f.Truncate(end)
	if err == nil {
		_, err = f.Seek(end, io.SeekStart)
	}
	if err != nil {
		return nil, fileError(path, "cannot write", err)
	}
	return &lineFile{path: path, file: f, size: end}, nil
}

// openLines opens a private file to append to.
func openLines(path string, flag int, end int64) (*lineFile, error) {
	f, err := state.OpenPrivate(path, flag|os.O_CREATE)
	if err != nil {
		return nil, err
	}
	return appendTo(path, f, end)
}

// putLine appends a line that has its end.
func (l *lineFile) putLine(line []byte) error { return l.put(slices.Values([][]byte{line})) }

// note appends a line to a journal.
func (l *lineFile) note(kind byte, item int) error {
	return l.putLine(fmt.Appendf(nil, "%c %d\n", kind, item))
}

// put appends the pieces of a line that has its end.
func (l *lineFile) put(pieces iter.Seq[[]byte]) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	size := l.size
	for piece := range pieces {
		n, err := l.file.Write(piece)
		if err == nil && n < len(piece) {
			err = io.ErrShortWrite
		}
		if err != nil {
			// A part of a line is taken back, best effort: the next run drops it too.
			_ = l.file.Truncate(l.size)
			l.err = fileError(l.path, "cannot write", err)
			return l.err
		}
		size += int64(n)
	}
	l.size = size
	l.fresh.Store(true)
	return nil
}

// sync puts on the disk what was written before the call. Lines can be put meanwhile.
func (l *lineFile) sync() error {
	if !l.fresh.Swap(false) {
		return nil
	}
	err := l.file.Sync()
	if err == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = cmp.Or(l.err, fileError(l.path, "cannot be put on the disk", err))
	return l.err
}

// encodeResult gives a result as a line, in pieces.
func encodeResult(result resultLine, line *bytes.Buffer) iter.Seq[[]byte] {
	answer := result.Text
	result.Text = ""
	line.Reset()
	enc := json.NewEncoder(line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(result); err != nil {
		panic(err) // strings and numbers always encode
	}
	return text.JSONLine(line.Bytes(), answer)
}

package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strconv"
	"sync"

	"ferry/pkg/state"
	"ferry/pkg/wire"
)

// The files of a batch, all private: state.OpenPrivate refuses what exists and is not.
//
//	OUT           one line for each item that was answered, and nothing else. A line that is there stays.
//	OUT.journal   the header, then "s LINE" before an item is sent and "f LINE" when it failed and was not carried out.
//	              Its lock is the batch's.
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
}

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

// FileError is a file of a batch that cannot be used, or could not be written.
type FileError struct {
	Path, Msg, HintText string
	Err                 error
}

func (e *FileError) Error() string {
	if e.Err == nil {
		return e.Path + ": " + e.Msg
	}
	return fmt.Sprintf("%s: %s: %v", e.Path, e.Msg, state.Bare(e.Err))
}

// Unwrap gives the cause.
func (e *FileError) Unwrap() error { return e.Err }

// Hint tells what to do about it.
func (e *FileError) Hint() string { return e.HintText }

// BatchPaths are the files that a batch writes: OUT, OUT.journal and OUT.failed.
func BatchPaths(out string) [3]string { return [3]string{out, out + ".journal", out + ".failed"} }

// record is what the files say of a batch.
type record struct {
	header              *journalHeader // nil before the first run
	done, sent          marks
	journalEnd, outEnd  int64 // behind the last whole line
	journalPath, failed string
}

// readRecord reads OUT and the journal, either of which may be missing, and changes nothing. It looks at OUT.failed too, so
// that a file that cannot be written is found before anything is sent.
func readRecord(out string, journal io.Reader) (*record, error) {
	r := &record{journalPath: out + ".journal", failed: out + ".failed"}
	if err := r.readJournal(journal); err != nil {
		return nil, err
	}
	info, err := os.Lstat(out)
	switch {
	case err == nil && r.header == nil && info.Mode().IsRegular() && info.Size() > 0:
		return nil, &FileError{Path: out, Msg: "is there, and it has no journal of a batch",
			HintText: "a file that is there is never written over: take another name"}
	case errors.Is(err, fs.ErrNotExist) && r.header != nil:
		return nil, &FileError{Path: r.journalPath, Msg: "is there, and its results in " + out + " are not",
			HintText: "put them back, or remove the journal to ask all of it again"}
	}
	failed, err := openExisting(r.failed)
	if err != nil {
		return nil, err
	}
	failed.Close() // closing nil does nothing
	results, err := openExisting(out)
	switch {
	case err != nil:
		return nil, err
	case results == nil:
		return r, nil
	}
	defer results.Close()
	return r, r.readOut(out, results)
}

// openExisting opens a file of the batch as it will be opened to write, and makes none: it is nil where there is none.
func openExisting(path string) (*os.File, error) {
	f, err := state.OpenPrivate(path, os.O_RDWR)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return f, err
}

// readJournal takes what the journal says. A header that never came to its end is none, since nothing was sent then.
func (r *record) readJournal(from io.Reader) error {
	in := newLineReader(from, 0)
	journalBegin := []byte(`{"kind":"` + journalKind)
	for {
		line, whole, err := in.next()
		switch {
		case err == nil && !whole && r.header == nil && !bytes.HasPrefix(line, journalBegin[:min(len(line), len(journalBegin))]):
			return &FileError{Path: r.journalPath, Msg: "is no journal of a batch"}
		case errors.Is(err, io.EOF), err == nil && !whole:
			r.journalEnd = in.read
			return nil
		case err != nil:
			return &FileError{Path: r.journalPath, Msg: "cannot read", Err: err}
		case r.header == nil:
			r.header = &journalHeader{}
			if json.Unmarshal(line, r.header) != nil || r.header.Kind != journalKind || r.header.Schema != journalSchema {
				return &FileError{Path: r.journalPath, Msg: "is no journal of a batch that this ferry can read"}
			}
			continue
		}
		kind, rest, _ := bytes.Cut(line, []byte(" "))
		number, err := strconv.Atoi(string(rest))
		switch {
		case err != nil || number < 1 || number > maxLines:
			return r.unreadable(in.number)
		case string(kind) == "s":
			r.sent.set(number)
		case string(kind) == "f":
			r.sent.clear(number)
		default:
			return r.unreadable(in.number)
		}
	}
}

func (r *record) unreadable(line int) error {
	return &FileError{Path: r.journalPath, Msg: fmt.Sprintf("line %d cannot be read", line),
		HintText: "it was changed by something else"}
}

// readOut marks the items that are done.
func (r *record) readOut(out string, results io.Reader) error {
	in := newLineReader(results, 0)
	for {
		line, whole, err := in.next()
		switch {
		case errors.Is(err, io.EOF), err == nil && !whole:
			r.outEnd = in.read
			return nil
		case err != nil:
			return &FileError{Path: out, Msg: "cannot read", Err: err}
		}
		var result struct{ Line int }
		if json.Unmarshal(line, &result) != nil || result.Line < 1 || result.Line > maxLines {
			return &FileError{Path: out, Msg: fmt.Sprintf("line %d is no result of a batch", in.number),
				HintText: "it was changed by something else"}
		}
		if r.done.has(result.Line) {
			return &FileError{Path: out, Msg: fmt.Sprintf("line %d is the second for line %d of the input", in.number, result.Line),
				HintText: "it was changed by something else"}
		}
		r.done.set(result.Line)
	}
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
	fresh bool
	err   error
}

// appendTo opens a file behind its last whole line, and drops what follows.
func appendTo(path string, f *os.File, end int64) (*lineFile, error) {
	err := f.Truncate(end)
	if err == nil {
		_, err = f.Seek(end, io.SeekStart)
	}
	if err != nil {
		return nil, &FileError{Path: path, Msg: "cannot write", Err: err}
	}
	return &lineFile{path: path, file: f, size: end}, nil
}

// putLine appends a line that has its end.
func (l *lineFile) putLine(line []byte) error { return l.put(slices.Values([][]byte{line})) }

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
			l.err = &FileError{Path: l.path, Msg: "cannot write", Err: err}
			return l.err
		}
		size += int64(n)
	}
	l.size = size
	l.fresh = true
	return nil
}

// sync puts on the disk what was written before the call. Lines can be put meanwhile.
func (l *lineFile) sync() error {
	l.mu.Lock()
	fresh := l.fresh
	l.fresh = false
	l.mu.Unlock()
	if !fresh {
		return nil
	}
	err := l.file.Sync()
	if err == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = &FileError{Path: l.path, Msg: "cannot be put on the disk", Err: err}
	}
	return l.err
}

// openJournal takes the batch's lock.
func openJournal(path string) (*os.File, error) {
	journal, err := state.OpenLocked(path)
	var held *state.HeldError
	if errors.As(err, &held) {
		return nil, &FileError{Path: path, Msg: "another ferry is working on this batch"}
	}
	return journal, err
}

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

// The files of a batch. All are private: state.OpenPrivate refuses existing files that are not.
//
//	OUT           one line for each answered item, and nothing else. Existing lines are never changed.
//	OUT.journal   the header, then "s LINE" before an item is sent, and "f LINE" if it failed and is not ambiguous: no
//	              request was carried out, or the answer arrived and was withheld or did not match the schema. The lock
//	              on this file is the lock of the batch.
//	OUT.failed    one line for each item that the last run could not answer. Each run writes it anew.
//
// An item is done if OUT has it. It is in flight if it was sent and is neither done nor failed. Each line is one write
// (a line of more than a MiB is several). "s LINE" is written before the request, so that nothing is lost if the
// process is killed. Both files are synced to disk at least every 100 ms: a power failure can lose the answers of that
// time and their "s" lines.

const (
	journalKind   = "ferry batch"
	journalSchema = 1
)

// journalHeader identifies a batch.
type journalHeader struct {
	Kind   string `json:"kind"`
	Schema int    `json:"schema"`
	// Input is the digest of the input. Settings are the digests of the settings that all requests have in common, by
	// name.
	Input    string            `json:"input"`
	Settings map[string]string `json:"settings"`
	// Shard is the part of the input that OUT is for, "" for all of it.
	Shard string `json:"shard,omitempty"`
}

// firstDifference returns the name of the first setting in which two batches differ, "" if there is none. It ignores
// the shard.
func (h *journalHeader) firstDifference(other *journalHeader) string {
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

// resultLine is a line of OUT and of OUT.failed. New versions may add fields, but never change or remove one.
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

// Ambiguous is the class of an item that was in flight when an earlier run ended.
const Ambiguous Class = "ambiguous"

// fileError returns an error for a file of a batch that cannot be read or written.
func fileError(path, msg string, err error) error {
	return &state.Error{Path: path, Msg: msg, Err: state.StripPath(err)}
}

// cannotRead returns an error for the input or a file of an item.
func cannotRead(name string, err error) error {
	return fmt.Errorf("cannot read %s: %w", name, state.StripPath(err))
}

// batchPaths returns the files that a batch writes: OUT, OUT.journal and OUT.failed.
func batchPaths(out string) [3]string { return [3]string{out, out + ".journal", out + ".failed"} }

// record is the state of a batch according to its files.
type record struct {
	out                string
	isNew              bool           // OUT does not exist
	header             *journalHeader // nil before the first run
	shard              Shard          // from the header
	done, sent         lineSet
	journalEnd, outEnd int64 // end of the last complete line
}

// readRecord reads OUT and the journal, and changes nothing. Either may be missing. It also opens OUT.failed, so that a
// file that cannot be written is found before anything is sent.
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
		return nil, text.Errorf("ferry never overwrites an existing file: use another name",
			"%s: exists, but it has no batch journal", out)
	case errors.Is(err, fs.ErrNotExist) && r.header != nil:
		return nil, text.Errorf("put them back, or remove the journal to send all prompts again",
			"%s: exists, but its results in %s do not", journalPath, out)
	}
	failed, err := openExisting(out + ".failed")
	if err != nil {
		return nil, err
	}
	failed.Close() // Close on nil does nothing
	results, err := openExisting(out)
	if r.isNew = results == nil; err != nil || r.isNew {
		return r, err
	}
	defer results.Close()
	return r, r.readOut(results)
}

// openExisting opens a file of the batch with the permissions needed for writing. It returns nil if the file does not
// exist.
func openExisting(path string) (*os.File, error) {
	f, err := state.OpenPrivate(path, os.O_RDWR)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return f, err
}

// changed returns an error for a line that no batch wrote.
func changed(path string, line int, msg string, args ...any) error {
	return text.Errorf("another program changed it", "%s: line %d %s", path, line, fmt.Sprintf(msg, args...))
}

// readWhole calls each for every line that ends with a newline. It returns the end of the last of these lines, and the
// rest after it.
func readWhole(path string, from io.Reader, each func(number int, line []byte) error) (end int64, rest []byte, err error) {
	in := newLineReader(from, 0)
	for {
		line, err := in.next()
		switch {
		case errors.Is(err, io.EOF), err == nil && !bytes.HasSuffix(line, []byte("\n")):
			return end, line, nil
		case err != nil:
			return 0, nil, fileError(path, "cannot read", err)
		}
		if err := each(in.number, line); err != nil {
			return 0, nil, err
		}
		end += int64(len(line))
	}
}

// readJournal reads the journal. An incomplete header counts as no header, because nothing was sent then.
func (r *record) readJournal(path string, from io.Reader) (err error) {
	var rest []byte
	r.journalEnd, rest, err = readWhole(path, from, func(number int, line []byte) error {
		if r.header == nil {
			h := &journalHeader{}
			err := json.Unmarshal(line, h)
			r.header = h
			r.shard, _ = ParseShard(h.Shard)
			if err != nil || h.Kind != journalKind || h.Schema != journalSchema || h.Shard != r.shard.String() {
				return fmt.Errorf("%s: is not a batch journal that this version of ferry can read", path)
			}
			return nil
		}
		kind, digits, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
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
		err = fmt.Errorf("%s: is not a batch journal", path)
	}
	return err
}

// readOut marks the items in OUT as done.
func (r *record) readOut(from io.Reader) (err error) {
	r.outEnd, _, err = readWhole(r.out, from, func(number int, line []byte) error {
		item, ok := itemOf(line)
		switch {
		case !ok:
			return changed(r.out, number, "is not a batch result")
		case r.done.has(item):
			return changed(r.out, number, "is the second result for line %d of the input", item)
		}
		r.done.set(item)
		return nil
	})
	return err
}

// itemOf returns the number of the input line that a line of OUT answers.
func itemOf(line []byte) (item int, ok bool) {
	var result struct{ Line int }
	err := json.Unmarshal(line, &result)
	return result.Line, err == nil && result.Line >= 1 && result.Line <= maxLines
}

// file is the file of a lineFile.
type file interface {
	io.Writer
	Truncate(size int64) error
	Sync() error
	Close() error
}

// lineFile appends lines, each in one write. After an error it writes no more lines, so its file ends with a complete
// line.
type lineFile struct {
	path string
	mu   sync.Mutex
	file file
	size int64
	// dirty says that something was written since the last sync.
	dirty atomic.Bool
	err   error
}

// appendTo truncates a file to end, the end of its last complete line, and appends to it from there.
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

// openLines opens a private file for appending.
func openLines(path string, flag int, end int64) (*lineFile, error) {
	f, err := state.OpenPrivate(path, flag|os.O_CREATE)
	if err != nil {
		return nil, err
	}
	return appendTo(path, f, end)
}

// putLine appends a line that ends with a newline.
func (l *lineFile) putLine(line []byte) error { return l.put(slices.Values([][]byte{line})) }

// note appends a line to the journal.
func (l *lineFile) note(kind byte, item int) error {
	return l.putLine(fmt.Appendf(nil, "%c %d\n", kind, item))
}

// put appends a line in pieces. The last piece ends with a newline.
func (l *lineFile) put(pieces iter.Seq[[]byte]) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	size := l.size
	for piece := range pieces {
		n, err := l.file.Write(piece)
		if err != nil {
			// Remove the incomplete line. Best effort: the next run removes it too.
			_ = l.file.Truncate(l.size)
			l.err = fileError(l.path, "cannot write", err)
			return l.err
		}
		size += int64(n)
	}
	l.size = size
	l.dirty.Store(true)
	return nil
}

// sync writes to disk what was put before the call. Other goroutines can put lines meanwhile.
func (l *lineFile) sync() error {
	if !l.dirty.Swap(false) {
		return nil
	}
	err := l.file.Sync()
	if err == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = cmp.Or(l.err, fileError(l.path, "cannot be flushed to the disk", err))
	return l.err
}

// encode returns the result as a line, in pieces.
func (result resultLine) encode() iter.Seq[[]byte] {
	answer := result.Text
	result.Text = ""
	return text.JSONLine(text.EncodeLine(result), answer)
}

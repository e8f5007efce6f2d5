package client

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"ferry/pkg/state"
)

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
	l.buf = l.buf[:0]
	if cap(l.buf) > 1<<20 {
		l.buf = nil // one long line is no reason to hold as much for the rest
	}
	length, long := 0, false
	for {
		part, err := l.from.ReadSlice('\n')
		length += len(part)
		long = long || l.limit > 0 && length > l.limit
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case err != nil && !errors.Is(err, io.EOF):
			return nil, false, err
		case err != nil && length == 0:
			return nil, false, io.EOF
		default:
			l.number++
			if ended = err == nil; ended {
				l.read += int64(length)
				part = part[:len(part)-1]
			}
			if long {
				return nil, ended, errLong
			}
			if len(l.buf) == 0 {
				return part, ended, nil
			}
			return append(l.buf, part...), ended, nil
		}
		if long {
			l.buf = l.buf[:0]
			continue
		}
		l.buf = append(l.buf, part...)
	}
}

// inputReader reads a file as it was when it was opened: what is appended later is not a part of it, and that it was
// changed ends the reading.
type inputReader struct {
	file *os.File
	at   *io.SectionReader
	size int64
	when time.Time
}

// errChanged is an input that was written to while it was read.
var errChanged = errors.New("it was changed while the batch was reading it")

func newInputReader(file *os.File) (*inputReader, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	return &inputReader{file, io.NewSectionReader(file, 0, info.Size()), info.Size(), info.ModTime()}, nil
}

func (r *inputReader) rewind() { r.at = io.NewSectionReader(r.file, 0, r.size) }

func (r *inputReader) Read(p []byte) (int, error) {
	n, err := r.at.Read(p)
	if info, failed := r.file.Stat(); failed == nil && (info.Size() != r.size || !info.ModTime().Equal(r.when)) {
		return 0, errChanged
	}
	return n, err
}

// items calls each with every line that is not blank: an item, or the *ItemError of a line that is none.
func (r *inputReader) items(read io.Reader, each func(Item, *ItemError) error) (lines int, err error) {
	in := newLineReader(read, maxItem)
	for {
		line, _, err := in.next()
		var fault *ItemError
		var item Item
		switch {
		case errors.Is(err, io.EOF):
			return in.number, nil
		case errors.Is(err, errLong):
			fault = &ItemError{in.number, fmt.Sprintf("is over %d MiB", maxItem>>20)}
		case err != nil:
			return in.number, err
		case in.number > maxLines:
			return in.number, fmt.Errorf("it has more than %d lines", maxLines)
		default:
			var blank bool
			item, blank, err = parseItem(in.number, line)
			if blank {
				continue
			}
			errors.As(err, &fault)
		}
		if err := each(item, fault); err != nil {
			return in.number, err
		}
	}
}

// scan reads all of the input once. It returns the digest of its bytes and an error where two items have one id.
func (r *inputReader) scan(each func(Item, *ItemError) error) (digest string, err error) {
	r.rewind()
	sum := sha256.New()
	var ids seenIDs
	_, err = r.items(io.TeeReader(r, sum), func(item Item, fault *ItemError) error {
		if fault == nil {
			ids.add(item)
		}
		return each(item, fault)
	})
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), ids.twice(r)
}

// Spool puts a stream, which can be read only once, into a private file in a folder: a batch reads its input twice. done
// removes it.
func Spool(from io.Reader, folder string) (file *os.File, done func(), err error) {
	state.Sweep(folder)
	if file, err = os.CreateTemp(folder, state.TempPattern); err != nil {
		return nil, nil, err
	}
	gone := os.Remove(file.Name()) == nil // at once where the system can, so that a kill leaves nothing
	done = func() {
		file.Close()
		if !gone {
			_ = os.Remove(file.Name()) // best effort: it is private
		}
	}
	if _, err = io.Copy(file, from); err != nil {
		done()
		return nil, nil, err
	}
	return file, done, nil
}

package limit

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"ferry/pkg/state"
)

// openPlace opens a file that is written in place, under a lock. Such a file needs no flush and no replacing: what it
// holds is of use for minutes, a killed process loses nothing that was written, and after a crash of the machine every
// line that was not written whole is known by its checksum. fresh says that there was none.
func openPlace(path string) (f *os.File, fresh bool, err error) {
	f, err = state.OpenPrivate(path, os.O_RDWR)
	if fresh = errors.Is(err, fs.ErrNotExist); fresh {
		f, err = state.OpenPrivate(path, os.O_RDWR|os.O_CREATE)
	}
	return f, fresh, err
}

// readAt reads up to size bytes from the start.
func readAt(f *os.File, size int) ([]byte, error) {
	data := make([]byte, size)
	n, err := f.ReadAt(data, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	return data[:n], nil
}

// seal ends a line with its checksum and fills it up to size bytes.
func seal(size int, line []byte) []byte {
	line = fmt.Appendf(line, " sum %08x", crc32.ChecksumIEEE(line))
	line = append(line, bytes.Repeat([]byte{' '}, size-1-len(line))...)
	return append(line, '\n')
}

// unseal gives the fields of a line whose checksum is right, the words "sum" and the checksum left out.
func unseal(line []byte) ([]string, bool) {
	body, sum, found := strings.Cut(string(line), " sum ")
	if !found || strings.TrimRight(sum, " \n") != fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(body))) {
		return nil, false
	}
	return strings.Fields(body), true
}

// appendReading writes a reading as five fields.
func appendReading(line []byte, r reading) []byte {
	id := r.id
	if id == "" {
		id = noID
	}
	return fmt.Appendf(line, " boot %s %d wall %d", id, r.boot, r.wall)
}

// fieldReader takes fields apart, and remembers whether all were right.
type fieldReader struct {
	fields []string
	bad    bool
}

func (f *fieldReader) next() string {
	if len(f.fields) == 0 {
		f.bad = true
		return ""
	}
	field := f.fields[0]
	f.fields = f.fields[1:]
	return field
}

// words skips words that have to be there.
func (f *fieldReader) words(want ...string) {
	f.bad = f.bad || len(f.fields) < len(want) || !slices.Equal(f.fields[:len(want)], want)
	if !f.bad {
		f.fields = f.fields[len(want):]
	}
}

func (f *fieldReader) number(lowest, highest int64) int64 {
	n, err := strconv.ParseInt(f.next(), 10, 64)
	f.bad = f.bad || err != nil || n < lowest || n > highest
	return n
}

func (f *fieldReader) reading() reading {
	f.words("boot")
	r := reading{id: f.next(), boot: f.number(-farthest, farthest)}
	f.words("wall")
	r.wall = f.number(-farthest, farthest)
	if r.id == noID {
		r.id = ""
	} else if !isID(r.id) {
		f.bad = true
	}
	return r
}

func (f *fieldReader) ok() bool { return !f.bad && len(f.fields) == 0 }

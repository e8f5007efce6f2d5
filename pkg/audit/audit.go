// Package audit owns the audit log: one line of JSON for each call, in a private file that any number of processes
// write at once and that is rotated by its size. It refuses to know how a call is made, to hold a key, and to hold what
// was said unless it is asked to, and then redacted. It never picks a path.
package audit

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"ferry/pkg/state"
)

const (
	// Kept is how many old files there are beside the log: FILE.1 is the newest of them, FILE.9 the oldest.
	Kept = 9
	// DefaultMaxSize is the size at which a log is rotated, in bytes.
	DefaultMaxSize = 10 << 20
	// lockTimeout is how long a line waits for other writers. Each holds the lock for the time of one write.
	lockTimeout = 5 * time.Second
)

// Log is an audit log. The zero value but for Path is ready. Nothing is opened before the first line.
type Log struct {
	Path string
	// MaxSize is the size, in bytes, that a file does not pass, but for a line that is longer by itself; 0 is
	// DefaultMaxSize.
	MaxSize int64
	// Redact makes texts from outside fit to be kept.
	Redact func(string) string
}

// Write adds the entry as one line. It fails with *state.Error, and the log is then as it was.
//
// A lock keeps the lines of several processes apart from a rotation; should it not be had in time, the line is added
// all the same, where its place in a file that is just being renamed does no harm, and nothing is rotated.
func (l Log) Write(ctx context.Context, e Entry) error {
	line := e.line(l.Redact)
	bounded, cancel := context.WithTimeout(ctx, lockTimeout)
	defer cancel()
	unlock, err := state.Lock(bounded, lockPath(l.Path))
	if err == nil {
		defer unlock()
		if err := l.rotate(int64(len(line))); err != nil {
			return err
		}
	}
	f, err := state.OpenPrivate(l.Path, os.O_RDWR|os.O_APPEND|os.O_CREATE)
	if err != nil {
		return err
	}
	if err := cmp.Or(appendLine(f, line), f.Close()); err != nil {
		return &state.Error{Path: l.Path, Msg: "cannot write", Err: state.Bare(err)}
	}
	return nil
}

// appendLine adds a line in one write. What a crash left of a line before it is ended first, and what a full disk took
// of this one is taken back.
func appendLine(f *os.File, line []byte) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	last := []byte{'\n'}
	if size := info.Size(); size > 0 {
		if _, err := f.ReadAt(last, size-1); err != nil {
			return err
		}
	}
	if last[0] != '\n' {
		line = append([]byte{'\n'}, line...)
	}
	n, err := f.Write(line)
	if err != nil && n > 0 {
		// Only where it is still the end: without the lock another line may be behind it.
		if now, failed := f.Stat(); failed == nil && now.Size() == info.Size()+int64(n) {
			return errors.Join(err, f.Truncate(info.Size()))
		}
	}
	return err
}

// rotate makes room for more bytes: FILE becomes FILE.1, that FILE.2, and the oldest goes. The lock is held.
func (l Log) rotate(more int64) error {
	most := l.MaxSize
	if most <= 0 {
		most = DefaultMaxSize
	}
	info, err := os.Lstat(l.Path)
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 || info.Size()+more <= most {
		return nil // what is wrong with the file is for its opening to say
	}
	for k := Kept; k > 0; k-- {
		from := l.Path
		if k > 1 {
			from = old(l.Path, k-1)
		}
		if err := state.Rename(from, old(l.Path, k)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return &state.Error{Path: l.Path, Msg: "cannot be rotated", Err: state.Bare(err)}
		}
	}
	return nil
}

// Files are the existing files of the log at path, the newest first, and its lock. Removing them all leaves no trace.
func Files(path string) []string {
	names := []string{path}
	for k := 1; k <= Kept; k++ {
		names = append(names, old(path, k))
	}
	names = append(names, lockPath(path))
	return slices.DeleteFunc(names, func(name string) bool {
		_, err := os.Lstat(name)
		return err != nil
	})
}

func old(path string, k int) string { return path + "." + strconv.Itoa(k) }

func lockPath(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".lock")
}

// Package audit owns the audit log: one line of JSON for each call, in a private file. Several processes can write it
// at the same time, and it is rotated by size. The package does not know how a call is made and never stores a key. It
// stores prompts and answers only on request, and redacted. It never picks a path.
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
	// maxRotated is the number of rotated files: FILE.1 is the newest, FILE.9 the oldest.
	maxRotated = 9
	// lockTimeout is how long a write waits for other writers. Each holds the lock for one write.
	lockTimeout = 5 * time.Second
)

// Log is an audit log. All fields must be set. No file is opened before the first line.
type Log struct {
	Path string
	// MaxSize is the maximum size of a file in bytes. Only a single line longer than that exceeds it.
	MaxSize int64
	// Redact removes secrets from text that comes from outside.
	Redact func(string) string
}

// Write adds the entry as one line. If it fails, the error is a *state.Error and the log is unchanged.
//
// A lock prevents a rotation by one process while another writes. If the lock is not acquired in time, the line is
// still added, but nothing is rotated. A line written to a file that is being renamed is not lost.
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
		return &state.Error{Path: l.Path, Msg: "cannot write", Err: state.StripPath(err)}
	}
	return nil
}

// appendLine adds a line in one write. If a crash left an incomplete line, it ends that line first. If the disk is
// full, it removes the part that was written.
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
		// Truncate only if this is still the end: without the lock, another line may follow.
		if now, failed := f.Stat(); failed == nil && now.Size() == info.Size()+int64(n) {
			return errors.Join(err, f.Truncate(info.Size()))
		}
	}
	return err
}

// rotate makes space for more bytes: FILE becomes FILE.1, FILE.1 becomes FILE.2, and the oldest is removed. The caller
// holds the lock.
func (l Log) rotate(more int64) error {
	info, err := os.Lstat(l.Path)
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 || info.Size()+more <= l.MaxSize {
		return nil // opening the file reports what is wrong with it
	}
	for k := maxRotated; k > 0; k-- {
		from := l.Path
		if k > 1 {
			from = rotatedPath(l.Path, k-1)
		}
		if err := state.Rename(from, rotatedPath(l.Path, k)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return &state.Error{Path: l.Path, Msg: "cannot be rotated", Err: state.StripPath(err)}
		}
	}
	return nil
}

// Files returns the existing files of the log at path, the newest first, and its lock file.
func Files(path string) []string {
	names := []string{path}
	for k := 1; k <= maxRotated; k++ {
		names = append(names, rotatedPath(path, k))
	}
	names = append(names, lockPath(path))
	return slices.DeleteFunc(names, func(name string) bool {
		_, err := os.Lstat(name)
		return err != nil
	})
}

func rotatedPath(path string, k int) string { return path + "." + strconv.Itoa(k) }

func lockPath(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".lock")
}

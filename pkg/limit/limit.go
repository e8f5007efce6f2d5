// Package limit owns the limits that all ferry processes of a user share: the rate limit and the token budget of each
// node address. It does not wait, send, print or choose a folder: callers give it the folder and a clock, and sleep
// themselves, without a lock.
//
// The folder has files for each address, named after a hash of its host and port. An address can contain a password or
// a token, so no address is ever written. All files can be removed at any time: only their counts are lost.
//
//	HASH.bucket         the rate limit: a line of JSON with its checksum, written in place
//	HASH.usage          the tokens used, by day and node: replaced atomically and flushed
//	HASH.usage.holds    the maximum of each request in flight: one such line each, written in place
//	HASH.*.lock         empty: the locks of the first two
//
// If the folder cannot be used, everything works within the process, and Degraded returns the reason. After Alone it
// also works within the process, and nothing is written.
package limit

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"ferry/pkg/state"
)

// lockTimeout limits the wait for a lock. A process holds it for microseconds, unless the process was stopped.
const lockTimeout = 5 * time.Second

var errLockTimeout = errors.New("another ferry process has locked it for too long")

// sharedFile is a file that one goroutine of one process uses at a time.
type sharedFile struct {
	folder, name string
	alone        bool
	lockTimeout  time.Duration
	queue        chan struct{} // of goroutines, so that a process tries to lock the file only once at a time
	degraded     atomic.Pointer[error]
}

func newSharedFile(folder, name string) *sharedFile {
	return &sharedFile{folder: folder, name: name, lockTimeout: lockTimeout, queue: make(chan struct{}, 1)}
}

// Alone keeps the count within this process: no file is created or written, and Degraded stays nil. Call it before the
// first use. A ledger still starts from the usage in the files, unless its folder is "".
func (f *sharedFile) Alone() { f.alone = true }

// enter waits for the lock. If ctx ends, it returns the cause of ctx. If the folder cannot be used, or enough returns
// true, it waits only for other goroutines of this process, and shared is false.
func (f *sharedFile) enter(ctx context.Context, enough func() bool) (leave func(), shared bool, err error) {
	if err := context.Cause(ctx); err != nil {
		return nil, false, err
	}
	select {
	case f.queue <- struct{}{}:
	case <-ctx.Done():
		return nil, false, context.Cause(ctx)
	}
	next := func() { <-f.queue }
	if f.alone || f.Degraded() != nil || enough() {
		return next, false, nil
	}
	unlock, err := f.lock(ctx)
	switch {
	case err == nil:
		return func() { unlock(); next() }, true, nil
	case ctx.Err() != nil:
		next()
		return nil, false, context.Cause(ctx)
	}
	f.degrade(err)
	return next, false, nil
}

// lock creates the folder only if it is missing.
func (f *sharedFile) lock(ctx context.Context) (unlock func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, f.lockTimeout, errLockTimeout)
	defer cancel()
	path := f.path() + ".lock"
	unlock, err = state.Lock(ctx, path)
	if !errors.Is(err, fs.ErrNotExist) {
		return unlock, err
	}
	if err := state.MkdirPrivate(f.folder); err != nil {
		return nil, err
	}
	return state.Lock(ctx, path)
}

func (f *sharedFile) path() string { return filepath.Join(f.folder, f.name) }

// Degraded returns why the count is no longer shared with other processes, or nil while it is shared.
func (f *sharedFile) Degraded() error {
	if reason := f.degraded.Load(); reason != nil {
		return *reason
	}
	return nil
}

// degrade keeps the first reason. It cannot be undone: two separate counts cannot be merged again.
func (f *sharedFile) degrade(err error) { f.degraded.CompareAndSwap(nil, &err) }

// openInPlace opens a file that is written in place, under a lock. Such a file is not flushed: its content matters for
// minutes only, and a killed process loses nothing that it has written. fresh reports whether the file was missing.
func openInPlace(path string) (f *os.File, fresh bool, err error) {
	f, err = state.OpenPrivate(path, os.O_RDWR)
	if fresh = errors.Is(err, fs.ErrNotExist); fresh {
		f, err = state.OpenPrivate(path, os.O_RDWR|os.O_CREATE)
	}
	return f, fresh, err
}

// encode returns a value as a line of JSON after its checksum. The checksum detects a line that a crash of the machine
// left half written.
func encode(value any) []byte {
	data, err := json.Marshal(value)
	if err != nil {
		panic(err) // numbers and strings always encode
	}
	return fmt.Appendf(nil, "%08x %s\n", crc32.ChecksumIEEE(data), data)
}

// decode decodes the first line of data, as encode wrote it. The rest belongs to an earlier, longer line.
func decode(data []byte, value any) bool {
	line, _, whole := bytes.Cut(data, []byte("\n"))
	sum, text, _ := bytes.Cut(line, []byte(" "))
	return whole && string(sum) == fmt.Sprintf("%08x", crc32.ChecksumIEEE(text)) && json.Unmarshal(text, value) == nil
}

// ownFiles matches the names of this package's files, and of temporary files that a killed process left beside them.
const ownFiles = `^([0-9a-f]{32}\.(bucket|usage|usage\.holds)(\.lock)?|\.ferry-.*\.tmp)$`

// Files returns the paths of this package's files in a folder, including locks, in order. All of them can be removed:
// only their counts are lost. A missing folder has no files.
func Files(folder string) ([]string, error) {
	names := regexp.MustCompile(ownFiles)
	files, err := state.List(folder, func(entry fs.DirEntry) bool { return !entry.IsDir() && names.MatchString(entry.Name()) })
	if err != nil {
		return nil, fmt.Errorf("the folder of limits cannot be read: %w", err)
	}
	return files, nil
}

// AddressKey returns the key under which an address is counted. Addresses with the same key share a bucket and a
// ledger, and their file names begin with the key. Servers and gateways count by host, so path, query, user and letter
// case make no difference. A missing port is the default port of the scheme.
func AddressKey(address string) string {
	key := address
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		port := "443"
		if u.Scheme == "http" {
			port = "80"
		}
		key = strings.TrimSuffix(strings.ToLower(u.Hostname()), ".") + "\n" + cmp.Or(u.Port(), port)
	}
	sum := sha256.Sum256([]byte("ferry limit 1\n" + key))
	return fmt.Sprintf("%x", sum[:16])
}

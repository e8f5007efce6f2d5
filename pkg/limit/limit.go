// Package limit owns what all ferry processes of a user share about how fast and how much they may send: the rate limit
// and the budget of tokens of each node address. It does not wait, send, print or choose a folder: callers give it the
// folder and a clock, and sleep themselves, without a lock.
//
// A folder holds, for each address, files named after a hash of its host and port. An address may carry a password or
// a token in it, so none is ever written. All of them can be removed at any time: only what they count is lost.
//
//	HASH.bucket         the rate limit: a line of JSON with its checksum, written in place
//	HASH.usage          the tokens used, by day and node: replaced whole and flushed
//	HASH.usage.holds    what requests on their way may still use: such a line each, written in place
//	HASH.*.lock         empty: the locks of the first two
//
// Where the folder cannot be used, everything works within the process, and Degraded says why. After Alone it does so
// too, and nothing is written.
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

// lockTimeout bounds the wait for a lock: its holder keeps it for microseconds, unless the process was stopped.
const lockTimeout = 5 * time.Second

var errLockTimeout = errors.New("another ferry has kept it for too long")

// sharedFile is a file that goroutines and processes use one at a time.
type sharedFile struct {
	folder, name string
	alone        bool
	lockTimeout  time.Duration
	queue        chan struct{} // of goroutines, so that a process has one try at the file's lock
	degraded     atomic.Pointer[error]
}

func newSharedFile(folder, name string) *sharedFile {
	return &sharedFile{folder: folder, name: name, lockTimeout: lockTimeout, queue: make(chan struct{}, 1)}
}

// Alone keeps the count to this process: no file is made or written, and nothing is degraded by it. It is for before the
// first use. A ledger still begins from what the files say was used, where its folder is not "".
func (f *sharedFile) Alone() { f.alone = true }

// enter waits for the lock until ctx ends, whose cause it then returns. Where the folder cannot be used, or what is known
// is enough, only goroutines of this process wait for each other, and shared is false.
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

// lock makes the folder only when it is missing.
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

// Degraded says why the count is no longer shared with other processes; nil while it is.
func (f *sharedFile) Degraded() error {
	if reason := f.degraded.Load(); reason != nil {
		return *reason
	}
	return nil
}

// degrade keeps the first reason. There is no way back: two separate counts cannot be merged again.
func (f *sharedFile) degrade(err error) { f.degraded.CompareAndSwap(nil, &err) }

// openInPlace opens a file that is written in place, under a lock. Such a file is not flushed: what it holds is of use for
// minutes, and a process that is killed loses nothing that was written. fresh says that there was none.
func openInPlace(path string) (f *os.File, fresh bool, err error) {
	f, err = state.OpenPrivate(path, os.O_RDWR)
	if fresh = errors.Is(err, fs.ErrNotExist); fresh {
		f, err = state.OpenPrivate(path, os.O_RDWR|os.O_CREATE)
	}
	return f, fresh, err
}

// encode is a value as a line of JSON behind its checksum. A crash of the machine can leave a line half written: the
// checksum tells.
func encode(value any) []byte {
	data, err := json.Marshal(value)
	if err != nil {
		panic(err) // numbers and texts always encode
	}
	return fmt.Appendf(nil, "%08x %s\n", crc32.ChecksumIEEE(data), data)
}

// decode reads the first line of data, as encode wrote it. What follows is of an earlier, longer line.
func decode(data []byte, value any) bool {
	line, _, whole := bytes.Cut(data, []byte("\n"))
	sum, text, _ := bytes.Cut(line, []byte(" "))
	return whole && string(sum) == fmt.Sprintf("%08x", crc32.ChecksumIEEE(text)) && json.Unmarshal(text, value) == nil
}

// ownFiles matches the names of this package's files, and of one that a killed process left half-written beside them.
const ownFiles = `^([0-9a-f]{32}\.(bucket|usage|usage\.holds)(\.lock)?|\.ferry-.*\.tmp)$`

// Files lists the paths of this package's files in a folder, locks included, in their order. All of them can be removed:
// only what they count is lost. A folder that is not there holds none.
func Files(folder string) ([]string, error) {
	names := regexp.MustCompile(ownFiles)
	files, err := state.List(folder, func(entry fs.DirEntry) bool { return !entry.IsDir() && names.MatchString(entry.Name()) })
	if err != nil {
		return nil, fmt.Errorf("the folder of limits cannot be read: %w", err)
	}
	return files, nil
}

// Place names what is counted together: addresses with one place share a bucket and a ledger. It is the beginning of
// their files' names. Servers and gateways count by the host, so paths, queries, users and the case of letters make no
// difference, and a port that is left out is the scheme's.
func Place(address string) string {
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

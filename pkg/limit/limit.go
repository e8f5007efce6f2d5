// Package limit owns what all ferry processes of a user share about how fast and how much they may send: the token
// bucket and the budget of tokens of each node address. It refuses to wait, to send, to print, and to pick a folder:
// callers hand it the folder and a clock, and sleep themselves, with no lock held.
//
// A folder holds, for each address, files named after a hash of its host and port. An address may carry a password or
// a token in it, so none is ever written. All of them can be removed at any time: what is lost is what they count.
//
//	HASH.bucket         the bucket: one line of a fixed size, written in place
//	HASH.usage          the tokens used, by day and node: replaced whole and flushed
//	HASH.usage.holds    what requests on their way may still use: lines of a fixed size, written in place
//	HASH.*.lock         empty: the locks of the first two
//
// Where the folder cannot be used, everything works within the process, and Degraded says why. It does so too for whoever
// asked for it with Alone, and then nothing is written.
package limit

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"ferry/pkg/state"
)

// Error says what is wrong with a rate, a budget or a file.
type Error struct {
	Text     string
	HintText string
	Err      error // the cause, nil where there is none
}

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Text
	}
	return e.Text + ": " + e.Err.Error()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Hint tells what to do about it; it may be empty.
func (e *Error) Hint() string { return e.HintText }

// lockTimeout bounds the wait for a lock: holders keep one for microseconds, so a process that has it for longer was stopped.
const lockTimeout = 5 * time.Second

var errLockTimeout = errors.New("another ferry has kept it for too long")

// door lets one in at a time, of all goroutines and processes.
type door struct {
	folder, name string
	alone        bool
	lockTimeout  time.Duration
	turn         chan struct{} // goroutines queue here, so that a process has one try at the file's lock

	mu   sync.Mutex
	lost error
}

func newDoor(folder, name string) *door {
	return &door{folder: folder, name: name, lockTimeout: lockTimeout, turn: make(chan struct{}, 1)}
}

// Alone keeps the count to this process: no file is made or written, and nothing is degraded by it. It is for before the
// first use. A ledger still begins from what the files say was used, where its folder is not "".
func (d *door) Alone() { d.alone = true }

// enter waits for the lock until ctx ends, whose cause it then returns. Without the folder it lets in the goroutines of
// this process only, and shared is false from then on. It is false too where what is known is enough.
func (d *door) enter(ctx context.Context, enough func() bool) (leave func(), shared bool, err error) {
	if err := context.Cause(ctx); err != nil {
		return nil, false, err
	}
	select {
	case d.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, false, context.Cause(ctx)
	}
	next := func() { <-d.turn }
	if d.alone || d.Degraded() != nil || enough() {
		return next, false, nil
	}
	unlock, err := d.lock(ctx)
	switch {
	case err == nil:
		return func() { unlock(); next() }, true, nil
	case ctx.Err() != nil:
		next()
		return nil, false, context.Cause(ctx)
	}
	d.lose(err)
	return next, false, nil
}

// lock makes the folder only when it is missing: it is there but for the first time.
func (d *door) lock(ctx context.Context) (unlock func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.lockTimeout, errLockTimeout)
	defer cancel()
	path := d.path() + ".lock"
	unlock, err = state.Lock(ctx, path)
	if !errors.Is(err, fs.ErrNotExist) {
		return unlock, err
	}
	if err := state.MkdirPrivate(d.folder); err != nil {
		return nil, err
	}
	return state.Lock(ctx, path)
}

func (d *door) path() string { return filepath.Join(d.folder, d.name) }

// Degraded says why the count is no longer shared with other processes, for one warning; nil while it is.
func (d *door) Degraded() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lost
}

// lose keeps the first reason. There is no way back: two counts of one thing cannot be made one again.
func (d *door) lose(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lost == nil {
		d.lost = err
	}
}

// Place names what is counted together: addresses with one place share a bucket and a ledger.
func Place(address string) string { return fileName(address) }

// fileName is what the files of an address are called. Servers and gateways count by the host, so paths, queries, users
// and the case of letters make no difference, and a port that is left out is the scheme's.
func fileName(address string) string {
	key := address
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		port := u.Port()
		switch {
		case port != "":
		case strings.EqualFold(u.Scheme, "http"):
			port = "80"
		default:
			port = "443"
		}
		key = strings.TrimSuffix(strings.ToLower(u.Hostname()), ".") + "\n" + port
	}
	sum := sha256.Sum256([]byte("ferry limit 1\n" + key))
	return fmt.Sprintf("%x", sum[:16])
}

package state

import (
	"context"
	"os"
	"sync"
)

// Lock acquires the lock at path. It waits while another process, or another goroutine of this process, holds the
// lock. If the file is missing, it is created with mode 0600. It stays empty and is never removed: removing it could
// give the lock to two holders. It must be a separate file from the data, because WriteFile replaces the data file.
//
// unlock releases the lock; calling it again does nothing. The system also releases the lock when the process ends. If
// ctx ends first, Lock returns an *Error that wraps the cause of ctx. The wait in the kernel cannot be cancelled, so a
// goroutine stays behind and releases the lock as soon as it is granted.
func Lock(ctx context.Context, path string) (unlock func(), err error) {
	if err := context.Cause(ctx); err != nil {
		return nil, &Error{Path: path, Msg: "cannot lock", Err: err}
	}
	f, err := openLock(path)
	if err != nil {
		return nil, failed(path, "cannot open the lock", err)
	}
	release := sync.OnceFunc(func() { f.Close() }) // closing the only handle releases the lock
	got, err := tryLock(f)
	switch {
	case err != nil:
		release()
		return nil, failed(path, "cannot lock", err)
	case got:
		return release, nil
	}
	return waitLock(ctx, path, f, release)
}

// waitLock blocks in the kernel on a separate goroutine, so that ctx can end the wait without polling.
func waitLock(ctx context.Context, path string, f *os.File, release func()) (func(), error) {
	granted := make(chan error, 1)
	go func() { granted <- blockLock(f) }()
	select {
	case err := <-granted:
		if err != nil {
			release()
			return nil, failed(path, "cannot lock", err)
		}
		return release, nil
	case <-ctx.Done():
		go func() {
			<-granted
			release()
		}()
		return nil, &Error{Path: path, Msg: "cannot lock", Err: context.Cause(ctx),
			Advice: "another ferry process is using it"}
	}
}

// HeldError reports that another process, or another part of this process, has locked the file.
type HeldError struct{ Path string }

func (e *HeldError) Error() string { return e.Path + ": another ferry process is using it" }

// OpenLocked opens a file for reading and writing and acquires its lock without waiting. If the file is missing, it is
// created with mode 0600. If another process has the lock, the error is a *HeldError. An existing file must pass the
// checks of OpenPrivate. Closing the file, or the end of the process, releases the lock. OpenLocked is for a file that
// is written in place and never replaced by another. The holder of the lock may remove the file.
func OpenLocked(path string) (*os.File, error) {
	for range maxLinks {
		f, err := OpenPrivate(path, os.O_RDWR|os.O_CREATE)
		if err != nil {
			return nil, err
		}
		got, err := tryLock(f)
		if err == nil && got && namesFile(path, f) {
			return f, nil
		}
		f.Close()
		switch {
		case err != nil:
			return nil, failed(path, "cannot lock", err)
		case !got:
			return nil, &HeldError{path}
		}
		// The holder removed it after it was opened here: now the name is free or names another file.
	}
	return nil, &HeldError{path}
}

// namesFile reports whether the path still names the open file.
func namesFile(path string, f *os.File) bool {
	named, err := os.Lstat(path)
	if err != nil {
		return false
	}
	open, err := f.Stat()
	return err == nil && os.SameFile(named, open)
}

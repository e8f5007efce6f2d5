package state

import (
	"context"
	"os"
	"sync"
)

// Lock takes the lock that path names, waiting for its holder, be that another process or another goroutine of this
// one. The file is made with mode 0600 when missing, stays empty, and is never removed: removing it would let two
// holders in. It must be a separate file from the data, which WriteFile replaces.
//
// unlock gives the lock back; calling it again does nothing. The system gives it back too when the process ends. When
// ctx ends first, Lock returns an *Error that wraps ctx's cause; the wait in the kernel cannot be taken back, so a
// goroutine stays behind, and lets the lock go as soon as it is granted.
func Lock(ctx context.Context, path string) (unlock func(), err error) {
	if err := context.Cause(ctx); err != nil {
		return nil, &Error{Path: path, Msg: "cannot lock", Err: err}
	}
	f, err := openLock(path)
	if err != nil {
		return nil, failed(path, "cannot open the lock", err)
	}
	release := sync.OnceFunc(func() { f.Close() }) // closing the only handle gives the lock back
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

// waitLock blocks in the kernel on a goroutine of its own, so that ctx can end the wait without polling.
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
			HintText: "another ferry holds it"}
	}
}

// HeldError says that another process, or another part of this one, has the file.
type HeldError struct{ Path string }

func (e *HeldError) Error() string { return e.Path + ": another ferry is working with it" }

// OpenLocked opens a file for reading and writing, made with mode 0600 when missing, and takes its lock without waiting:
// a *HeldError where another process has it. What exists must pass the checks of OpenPrivate. Closing the file gives the
// lock back, and so does the end of the process. It is for a file that is written in place and never replaced by another.
// The holder of the lock may remove the file.
func OpenLocked(path string) (*os.File, error) {
	for range maxLinks {
		f, err := OpenPrivate(path, os.O_RDWR|os.O_CREATE)
		if err != nil {
			return nil, err
		}
		got, err := tryLock(f)
		if err == nil && got && leadsTo(path, f) {
			return f, nil
		}
		f.Close()
		switch {
		case err != nil:
			return nil, failed(path, "cannot lock", err)
		case !got:
			return nil, &HeldError{path}
		}
		// Its holder removed it after it was opened here: the name is free or another's by now.
	}
	return nil, &HeldError{path}
}

// leadsTo reports whether the path still names the open file.
func leadsTo(path string, f *os.File) bool {
	named, err := os.Lstat(path)
	if err != nil {
		return false
	}
	open, err := f.Stat()
	return err == nil && os.SameFile(named, open)
}

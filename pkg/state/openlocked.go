package state

import (
	"os"
)

// HeldError says that another process, or another part of this one, has the file.
type HeldError struct{ Path string }

func (e *HeldError) Error() string { return e.Path + ": another ferry is working with it" }

// OpenLocked opens a file for reading and writing, made with mode 0600 when missing, and takes its lock without waiting:
// a *HeldError where another process has it. What exists must pass the checks of OpenPrivate. Closing the file gives the lock back, and so does the end of the process. It is
// for a file that is written in place and never replaced by another. The holder of the lock may remove the file.
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

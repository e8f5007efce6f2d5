package client

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// fakeFile is a file on a disk that may be full. It records when it was synced.
type fakeFile struct {
	bytes.Buffer
	mu     sync.Mutex
	room   int
	synced []time.Time
	fails  error
}

func (f *fakeFile) Write(p []byte) (int, error) {
	if f.room > 0 && f.Len()+len(p) > f.room {
		n, _ := f.Buffer.Write(p[:f.room-f.Len()])
		return n, syscall.ENOSPC
	}
	return f.Buffer.Write(p)
}

func (f *fakeFile) Truncate(size int64) error { f.Buffer.Truncate(int(size)); return nil }

func (f *fakeFile) Close() error { return nil }

func (f *fakeFile) Sync() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.synced = append(f.synced, time.Now())
	return f.fails
}

func TestLineFileOnAFullDisk(t *testing.T) {
	disk := &fakeFile{room: 10}
	l := &lineFile{path: "OUT", file: disk}
	check(t, l.putLine([]byte("12345\n")))
	for _, line := range []string{"123456\n", "1\n"} { // the second one would fit, but comes after an error
		if err := l.putLine([]byte(line)); !errors.Is(err, syscall.ENOSPC) || err.Error() != "OUT: cannot write: no space left on device" {
			t.Errorf("%v", err)
		}
	}
	errorIf(t, disk.String() != "12345\n", "left %q", disk)
}

// TestBatchSyncs checks that written lines are synced within 100 ms, and the last ones before the run returns; that
// unchanged files are not synced; and that a failing disk ends the sending.
func TestBatchSyncs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disks := []*fakeFile{{}, {}, {}}
		sending, halt := context.WithCancelCause(t.Context())
		r := &runState{
			sending: sending, halt: halt, journal: &lineFile{file: disks[0]}, out: &lineFile{file: disks[1]},
			failed: &lineFile{file: disks[2], size: 1},
		}
		over := make(chan struct{})
		go r.keepSynced(over)
		var written []time.Time
		for range 40 {
			written = append(written, time.Now())
			_ = r.out.putLine([]byte("x\n"))
			waitFor(t, 17*time.Millisecond)
		}
		waitFor(t, time.Second)
		if n := len(disks[1].synced); n > 15 || len(disks[0].synced) != 0 {
			t.Errorf("synced %d and %d times", n, len(disks[0].synced))
		}
		for _, at := range written {
			if !slices.ContainsFunc(disks[1].synced, func(s time.Time) bool { return !s.Before(at) && s.Sub(at) <= 100*time.Millisecond }) {
				t.Errorf("what was written at %s was not synced soon", at)
			}
		}
		disks[0].fails = syscall.EIO
		_ = r.journal.putLine([]byte("s 1\n"))
		close(over)
		synctest.Wait()
		if !errors.Is(context.Cause(sending), syscall.EIO) {
			t.Errorf("the sending ended with %v, want %v", context.Cause(sending), syscall.EIO)
		}
	})
}

// waitFor lets fake time pass.
func waitFor(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	<-timer.C
}

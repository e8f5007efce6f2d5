package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// hold keeps the lock until it is killed.
func hold(path string) int {
	unlock, err := Lock(context.Background(), path)
	if err != nil {
		return 1
	}
	defer unlock()
	fmt.Println("held")
	_, _ = os.Stdin.Read(make([]byte, 1))
	return 1
}

func TestLockExcludesGoroutines(t *testing.T) {
	p := newTestDir(t)
	path := p.in("lock")
	var wg sync.WaitGroup
	var inside, most atomic.Int32 // the race detector does not see a lock in the kernel
	for range 8 {
		wg.Go(func() {
			for range 20 {
				unlock, err := Lock(t.Context(), path)
				if err != nil {
					t.Error(err)
					return
				}
				if n := inside.Add(1); n > 1 {
					most.Store(n)
				}
				runtime.Gosched()
				inside.Add(-1)
				unlock()
				unlock() // a second call does nothing
			}
		})
	}
	wg.Wait()
	errorIf(t, most.Load() > 1, "%d holders at once", most.Load())
	if runtime.GOOS != "windows" {
		p.wantMode("lock", 0o600)
	}
}

func TestLockEndsWithContext(t *testing.T) {
	p := newTestDir(t)
	path := p.in("lock")
	unlock, err := Lock(t.Context(), path)
	must(t, err)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("why")
	waiting := make(chan error)
	go func() {
		_, err := Lock(ctx, path)
		waiting <- err
	}()
	cancel(why)
	err = <-waiting
	errorIf(t, !errors.Is(err, why) || !errors.As(err, new(*Error)), "got %v, want an *Error with the cause", err)
	_, err = Lock(ctx, path)
	wantError(t, "ended before", err, why)
	f, err := openLock(path)
	must(t, err)
	_, err = waitLock(ctx, path, f, func() { f.Close() })
	wantError(t, "ended while waiting", err, why)
	unlock()
	// The abandoned wait must release the lock if it was granted.
	unlock, err = Lock(t.Context(), path)
	must(t, err)
	unlock()
}

// A lock belongs to another process until that process is killed.
func TestLockExcludesProcesses(t *testing.T) {
	p := newTestDir(t)
	path := p.in("lock")
	child, said := start(t, holdEnv, path)
	if said != "held" {
		t.Fatalf("the other process said %q", said)
	}
	f, err := openLock(path)
	must(t, err)
	defer f.Close()
	got, err := tryLock(f)
	errorIf(t, got || err != nil, "the lock was free (%v, %v) while another process held it", got, err)
	granted := make(chan error, 1)
	go func() {
		unlock, err := Lock(t.Context(), path)
		if err == nil {
			unlock()
		}
		granted <- err
	}()
	must(t, child.Process.Kill())
	_ = child.Wait() // killed
	must(t, <-granted)
}

func TestLockRefusesALink(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links are followed on Windows")
	}
	p := newTestDir(t)
	p.link("elsewhere", "lock")
	_, err := Lock(t.Context(), p.in("lock"))
	errorIf(t, err == nil, "a link was followed")
	_, err = OpenLocked(p.in("lock"))
	errorIf(t, !errors.As(err, new(*Error)), "a link: got %v, want an *Error", err)
	p.wantFiles("lock")
}

// TestOpenLocked checks that the error names a locked file, and that the written content stays.
func TestOpenLocked(t *testing.T) {
	p := newTestDir(t)
	path := p.in("journal")
	first, err := OpenLocked(path)
	must(t, err)
	var held *HeldError
	if _, err := OpenLocked(path); !errors.As(err, &held) || err.Error() != path+": another ferry process is using it" {
		t.Errorf("a second one: got %v, want a *HeldError", err)
	}
	_, err = first.WriteString("kept")
	must(t, err, first.Close())
	second, err := OpenLocked(path)
	must(t, err)
	defer second.Close()
	p.wantContent("journal", "kept")
	errorIf(t, !namesFile(path, second), "the path does not lead to the file that was just opened")
	if err := os.Remove(path); err != nil {
		t.Skip("an open file cannot be removed here")
	}
	errorIf(t, namesFile(path, second), "a file that was removed is not the path's any more")
	third, err := OpenLocked(path)
	must(t, err) // the name is free
	third.Close()
}

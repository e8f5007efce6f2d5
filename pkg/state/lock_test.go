package state

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

const (
	holdEnv  = "FERRY_TEST_HOLD_LOCK"
	smallEnv = "FERRY_TEST_SMALL_FILES"
)

// TestMain turns the test binary into another process where a test needs one.
func TestMain(m *testing.M) {
	if path := os.Getenv(holdEnv); path != "" {
		os.Exit(hold(path))
	}
	if path := os.Getenv(smallEnv); path != "" {
		os.Exit(writeTooMuch(path))
	}
	if dir := os.Getenv(tempEnv); dir != "" {
		os.Exit(writeHalf(dir))
	}
	os.Exit(m.Run())
}

// hold keeps the lock until standard input ends.
func hold(path string) int {
	unlock, err := Lock(context.Background(), path)
	if err != nil {
		return 1
	}
	defer unlock()
	if _, err := os.Stdout.WriteString("held\n"); err != nil {
		return 1
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	if err != nil {
		return 1
	}
	return 0
}

func TestLockExcludesGoroutines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	var wg sync.WaitGroup
	var inside, most atomic.Int32 // the race detector knows nothing of a lock in the kernel
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
				unlock() // a second call is nothing
			}
		})
	}
	wg.Wait()
	if n := most.Load(); n > 1 {
		t.Errorf("%d holders at once", n)
	}
	if got := mode(t, path); runtime.GOOS != "windows" && got != 0o600 {
		t.Errorf("mode %04o, want 0600", got)
	}
}

func TestLockEndsWithContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("why")
	waiting := make(chan error)
	go func() {
		_, err := Lock(ctx, path)
		waiting <- err
	}()
	cancel(why)
	var e *Error
	if err := <-waiting; !errors.Is(err, why) || !errors.As(err, &e) {
		t.Errorf("got %v, want an *Error with the cause", err)
	}
	if _, err := Lock(ctx, path); !errors.Is(err, why) {
		t.Errorf("ended before: got %v", err)
	}
	f, err := openLock(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := waitLock(ctx, path, f, func() { f.Close() }); !errors.Is(err, why) {
		t.Errorf("ended while waiting: got %v", err)
	}
	unlock()
	// The abandoned wait, if it was granted the lock, must hand it on.
	unlock, err = Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

func TestLockExcludesProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), self)
	child.Env = append(os.Environ(), holdEnv+"="+path)
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "held\n" {
		t.Fatalf("the other process said %q, %v", line, err)
	}
	f, err := openLock(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := tryLock(f); got || err != nil {
		t.Errorf("the lock was free (%v, %v) while another process held it", got, err)
	}
	granted := make(chan error, 1)
	go func() {
		unlock, err := Lock(t.Context(), path)
		if err == nil {
			unlock()
		}
		granted <- err
	}()
	stdin.Close()
	if err := <-granted; err != nil {
		t.Error(err)
	}
	if err := child.Wait(); err != nil {
		t.Error(err)
	}
}

func TestLockRefusesALink(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links are followed on Windows")
	}
	dir := t.TempDir()
	if err := os.Symlink("elsewhere", filepath.Join(dir, "lock")); err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(t.Context(), filepath.Join(dir, "lock")); err == nil {
		t.Error("a link was followed")
	}
	onlyFiles(t, dir, "lock")
}

//go:build unix

package limit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// nobody is a user who owns nothing.
const nobody = 65534

// A folder that may be read and not written: root may do both, so somebody else tries.
func TestUnwritableFolder(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to be another user")
	}
	top, err := os.MkdirTemp("", "limit") // t.TempDir's own parent is closed to others
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(top)
	dir := filepath.Join(top, "limit")
	c := newFakeClock()
	l := NewLedger(dir, address, "node", 100, c)
	h, err := l.Hold(t.Context(), 60, 0)
	if err == nil {
		err = h.Spend(50, 20)
	}
	reserve(t, newTestBucket(t, dir, slow, c))
	self, readErr := os.ReadFile(os.Args[0])
	binary := filepath.Join(top, "test")
	if err := errors.Join(err, readErr, os.WriteFile(binary, self, 0o755), os.Chmod(top, 0o755), os.Chmod(dir, 0o555),
		os.Chown(path(dir, ".usage"), nobody, -1)); err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), binary)
	child.Env = append(os.Environ(), taskEnv+"=foreign\n"+dir)
	child.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if out, err := child.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// useUnwritable expects a day with 70 of 100 tokens used, by the fake clock, in a folder that it may only read.
func useUnwritable(args []string) error {
	dir := args[0]
	ctx, c := context.Background(), newFakeClock()
	b, err := NewBucket(dir, address, slow, c)
	if err != nil {
		return err
	}
	for i := range 3 {
		r, err := b.Reserve(ctx, Forever)
		if err != nil || r.Wait != time.Duration(i)*slow.interval() {
			return fmt.Errorf("turn %d: %+v, %w", i, r, err)
		}
	}
	if !errors.Is(b.Degraded(), os.ErrPermission) {
		return fmt.Errorf("the bucket says %w", b.Degraded())
	}
	l := NewLedger(dir, address, "node", 100, c)
	if left, err := l.Left(ctx); left != 30 || err != nil {
		return fmt.Errorf("left: %d, %w", left, err)
	}
	h, err := l.Hold(ctx, 40, 0)
	if err != nil {
		return err
	}
	if err := h.Spend(20, 20); err != nil {
		return err
	}
	var spent *SpentError
	if _, err := l.Hold(ctx, 40, 0); !errors.As(err, &spent) || spent.Spent != 110 {
		return fmt.Errorf("past the budget: %w", err)
	}
	if !errors.Is(l.Degraded(), os.ErrPermission) {
		return fmt.Errorf("the ledger says %w", l.Degraded())
	}
	return nil
}

// Where nothing can be written, as on a full disk, the work goes on, and what others find there refills nothing.
func TestFullDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "limit")
	b := newTestBucket(t, dir, slow, newFakeClock())
	equal(t, "turns", waits(t, b, 2), "0s 1.2s")
	child, out := start(t, "full", dir)
	if text, err := io.ReadAll(out); err != nil || len(text) > 0 {
		t.Errorf("%q, %v", text, err)
	}
	if err := child.Wait(); err != nil {
		t.Error(err)
	}
	equal(t, "the next turn", waits(t, b, 1), "2.4s")
	equal(t, "left", left(t, newTestLedger(dir, "node", 100, newFakeClock())), 100)
}

// useFull expects two turns to be taken, and lets no byte be written; the limit is the whole process's, and cannot be taken back.
func useFull(args []string) error {
	dir := args[0]
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{}); err != nil {
		return err
	}
	ctx, c := context.Background(), newFakeClock()
	b, err := NewBucket(dir, address, slow, c)
	if err != nil {
		return err
	}
	for i := range 3 {
		r, err := b.Reserve(ctx, Forever)
		if err != nil || r.Wait != time.Duration(i+2)*slow.interval() || !errors.Is(b.Degraded(), syscall.EFBIG) {
			return fmt.Errorf("turn %d: %+v, %w, %w", i, r, err, b.Degraded())
		}
	}
	for _, budget := range []int64{100, 0} { // with a budget the hold fails first, without one the count
		l := NewLedger(dir, address, "node", budget, c)
		h, err := l.Hold(ctx, 40, time.Minute)
		if err == nil {
			err = h.Spend(10, 20)
		}
		if err != nil || !errors.Is(l.Degraded(), syscall.EFBIG) || len(l.rows) != 1 || len(l.held) != 0 {
			return fmt.Errorf("budget %d: %w, %w, %+v", budget, err, l.Degraded(), l.rows)
		}
	}
	return nil
}

// TestOpenInPlaceRefuses holds that what another user could have made is not written.
func TestOpenInPlaceRefuses(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(os.WriteFile(in("mine"), nil, 0o600), os.Symlink("mine", in("link")), os.Link(in("mine"), in("hard")),
		os.WriteFile(in("open"), nil, 0o600), os.Chmod(in("open"), 0o666), syscall.Mkfifo(in("fifo"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"link": "is a symbolic link", "hard": "is a hard link: the file has 2 names",
		"open": "can be read or written by others (mode 0666)", "fifo": "is not a regular file",
	} {
		if _, _, err := openInPlace(in(name)); err == nil || err.Error() != in(name)+": "+want {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	f, fresh, err := openInPlace(in("new"))
	if err != nil || !fresh {
		t.Fatalf("a new file: %v, fresh %v", err, fresh)
	}
	f.Close()
}

//go:build unix

package limit

import (
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// fullDisk lets no byte be written until empty is called: the soft limit on files can be set back.
func fullDisk(t *testing.T) (empty func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ)
	var was syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was))
	must(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Max: was.Max}))
	empty = sync.OnceFunc(func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(empty)
	return empty
}

// Where nothing can be written, as on a full disk, the work goes on, and what others find there refills nothing.
func TestFullDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "limit")
	c := newFakeClock()
	equal(t, "turns", waits(t, newTestBucket(t, dir, slow, c), 2), "0s 1.2s")
	empty := fullDisk(t)
	b := newTestBucket(t, dir, slow, c)
	for i := range 3 {
		r, err := b.Reserve(t.Context(), Forever)
		if err != nil || r.Wait != time.Duration(i+2)*slow.interval() || !errors.Is(b.Degraded(), syscall.EFBIG) {
			t.Fatalf("turn %d: %+v, %v, %v", i, r, err, b.Degraded())
		}
	}
	for _, budget := range []int64{100, 0} { // with a budget the hold fails first, without one the count
		l := newTestLedger(dir, "node", budget, c)
		h, err := l.Hold(t.Context(), 40, time.Minute)
		if err == nil {
			err = h.Spend(10, 20)
		}
		if err != nil || !errors.Is(l.Degraded(), syscall.EFBIG) || len(l.rows) != 1 || len(l.held) != 0 {
			t.Errorf("budget %d: %v, %v, %+v", budget, err, l.Degraded(), l.rows)
		}
	}
	empty()
	equal(t, "the next turn", waits(t, newTestBucket(t, dir, slow, c), 1), "2.4s")
	equal(t, "left", left(t, newTestLedger(dir, "node", 100, c)), 100)
}

// TestOpenInPlaceRefuses holds that what another user could have made is not written.
func TestOpenInPlaceRefuses(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	must(t, os.WriteFile(in("mine"), nil, 0o600), os.Symlink("mine", in("link")), os.Link(in("mine"), in("hard")),
		os.WriteFile(in("open"), nil, 0o600), os.Chmod(in("open"), 0o666), syscall.Mkfifo(in("fifo"), 0o600))
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

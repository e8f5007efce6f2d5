//go:build unix

package limit

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// inChild runs the test alone in a child process and returns true, or returns false in that process. The limit of
// fullDisk would also stop the log that go test keeps of a test's files.
func inChild(t *testing.T) bool {
	t.Helper()
	const variable = "FERRY_TEST_CHILD"
	if os.Getenv(variable) != "" {
		return false
	}
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$")
	c.Env = append(os.Environ(), variable+"=1")
	out, err := c.CombinedOutput()
	fatalIf(t, err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()+" "),
		"the child process: %v, want the test to pass\n%s", err, out)
	return true
}

// fullDisk makes every write fail until empty is called. It uses the soft limit on file sizes, which can be reset.
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

// If nothing can be written, as on a full disk, reservations continue, and the file that other processes find refills
// nothing.
func TestFullDisk(t *testing.T) {
	if inChild(t) {
		return
	}
	m := newMachine(t, "limit")
	equal(t, "reservations", waits(t, m.bucket(slow), 2), "0s 1.2s")
	empty := fullDisk(t)
	b := m.bucket(slow)
	for i := range 3 {
		r, err := b.Reserve(t.Context(), Forever)
		fatalIf(t, err != nil || r.Wait != time.Duration(i+2)*slow.interval() || !errors.Is(b.Degraded(), syscall.EFBIG),
			"reservation %d: %+v, %v, %v", i, r, err, b.Degraded())
	}
	for _, budget := range []int64{100, 0} { // with a budget Reserve fails first, without one Charge
		l := m.ledger(budget)
		h, err := l.Reserve(t.Context(), 40, time.Minute)
		if err == nil {
			err = h.Charge(10, 20)
		}
		errorIf(t, err != nil || !errors.Is(l.Degraded(), syscall.EFBIG) || len(l.rows) != 1 || len(l.pending) != 0,
			"budget %d: %v, %v, %+v", budget, err, l.Degraded(), l.rows)
	}
	empty()
	equal(t, "the next reservation", waits(t, m.bucket(slow), 1), "2.4s")
	equal(t, "left", left(t, m.ledger(100)), 100)
}

// TestOpenInPlace checks that it opens the same files as state.OpenPrivate, and reports a new file.
func TestOpenInPlace(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	must(t, os.Symlink("file", link))
	if _, _, err := openInPlace(link); err == nil || err.Error() != link+": is a symbolic link" {
		t.Errorf("a link: %v, want a refusal", err)
	}
	for _, want := range []bool{true, false} {
		f, fresh, err := openInPlace(file)
		must(t, err)
		f.Close()
		equal(t, "fresh", fresh, want)
	}
}

package limit

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// If the folder cannot be used, the bucket works within the process.
func TestBucketDegraded(t *testing.T) {
	for name, spoil := range map[string]func(dir string) error{
		"a file in its place": func(dir string) error {
			return errors.Join(os.MkdirAll(filepath.Dir(dir), 0o700), os.WriteFile(dir, nil, 0o600))
		},
		"under a file":           func(dir string) error { return os.WriteFile(filepath.Dir(dir), nil, 0o600) },
		"a folder as the lock":   func(dir string) error { return os.MkdirAll(path(dir, ".bucket.lock"), 0o700) },
		"a folder as the bucket": func(dir string) error { return os.MkdirAll(path(dir, ".bucket"), 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, "state", "limit")
			must(t, spoil(m.dir))
			b := m.bucket(bursty)
			must(t, b.Degraded()) // not before the first use
			var last *Reservation
			for i, want := range []time.Duration{0, 0, 0, 0, 0, 1200 * time.Millisecond, 2400 * time.Millisecond} {
				r, err := b.Reserve(t.Context(), Forever)
				fatalIf(t, err != nil || r.Wait != want, "reservation %d: %+v, %v", i, r, err)
				last = r
			}
			equal(t, "cancelled", last.Cancel(), true)
			_, err := b.Reserve(t.Context(), time.Second)
			errorIf(t, !errors.As(err, new(*TooLongError)), "got %v, want a TooLongError", err)
			if err := b.Degraded(); err == nil || !strings.Contains(err.Error(), filepath.Base(filepath.Dir(m.dir))) {
				t.Errorf("Degraded says %v", err)
			}
		})
	}
}

// If the folder fails later, existing reservations stay valid.
func TestBucketDegradesLater(t *testing.T) {
	m := newMachine(t, "limit")
	b := m.bucket(slow)
	equal(t, "shared", waits(t, b, 3), "0s 1.2s 2.4s")
	last := reserve(t, b)
	must(t, os.RemoveAll(m.dir), os.WriteFile(m.dir, nil, 0o600))
	equal(t, "cancelled", last.Cancel(), true)
	r, err := b.Reserve(t.Context(), Forever)
	must(t, err)
	errorIf(t, r.Wait != 3600*time.Millisecond || b.Degraded() == nil, "got %+v, %v", r, b.Degraded())
}

// Removing the files, as ferry config purge does, is not an error.
func TestBucketRemoved(t *testing.T) {
	m := newMachine(t, "limit")
	b := m.bucket(slow)
	equal(t, "before", waits(t, b, 2), "0s 1.2s")
	must(t, os.RemoveAll(m.dir))
	equal(t, "after", waits(t, b, 2), "0s 1.2s")
}

func TestBucketContext(t *testing.T) {
	m := newMachine(t)
	b := m.bucket(slow)
	reserve(t, b)
	why := errors.New("why")
	ctx, cancel := context.WithCancelCause(t.Context())
	leave, shared, err := b.enter(t.Context(), func() bool { return false })
	fatalIf(t, err != nil || !shared, "shared %t, %v", shared, err)
	result := make(chan error)
	same, other := b, m.bucket(slow)
	for _, b := range []*Bucket{same, other} { // one waits for the other goroutine, the other for the file's lock
		go func() {
			_, err := b.Reserve(ctx, Forever)
			result <- err
		}()
	}
	cancel(why)
	for range 2 {
		equal(t, "the error", <-result, why)
	}
	leave()
	for _, b := range []*Bucket{same, other} {
		_, err := b.Reserve(ctx, Forever)
		equal(t, "the error", err, why)
		must(t, b.Degraded())
	}
	equal(t, "nothing was reserved", reserve(t, other).Wait, 1200*time.Millisecond)
}

// A stopped process that has the lock does not stop the others.
func TestBucketStoppedHolder(t *testing.T) {
	m := newMachine(t)
	holder := m.bucket(slow)
	leave, _, err := holder.enter(t.Context(), func() bool { return false })
	must(t, err)
	defer leave()
	b := m.bucket(slow)
	b.lockTimeout = time.Nanosecond
	_, err = b.Reserve(t.Context(), Forever)
	must(t, err)
	errorIf(t, !errors.Is(b.Degraded(), errLockTimeout), "got %v, want %v", b.Degraded(), errLockTimeout)
}

func TestFileName(t *testing.T) {
	same := []string{
		"https://node.example/api", "https://node.example", "HTTPS://NODE.Example:443/other?key=secret", "https://user:pw@node.example./",
	}
	for _, a := range same {
		equal(t, a, AddressKey(a), AddressKey(address))
	}
	names := map[string]string{}
	for _, a := range []string{
		address, "https://node.example:8443", "http://node.example", "https://other.example", "http://127.0.0.1:11434/v1",
		"http://[::1]:11434/v1", "node.example", "", "%zz", "demo",
	} {
		name := AddressKey(a)
		errorIf(t, len(name) != 32 || strings.Trim(name, "0123456789abcdef") != "", "%q is called %q", a, name)
		other, taken := names[name]
		errorIf(t, taken, "%q and %q share a file", a, other)
		names[name] = a
	}
}

// After Alone everything is counted within the process, starting from the usage in the files, and nothing is written.
func TestAlone(t *testing.T) {
	m := newMachine(t)
	charge(t, reserveTokens(t, m.ledger(1000), 1), 300, 100)
	reserve(t, m.bucket(slow))
	before, err := Files(m.dir)
	must(t, err)
	was := map[string]string{}
	for _, file := range before {
		data, _ := os.ReadFile(file)
		was[file] = string(data)
	}

	b := m.bucket(slow)
	b.Alone()
	equal(t, "its own reservations", waits(t, b, 2), "0s 1.2s")
	l := m.ledger(1000)
	l.Alone()
	equal(t, "left", left(t, l), 600)
	charge(t, reserveTokens(t, l, 500), 500, 100)
	equal(t, "spent", refused(t, l).Spent, 1000)
	must(t, l.Degraded())

	after, err := Files(m.dir)
	equal(t, "files", strings.Join(after, " "), strings.Join(before, " "))
	for _, file := range after {
		if data, _ := os.ReadFile(file); err != nil || string(data) != was[file] {
			t.Errorf("%s was changed", file)
		}
	}
}

// Without a folder there is also nothing to read.
func TestAloneWithoutFolder(t *testing.T) {
	m := newMachine(t)
	t.Chdir(m.dir)
	m.dir = ""
	b := m.bucket(slow)
	b.Alone()
	equal(t, "reservations", waits(t, b, 2), "0s 1.2s")
	l := m.ledger(100)
	l.Alone()
	charge(t, reserveTokens(t, l, 50), 50, 20)
	equal(t, "left", left(t, l), 30)
	entries, err := os.ReadDir(".")
	errorIf(t, err != nil || len(entries) > 0, "%v, %v", entries, err)
}

func TestFiles(t *testing.T) {
	m := newMachine(t)
	reserve(t, m.bucket(slow))
	charge(t, reserveTokens(t, m.ledger(100), 1), 1, 1)
	for _, name := range []string{".ferry-123.tmp", "mine", "mine.bucket", AddressKey(address) + ".bucket.bak", AddressKey(address)} {
		write(t, filepath.Join(m.dir, name), nil)
	}
	files, err := Files(m.dir)
	must(t, err)
	var names []string
	for _, file := range files {
		names = append(names, strings.TrimPrefix(filepath.Base(file), AddressKey(address)))
	}
	equal(t, "files", strings.Join(names, " "), ".ferry-123.tmp .bucket .bucket.lock .usage .usage.holds .usage.lock")
	if files, err := Files(filepath.Join(m.dir, "none")); files != nil || err != nil {
		t.Errorf("of no folder: %v, %v", files, err)
	}
	if _, err := Files(filepath.Join(m.dir, "mine")); err == nil {
		t.Error("a file was taken for a folder")
	}
}

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

// Where the folder cannot be used, the bucket works within the process.
func TestBucketDegraded(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(dir string) error
	}{
		{"a file in its place", func(dir string) error { return os.WriteFile(dir, nil, 0o600) }},
		{"under a file", func(dir string) error { return os.WriteFile(filepath.Dir(dir), nil, 0o600) }},
		{"a folder as the lock", func(dir string) error { return os.MkdirAll(path(dir, ".bucket.lock"), 0o700) }},
		{"a folder as the bucket", func(dir string) error { return os.MkdirAll(path(dir, ".bucket"), 0o700) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newFakeClock()
			dir := filepath.Join(t.TempDir(), "state", "limit")
			if strings.HasPrefix(tt.name, "a file") {
				if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			if err := tt.spoil(dir); err != nil {
				t.Fatal(err)
			}
			b := newTestBucket(t, dir, bursty, c)
			if err := b.Degraded(); err != nil {
				t.Errorf("before the first use: %v", err)
			}
			var last *Reservation
			for i, want := range []time.Duration{0, 0, 0, 0, 0, 1200 * time.Millisecond, 2400 * time.Millisecond} {
				r, err := b.Reserve(t.Context(), Forever)
				if err != nil || r.Wait != want {
					t.Fatalf("turn %d: %+v, %v", i, r, err)
				}
				last = r
			}
			equal(t, "given back", last.Cancel(), true)
			var late *TooLongError
			if _, err := b.Reserve(t.Context(), time.Second); !errors.As(err, &late) {
				t.Errorf("got %v", err)
			}
			if err := b.Degraded(); err == nil || !strings.Contains(err.Error(), filepath.Base(filepath.Dir(dir))) {
				t.Errorf("Degraded says %v", err)
			}
		})
	}
}

// A folder that fails later takes nothing back: what was reserved stays so.
func TestBucketDegradesLater(t *testing.T) {
	c := newFakeClock()
	dir := filepath.Join(t.TempDir(), "limit")
	b := newTestBucket(t, dir, slow, c)
	equal(t, "shared", waits(t, b, 3), "0s 1.2s 2.4s")
	last := reserve(t, b)
	if err := errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	equal(t, "given back", last.Cancel(), true)
	r, err := b.Reserve(t.Context(), Forever)
	if err != nil || r.Wait != 3600*time.Millisecond || b.Degraded() == nil {
		t.Errorf("got %+v, %v, %v", r, err, b.Degraded())
	}
}

// Removing the files, as ferry config purge does, is no error.
func TestBucketRemoved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "limit")
	b := newTestBucket(t, dir, slow, newFakeClock())
	equal(t, "before", waits(t, b, 2), "0s 1.2s")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	equal(t, "after", waits(t, b, 2), "0s 1.2s")
}

func TestBucketContext(t *testing.T) {
	dir := t.TempDir()
	b := newTestBucket(t, dir, slow, newFakeClock())
	reserve(t, b)
	why := errors.New("why")
	ctx, cancel := context.WithCancelCause(t.Context())
	leave, shared, err := b.enter(t.Context(), func() bool { return false })
	if err != nil || !shared {
		t.Fatal(shared, err)
	}
	result := make(chan error)
	same, other := b, newTestBucket(t, dir, slow, newFakeClock())
	for _, b := range []*Bucket{same, other} { // one waits for the goroutine's turn, the other for the file's lock
		go func() {
			_, err := b.Reserve(ctx, Forever)
			result <- err
		}()
	}
	cancel(why)
	for range 2 {
		if err := <-result; err != why {
			t.Errorf("got %v", err)
		}
	}
	leave()
	for _, b := range []*Bucket{same, other} {
		if _, err := b.Reserve(ctx, Forever); err != why || b.Degraded() != nil {
			t.Errorf("got %v, %v", err, b.Degraded())
		}
	}
	equal(t, "nothing was taken", reserve(t, other).Wait, 1200*time.Millisecond)
}

// Whoever holds the lock and was stopped must not stop everybody.
func TestBucketStoppedHolder(t *testing.T) {
	dir := t.TempDir()
	holder := newTestBucket(t, dir, slow, newFakeClock())
	leave, _, err := holder.enter(t.Context(), func() bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	b := newTestBucket(t, dir, slow, newFakeClock())
	b.lockTimeout = time.Nanosecond
	if _, err := b.Reserve(t.Context(), Forever); err != nil || !errors.Is(b.Degraded(), errLockTimeout) {
		t.Errorf("got %v, %v", err, b.Degraded())
	}
}

func TestFileName(t *testing.T) {
	same := []string{
		"https://node.example/api", "https://node.example", "HTTPS://NODE.Example:443/other?key=secret", "https://user:pw@node.example./",
	}
	for _, a := range same {
		equal(t, a, fileName(a), fileName(address))
	}
	names := map[string]string{}
	for _, a := range []string{
		address, "https://node.example:8443", "http://node.example", "https://other.example", "http://127.0.0.1:11434/v1",
		"http://[::1]:11434/v1", "node.example", "", "%zz", "demo",
	} {
		name := fileName(a)
		if len(name) != 32 || strings.Trim(name, "0123456789abcdef") != "" {
			t.Errorf("%q is called %q", a, name)
		}
		if other, taken := names[name]; taken {
			t.Errorf("%q and %q share a file", a, other)
		}
		names[name] = a
	}
}

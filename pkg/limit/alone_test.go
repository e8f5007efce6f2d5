package limit

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Alone, everything counts within the process, from what the files say was used, and nothing is written.
func TestAlone(t *testing.T) {
	c := newFakeClock()
	dir := t.TempDir()
	spend(t, hold(t, newTestLedger(dir, "node", 1000, c), 1), 300, 100)
	reserve(t, newTestBucket(t, dir, slow, c))
	before, err := Files(dir)
	if err != nil {
		t.Fatal(err)
	}
	was := map[string]string{}
	for _, file := range before {
		data, _ := os.ReadFile(file)
		was[file] = string(data)
	}

	b := newTestBucket(t, dir, slow, c)
	b.Alone()
	equal(t, "turns of its own", waits(t, b, 2), "0s 1.2s")
	l := newTestLedger(dir, "node", 1000, c)
	l.Alone()
	equal(t, "left", left(t, l), 600)
	spend(t, hold(t, l, 500), 500, 100)
	var spent *SpentError
	if _, err := l.Hold(t.Context(), 1, 0); !errors.As(err, &spent) || spent.Spent != 1000 || l.Degraded() != nil {
		t.Errorf("got %v, %v", err, l.Degraded())
	}

	after, err := Files(dir)
	equal(t, "files", strings.Join(after, " "), strings.Join(before, " "))
	for _, file := range after {
		if data, _ := os.ReadFile(file); err != nil || string(data) != was[file] {
			t.Errorf("%s was changed", file)
		}
	}
}

// Without a folder there is nothing to read either.
func TestAloneWithoutFolder(t *testing.T) {
	c := newFakeClock()
	t.Chdir(t.TempDir())
	b := newTestBucket(t, "", slow, c)
	b.Alone()
	equal(t, "turns", waits(t, b, 2), "0s 1.2s")
	l := newTestLedger("", "node", 100, c)
	l.Alone()
	spend(t, hold(t, l, 50), 50, 20)
	equal(t, "left", left(t, l), 30)
	if entries, err := os.ReadDir("."); err != nil || len(entries) > 0 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestFiles(t *testing.T) {
	c := newFakeClock()
	dir := t.TempDir()
	reserve(t, newTestBucket(t, dir, slow, c))
	spend(t, hold(t, newTestLedger(dir, "node", 100, c), 1), 1, 1)
	for _, name := range []string{".ferry-123.tmp", "mine", "mine.bucket", fileName(address) + ".bucket.bak", fileName(address)} {
		write(t, filepath.Join(dir, name), nil)
	}
	files, err := Files(dir)
	var names []string
	for _, file := range files {
		names = append(names, strings.TrimPrefix(filepath.Base(file), fileName(address)))
	}
	equal(t, "files", strings.Join(names, " "), ".ferry-123.tmp .bucket .bucket.lock .usage .usage.holds .usage.lock")
	if err != nil {
		t.Error(err)
	}
	if files, err := Files(filepath.Join(dir, "none")); files != nil || err != nil {
		t.Errorf("of no folder: %v, %v", files, err)
	}
	if _, err := Files(filepath.Join(dir, "mine")); err == nil {
		t.Error("a file was taken for a folder")
	}
	equal(t, "one place", Place("https://Node.example:443/a?b"), Place(address))
}

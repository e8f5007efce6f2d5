package state

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"
)

// writeHalf creates a temporary file, prints its name, and waits to be killed.
func writeHalf(dir string) int {
	f, _, err := createTemp(dir)
	if err != nil {
		return 1
	}
	fmt.Println(f.Name())
	_, _ = os.Stdin.Read(make([]byte, 1))
	return 1
}

// A file that another process is writing stays until that process has ended. The next write then removes it.
func TestSweepAfterAKill(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there the age alone tells")
	}
	p := newTestDir(t)
	child, temp := start(t, tempEnv, p.dir)
	must(t, WriteFile(p.in("data"), []byte("one"), 0o600))
	p.wantFiles(filepath.Base(temp), "data") // while it is written
	must(t, child.Process.Kill())
	_ = child.Wait() // killed
	must(t, WriteFile(p.in("data"), []byte("two"), 0o600))
	p.wantFiles("data")
}

// leftover creates a temporary file as a killed process leaves it, old enough to count as abandoned on every system.
func (p testDir) leftover(name string) {
	p.t.Helper()
	p.file(name, 0o600)
	old := time.Now().Add(-2 * tempAge)
	must(p.t, os.Chtimes(p.in(name), old, old))
}

// Sweep and the next write in the folder remove what a killed process left. Files that a process is writing and files
// with other names stay.
func TestSweep(t *testing.T) {
	p := newTestDir(t)
	writing, release, err := createTemp(p.dir)
	must(t, err)
	defer writing.Close()
	for _, name := range []string{".ferry-1.tmp", ".ferry-1", "ferry-1.tmp", "mine.tmp", ".ferry.tmp"} {
		p.leftover(name)
	}
	p.folder(".ferry-2.tmp", 0o700)
	must(t, WriteFile(p.in("data"), []byte("new"), 0o600))
	stays := []string{".ferry-1", "ferry-1.tmp", "mine.tmp", ".ferry.tmp", ".ferry-2.tmp", "data", filepath.Base(writing.Name())}
	slices.Sort(stays)
	p.wantFiles(stays...)
	left := func(want int) {
		t.Helper()
		got := Sweep(p.dir)
		errorIf(t, len(got) != want, "left: %q, want %d", got, want)
	}
	got := Sweep(p.dir)
	errorIf(t, !slices.Contains(got, writing.Name()), "left: %q, want the file that is being written too", got)
	left(2)
	writing.Close()
	left(2) // it is not renamed yet
	release()
	old := time.Now().Add(-2 * tempAge)
	must(t, os.Chtimes(writing.Name(), old, old))
	left(1)
	got = Sweep(p.in("none"))
	errorIf(t, got != nil, "left: %q, want nothing of a folder that is not there", got)
}

package state

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// tempEnv is DIR, in which another process is to begin to write a file.
const tempEnv = "FERRY_TEST_TEMP"

// writeHalf makes a temporary file, names it, and waits to be killed.
func writeHalf(dir string) int {
	f, _, err := createTemp(dir)
	if err != nil {
		return 1
	}
	fmt.Println(f.Name())
	_, _ = os.Stdin.Read(make([]byte, 1))
	return 1
}

// A file that another process is writing stays until that process is gone, and is then removed by the next write.
func TestSweepAfterAKill(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there the age alone tells")
	}
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), self)
	child.Env = append(os.Environ(), tempEnv+"="+dir)
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var temp string
	if _, err := fmt.Fscanln(out, &temp); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	if err := WriteFile(data, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, want := names(t, dir), filepath.Base(temp)+" data"; got != want {
		t.Errorf("while it is written: %s, want %s", got, want)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // killed
	if err := WriteFile(data, []byte("two"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); got != "data" {
		t.Errorf("after the kill: %s", got)
	}
}

// leftover makes a temporary file as a killed process leaves one, of an age at which every system gives it up.
func leftover(t *testing.T, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	old := time.Now().Add(-2 * tempAge)
	if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	return path
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

// What a killed process left is removed by the next write in the folder and by Sweep. What a process is writing and what
// has another name stays.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	writing, release, err := createTemp(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer writing.Close()
	leftover(t, dir, ".ferry-1.tmp")
	for _, other := range []string{".ferry-1", "ferry-1.tmp", "mine.tmp", ".ferry.tmp"} {
		leftover(t, dir, other)
	}
	if err := os.Mkdir(filepath.Join(dir, ".ferry-2.tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(filepath.Join(dir, "data"), []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	living := filepath.Base(writing.Name())
	others := []string{".ferry-1", "ferry-1.tmp", "mine.tmp", ".ferry.tmp", ".ferry-2.tmp", "data"}
	stays := slices.Sorted(slices.Values(append(slices.Clone(others), living)))
	if got := names(t, dir); got != strings.Join(stays, " ") {
		t.Errorf("after a write: %s, want %s", got, strings.Join(stays, " "))
	}
	if left := Sweep(dir); len(left) != 2 || !slices.Contains(left, writing.Name()) {
		t.Errorf("left: %q", left)
	}
	writing.Close()
	if left := Sweep(dir); len(left) != 2 {
		t.Error("a file that is closed and still has to get its name was removed")
	}
	release()
	old := time.Now().Add(-2 * tempAge)
	if err := os.Chtimes(writing.Name(), old, old); err != nil {
		t.Fatal(err)
	}
	if left := Sweep(dir); len(left) != 1 {
		t.Errorf("left: %q", left)
	}
	if left := Sweep(filepath.Join(dir, "none")); left != nil {
		t.Errorf("left: %q", left)
	}
}

// Writers and sweepers at once: no write fails, and nothing is left.
func TestSweepWhileOthersWrite(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			path := filepath.Join(dir, fmt.Sprint(i%4))
			for n := range 50 {
				if err := WriteFile(path, fmt.Append(nil, n), 0o600); err != nil {
					t.Error(err)
					return
				}
				Sweep(dir)
			}
		})
	}
	wg.Wait()
	if got := names(t, dir); got != "0 1 2 3" {
		t.Errorf("in the folder: %s", got)
	}
}

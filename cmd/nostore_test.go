package cmd_test

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"testing"
)

// TestNoStore holds --no-store to its word: with a limit and a budget, after calls that did leave something, no file of
// the whole home is made, changed, touched or removed.
func TestNoStore(t *testing.T) {
	home := t.TempDir()
	env := map[string]string{"HOME": home, "FERRY_LIMIT": "600/min burst 100"}
	do := func(want int, args ...string) {
		t.Helper()
		if code, _, stderr := run(t, env, args...); code != want {
			t.Fatalf("%v: exit code %d: %s", args, code, stderr)
		}
	}
	calls := [][]string{
		{"ask", "-n", "demo", "hello"}, {"stream", "-n", "demo", "hello"}, {"bench", "-r", "3", "demo"},
		{"ask", "-n", "demo:?status=503,200", "hello"},
	}
	unstored := func() {
		t.Helper()
		before := tree(t, home)
		for _, args := range calls {
			do(0, append([]string{args[0], "--no-store"}, args[1:]...)...)
		}
		do(1, "ask", "--no-store", "-n", "demo:?status=401", "hello")
		do(1, "stream", "--no-store", "-n", "demo:?truncate", "hello")
		if after := tree(t, home); !maps.Equal(before, after) {
			t.Errorf("before %v\nafter  %v", before, after)
		}
	}
	do(0, "config", "set", "budget", "100000 tokens/day")
	unstored() // in a home that has nothing yet
	before := tree(t, home)
	for _, args := range calls {
		do(0, args...)
	}
	do(0, "ask", "-n", "demo", "--session", "kept", "hello")
	if maps.Equal(before, tree(t, home)) {
		t.Fatal("nothing is left behind without --no-store: this test looks at the wrong place")
	}
	unstored()

	do(0, "config", "purge", "--yes")
	for path := range tree(t, filepath.Join(home, ".local")) {
		if filepath.Base(path) != "state" && filepath.Base(path) != ".local" {
			t.Errorf("%s is left after a purge", path)
		}
	}
}

// tree describes every file and folder: mode, time of change and content.
func tree(t *testing.T, top string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		all[path] = fmt.Sprint(info.Mode(), info.ModTime())
		if !info.Mode().IsRegular() {
			return nil
		}
		content, err := os.ReadFile(path)
		all[path] += fmt.Sprintf(" %x", sha256.Sum256(content))
		return err
	})
	check(t, err)
	return all
}

package cmd_test

import (
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"
)

// storyTest is the key of a story's own test.
type storyTest struct{}

// storyRuntime gives the story a folder for sockets, whose path is short enough for them, and holds it to leaving no
// holder behind.
func storyRuntime(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: runtime")
	}
	dir, err := os.MkdirTemp("/tmp", "run")
	ts.Check(err)
	ts.Setenv("XDG_RUNTIME_DIR", dir)
	t := ts.Value(storyTest{}).(testscript.T)
	ts.Defer(func() {
		left, err := filepath.Glob(filepath.Join(dir, "ferry", "*.sock"))
		os.RemoveAll(dir) // which ends a holder too, a little later
		if err != nil || len(left) > 0 {
			t.Fatal("the story leaves holders: ", left, err)
		}
	})
}

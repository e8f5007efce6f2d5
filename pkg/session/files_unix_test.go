//go:build unix

package session

import (
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Where hardly a file can be opened, Open gives a conversation with its words or an error, and never a handle that is nil
// without one.
func TestOpenWithFewFiles(t *testing.T) {
	store := Store{t.TempDir()}
	kept := must(store.Open(t.Context(), "kept", start, time.Hour))(t)
	check(t, kept.Ask("hello", start))
	kept.Close()
	var before unix.Rlimit
	check(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &before))
	few := before
	few.Cur = min(64, few.Cur)
	check(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &few))
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &before)
	var open []*os.File
	defer func() {
		for _, f := range open {
			f.Close()
		}
	}()
	for range 64 {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		open = append(open, f)
	}
	if len(open) == 64 {
		t.Fatal("the limit has no effect")
	}
	outcomes := map[string]int{}
	for spare := range 5 {
		for _, name := range []string{"kept", "new"} {
			h, err := store.Open(t.Context(), name, start, time.Hour)
			switch {
			case err == nil && h != nil && (name == "new" || h.Session().Pending == "hello"):
				outcomes["open"]++
			case errors.Is(err, ErrUnavailable) && h != nil && name == "new":
				outcomes["in memory"]++
			case err != nil && !errors.Is(err, ErrUnavailable) && h == nil:
				outcomes["refused"]++
			default:
				t.Errorf("%s with %d files to spare: %v, %v", name, spare, h, err)
			}
			if h != nil {
				h.Close()
			}
		}
		open[0].Close()
		open = open[1:]
	}
	if outcomes["open"] == 0 || outcomes["in memory"] == 0 || outcomes["refused"] == 0 {
		t.Errorf("%v: not all was tested", outcomes)
	}
}

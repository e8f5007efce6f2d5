//go:build linux

package cmd_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// nobody is a user who is not the one that runs the tests.
const nobody = 65534

// TestHoldRefuses puts what is not a holder of this user's where one would be: it is not spoken to, the ask goes directly
// and says no word of it, and no holder is started beside it.
func TestHoldRefuses(t *testing.T) {
	garbage := []byte("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfour")
	for _, tt := range []struct {
		name    string
		others  bool // needs another user
		says    []byte
		spoken  bool // what was found out only by what it says
		prepare func(t *testing.T, path string)
	}{
		{name: "another user's process", others: true},
		{name: "another user's socket", others: true, prepare: func(t *testing.T, path string) { check(t, os.Chown(path, nobody, -1)) }},
		{name: "another user's folder", others: true, prepare: func(t *testing.T, path string) {
			check(t, os.Chown(filepath.Dir(path), nobody, -1))
		}},
		{name: "a linked socket", prepare: func(t *testing.T, path string) {
			check(t, os.Rename(path, path+".real"))
			check(t, os.Symlink(path+".real", path))
		}},
		{name: "a socket for all", prepare: func(t *testing.T, path string) { check(t, os.Chmod(path, 0o666)) }},
		{name: "a folder for all", prepare: func(t *testing.T, path string) { check(t, os.Chmod(filepath.Dir(path), 0o755)) }},
		{name: "a linked folder", prepare: func(t *testing.T, path string) {
			dir := filepath.Dir(path)
			check(t, os.Rename(dir, dir+".real"))
			check(t, os.Symlink(dir+".real", dir))
		}},
		{name: "garbage", says: garbage, spoken: true},
		{name: "an end", spoken: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.others && os.Geteuid() != 0 {
				needed(t, "root, to be another user")
			}
			r, server := secureHoldRig(t)
			path := r.orphan()
			l, spoken := impostor(t, path, tt.others && tt.prepare == nil, tt.says)
			defer l.Close()
			if tt.prepare != nil {
				tt.prepare(t, path)
			}
			call := r.must("hello")
			if call.held() || call.stderr != "" || server.times("hello") != 1 || len(r.holders()) > 0 && !tt.spoken {
				t.Errorf("held: %v, %d times at the server, holders %v: %s", call.held(), server.times("hello"), r.holders(), call.stderr)
			}
			if got := spoken.Load() > 0; got != tt.spoken {
				t.Errorf("spoken to: %v", got)
			}
		})
	}
}

// orphan makes the name of the rig's socket known, and leaves nobody behind it.
func (r *holdRig) orphan() string {
	r.t.Helper()
	pid := r.holder()
	found, err := filepath.Glob(filepath.Join(r.run, "ferry", "*.sock"))
	if err != nil || len(found) != 1 {
		r.t.Fatalf("sockets: %v, %v", found, err)
	}
	r.kill(pid)
	eventually(r.t, "the holder is gone", func() bool { return len(r.holders()) == 0 })
	return found[0]
}

// impostor listens in a holder's place, as another user where that is wanted; the file is this user's all the same. It
// counts those who write to it.
func impostor(t *testing.T, path string, others bool, says []byte) (net.Listener, *atomic.Int64) {
	t.Helper()
	check(t, os.Remove(path))
	elsewhere, err := os.MkdirTemp("", "else")
	check(t, err)
	t.Cleanup(func() { os.RemoveAll(elsewhere) })
	check(t, os.Chmod(elsewhere, 0o777))
	var l net.Listener
	listen := func() (err error) {
		l, err = net.Listen("unix", filepath.Join(elsewhere, "s"))
		return err
	}
	if others {
		asNobody(t, listen)
	} else {
		check(t, listen())
	}
	check(t, os.Rename(filepath.Join(elsewhere, "s"), path))
	check(t, os.Chmod(path, 0o600))
	if others {
		check(t, os.Chown(path, os.Geteuid(), -1))
	}
	spoken := new(atomic.Int64)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if n, _ := conn.Read(make([]byte, 1)); n > 0 {
				spoken.Add(1)
			}
			_, _ = conn.Write(says)
			conn.Close()
		}
	}()
	return l, spoken
}

// asNobody does something as another user. Only this thread becomes one: the system call is not Go's, which has all
// threads follow.
func asNobody(t *testing.T, do func() error) {
	t.Helper()
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		const same = ^uintptr(0)
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, same, nobody, same); errno != 0 {
			failed <- errno
			return
		}
		failed <- do()
	}()
	check(t, <-failed)
}

// TestHoldLendsToNobodyElse opens a holder's folder and socket for all: another user's process still gets no byte.
func TestHoldLendsToNobodyElse(t *testing.T) {
	long(t, "a process of another user")
	if os.Geteuid() != 0 {
		needed(t, "root, to be another user")
	}
	r, server := secureHoldRig(t)
	pid := r.holder()
	found, err := filepath.Glob(filepath.Join(r.run, "ferry", "*.sock"))
	if err != nil || len(found) != 1 {
		t.Fatalf("sockets: %v, %v", found, err)
	}
	for path, mode := range map[string]os.FileMode{r.run: 0o711, filepath.Dir(found[0]): 0o711, found[0]: 0o666} {
		check(t, os.Chmod(path, mode))
		defer func() { check(t, os.Chmod(path, 0o700)) }()
	}
	var said []byte
	speak := func() error {
		conn, err := net.Dial("unix", found[0])
		if err != nil {
			return err
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(testTimeout))
		want := binary.BigEndian.AppendUint32([]byte{'t'}, 0) // what it is, and how it does
		_, _ = conn.Write(want)
		said, err = io.ReadAll(conn)
		if err != nil && !errors.Is(err, syscall.ECONNRESET) {
			return err
		}
		return nil
	}
	if check(t, speak()); len(said) == 0 {
		t.Error("this user gets nothing either")
	}
	if asNobody(t, speak); len(said) > 0 {
		t.Errorf("another user gets %q", said)
	}
	if all := r.holders(); len(all) != 1 || all[0] != pid || server.connections.Load() == 0 {
		t.Errorf("holders %v", all)
	}
}

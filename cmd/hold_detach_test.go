//go:build linux

package cmd_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestHoldDetached starts a holder from a terminal, with open descriptors that are not ferry's. The holder inherits
// none of them.
func TestHoldDetached(t *testing.T) {
	r, _ := secureHoldRig(t)
	p := r.ask("ask", "hello")
	reader, writer, err := os.Pipe()
	check(t, err)
	defer reader.Close()
	p.ExtraFiles = []*os.File{writer, writer, writer}
	shown, err := onTerminal(t, 80, p.Cmd)
	check(t, err)
	contains(t, "the terminal", shown, "whole")
	writer.Close()
	check(t, reader.SetReadDeadline(time.Now().Add(testTimeout)))
	rest, err := io.ReadAll(reader) // ends although the holder runs
	check(t, err)
	equal(t, "what the holder writes", string(rest), "")
	pid := r.oneHolder()
	_, stat, _ := strings.Cut(read(t, fmt.Sprintf("/proc/%d/stat", pid)), ") ")
	var state string // running or sleeping
	var parent, group, session, terminal int
	_, err = fmt.Sscan(stat, &state, &parent, &group, &session, &terminal)
	check(t, err)
	equal(t, "group, session and terminal", []int{group, session, terminal}, []int{pid, pid, 0})
	at, _ := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	equal(t, "it runs in", at, "/") // otherwise another file system could not be unmounted
	open, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	check(t, err)
	for _, name := range open {
		what, _ := os.Readlink(name)
		known := what == os.DevNull || strings.HasPrefix(what, "socket:") || strings.HasPrefix(what, "anon_inode:") ||
			strings.HasPrefix(what, "/sys/fs/cgroup/") || // Go's runtime reads the CPU limit there
			filepath.Base(name) == "0" && strings.HasPrefix(what, "pipe:") // the configuration that ferry sends it
		errorIf(t, !known, "descriptor %s is %s, want none of that kind", filepath.Base(name), what)
	}
	atLeast(t, "descriptors that were read", len(open), 5)
}

// TestHoldLeavesNoZombie ends a holder while the ferry that started it still runs.
func TestHoldLeavesNoZombie(t *testing.T) {
	r, server := secureHoldRig(t, stopGate)
	server.mute.Store(true)
	p := r.ask("stream", "hello", "--connect-timeout", "20s")
	stdout := p.stdout()
	p.start()
	readUpTo(server, muteConnection)
	server.mute.Store(false)
	pid := r.oneHolder()
	r.kill(pid) // it has accepted nothing: the stream continues without it
	_, err := stdout.ReadByte()
	check(t, err)
	eventually(t, "nothing is left of it", func() bool {
		_, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
		return os.IsNotExist(err)
	})
	close(server.gate("hello"))
	_ = readAll(stdout)
	p.wait().must()
}

// TestHoldOfAnotherUser has another user's process listen on the socket of a holder. ferry sends nothing to it; the
// request goes directly and prints nothing about it.
func TestHoldOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		skipMissing(t, "root, to be another user")
	}
	r, server := secureHoldRig(t)
	pid := r.holder()
	socket := r.socketFile()
	r.kill(pid)
	eventually(t, "the holder is gone", func() bool { return len(r.holders()) == 0 })
	check(t, os.Remove(socket))
	elsewhere := shortDir(t)
	check(t, os.Chmod(elsewhere, 0o777))
	elsewhere = filepath.Join(elsewhere, "s")
	var impostor net.Listener
	asNobody(t, func() (err error) {
		impostor, err = net.Listen("unix", elsewhere)
		return err
	})
	defer impostor.Close()
	check(t, os.Rename(elsewhere, socket))
	check(t, os.Chmod(socket, 0o600))
	check(t, os.Chown(socket, os.Geteuid(), -1))
	var spoken atomic.Int64
	go func() {
		for {
			conn, err := impostor.Accept()
			if err != nil {
				return
			}
			if n, _ := conn.Read(make([]byte, 1)); n > 0 {
				spoken.Add(1)
			}
			conn.Close()
		}
	}()
	call := r.must("hello")
	call.exactly(0, call.stdout, "")
	equal(t, "held", call.held(), false)
	equal(t, "it came", server.times("hello"), 1)
	equal(t, "holders beside it", r.holders(), nil)
	equal(t, "bytes that it got", spoken.Load(), 0)
}

// asNobody calls do as another user. Only this thread changes the user; Go's own call changes all threads.
func asNobody(t *testing.T, do func() error) {
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		const same = ^uintptr(0)
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, same, nobody, same); errno != 0 {
			failed <- errno
			return
		}
		failed <- do()
	}()
	check(t, <-failed)
}

// TestHoldOtherUserGetsNothing makes a holder's folder and socket accessible to everyone. Another user's process still
// gets no byte.
func TestHoldOtherUserGetsNothing(t *testing.T) {
	skipIfShort(t, "a process of another user")
	if os.Geteuid() != 0 {
		skipMissing(t, "root, to be another user")
	}
	r, server := secureHoldRig(t)
	pid := r.holder()
	socket := r.socketFile()
	for path, mode := range map[string]os.FileMode{r.run: 0o711, filepath.Dir(socket): 0o711, socket: 0o666} {
		check(t, os.Chmod(path, mode))
		defer func() { check(t, os.Chmod(path, 0o700)) }()
	}
	var said []byte
	speak := func() error {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			return err
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(testTimeout))
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: holder\r\nFerry-Hold: status\r\nConnection: close\r\n\r\n")
		said, err = io.ReadAll(conn)
		if err != nil && !errors.Is(err, syscall.ECONNRESET) {
			return err
		}
		return nil
	}
	if check(t, speak()); len(said) == 0 {
		t.Error("this user gets nothing, want something")
	}
	asNobody(t, speak)
	equal(t, "what another user gets", string(said), "")
	equal(t, "holders", r.holders(), []int{pid})
	errorIf(t, server.connections.Load() == 0, "the holder has no connection, want one")
}

// socketFile returns the socket of the only holder.
func (r *holdRig) socketFile() string {
	found, err := filepath.Glob(filepath.Join(r.run, "ferry", "*.sock"))
	fatalIf(r.t, err != nil || len(found) != 1, "sockets %v, %v; want one", found, err)
	return found[0]
}

//go:build unix

package config

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

func script(t *testing.T, dir, name, body string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	check(t, os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o700))
	return path
}

func TestResolveCommand(t *testing.T) {
	dir, home := t.TempDir(), t.TempDir()
	script(t, dir, "args", `for a in "$@"; do printf '<%s>' "$a"; done | tr ' ' _`)
	script(t, home, "atHome", "echo "+canary)
	script(t, dir, "fails", "echo "+canary+"; echo 'gpg: no "+canary+"' >&2; exit 2")
	script(t, dir, "says", "printf '\\033[2Jno such entry\\nsecond line\\n' >&2; exit 3")
	script(t, dir, "floods", "while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done")
	script(t, dir, "grumbles", "i=0; while [ $i -lt 300 ]; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa >&2; i=$((i+1)); done; echo ok")
	script(t, dir, "reads", "cat; echo ok")
	script(t, dir, "daemon", "sleep 3 & echo ok")
	check(t, os.WriteFile(filepath.Join(dir, "data"), []byte("x"), 0o600))
	k := Keys{Lookup: vars("PATH", ".:"+dir+":/usr/bin:/bin"), Dir: dir, Home: home}
	tests := []struct{ ref, secret, fault, hint string }{
		{"cmd:args a 'b c' \"d\" e\\ f ''", "<a><b_c><d><e_f><>", "", ""},
		{"cmd:args '$HOME' '|' \\$x *", "<$HOME><|><$x><*>", "", ""},
		{"cmd:./args ~/x", "<" + home + "/x>", "", ""},
		{"cmd:~/atHome", canary, "", ""},
		{"cmd:reads", "ok", "", ""},
		{"cmd:grumbles", "ok", "", ""},
		{"cmd:daemon", "ok", "", ""},
		{"cmd:nothing-of-this-name", "",
			"… cannot be read: the command does not exist or is not a program: executable file not found in $PATH", ""},
		{"cmd:./data", "", "… cannot be read: the command does not exist or is not a program: permission denied", ""},
		{"cmd:fails", "", "… cannot be read: exit status 2", ""},
		{"cmd:says", "", "… cannot be read: exit status 3", `it said: \x1b[2Jno such entry`},
		{"cmd:floods", "", "… cannot be read: it printed more than 64 KiB", ""},
	}
	for _, tt := range tests {
		wantKey(t, k, tt.ref, tt.secret, tt.fault, tt.hint)
	}
}

func TestCommandTakesTooLong(t *testing.T) {
	k := Keys{Lookup: vars("PATH", "/usr/bin:/bin"), Limit: 20 * time.Millisecond}
	wantKey(t, k, "cmd:sleep 30", "", "… cannot be read: no answer after 20ms", "")
}

// If ctx ends after the command succeeded, its output is the key. A child process that has the pipe open reports the
// end of the command, so that ctx ends while runCommand waits for the pipe.
func TestCommandSucceedsBeforeTheEnd(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	check(t, syscall.Mkfifo(fifo, 0o600))
	script(t, dir, "helper", "(while kill -0 $$; do sleep 0.01; done 2>/dev/null; echo ended >"+fifo+"; sleep 3) & echo "+canary)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		_, _ = os.ReadFile(fifo)
		cancel()
	}()
	got, err := Keys{Lookup: vars("PATH", dir+":/usr/bin:/bin"), Dir: dir}.Resolve(ctx, Ref("cmd:helper"))
	if err != nil || got.Reveal() != canary {
		t.Errorf("got %q, %v", got.Reveal(), err)
	}
	<-ctx.Done()
}

// The command's child processes are killed with it. Each of them has the writing end of a FIFO open, and reading ends
// only when the last of them has ended.
func TestCommandEndsWithItsChildren(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	check(t, syscall.Mkfifo(fifo, 0o600))
	script(t, dir, "parent", "exec 3>"+fifo+"; sleep 300 & echo up >&3; wait")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := Keys{Lookup: vars("PATH", dir+":/usr/bin:/bin"), Dir: dir}.Resolve(ctx, Ref("cmd:parent"))
		done <- err
	}()
	f := must(os.Open(fifo))(t)
	defer f.Close()
	r := bufio.NewReader(f)
	if line, err := r.ReadString('\n'); line != "up\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	cancel()
	check(t, f.SetReadDeadline(time.Now().Add(time.Minute))) // shorter than the child's lifetime
	if rest, err := io.ReadAll(r); len(rest) > 0 || err != nil {
		t.Errorf("got %q, %v", rest, err)
	}
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestKeyringAvailable(t *testing.T) {
	if runtime.GOOS == "darwin" {
		t.Skip("macOS always has a keyring")
	}
	with, without := t.TempDir(), t.TempDir()
	l, err := net.Listen("unix", filepath.Join(with, "bus"))
	if err != nil {
		t.Skip("no sockets here: ", err)
	}
	defer l.Close()
	check(t, os.WriteFile(filepath.Join(without, "bus"), nil, 0o600))
	tests := []struct {
		lookup Lookup
		want   bool
	}{
		{nil, false},
		{vars("DBUS_SESSION_BUS_ADDRESS", "unix:path=/x"), true},
		{vars("XDG_RUNTIME_DIR", with), true},
		{vars("XDG_RUNTIME_DIR", without), false},
		{vars("XDG_RUNTIME_DIR", filepath.Join(with, "absent")), false},
	}
	for i, tt := range tests {
		if got := SystemKeyring(tt.lookup) != nil; got != tt.want {
			t.Errorf("%d: got %v, want %v", i, got, tt.want)
		}
	}
}

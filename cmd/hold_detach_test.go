//go:build linux

package cmd_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestHoldDetached starts a holder from a terminal, with descriptors open that are not ferry's: it has none of that.
func TestHoldDetached(t *testing.T) {
	r, _ := secureHoldRig(t)
	c := r.ask("ask", "hello")
	reader, writer, err := os.Pipe()
	check(t, err)
	defer reader.Close()
	c.ExtraFiles = []*os.File{writer, writer, writer}
	shown, err := onTerminal(t, 80, c)
	if err != nil || !strings.Contains(shown, "whole") {
		t.Fatalf("%v: %q", err, shown)
	}
	writer.Close()
	check(t, reader.SetReadDeadline(time.Now().Add(testTimeout)))
	if rest, err := io.ReadAll(reader); err != nil || len(rest) > 0 { // it ends though the holder lives
		t.Errorf("%v: %q", err, rest)
	}
	all := r.holders()
	if len(all) != 1 {
		t.Fatalf("holders %v", all)
	}
	pid := all[0]
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	check(t, err)
	var state string // it may be at work or asleep
	var parent, group, session, terminal int
	_, after, _ := bytes.Cut(stat, []byte(") "))
	if _, err := fmt.Sscan(string(after), &state, &parent, &group, &session, &terminal); err != nil {
		t.Fatalf("%s: %v", stat, err)
	}
	if group != pid || session != pid || terminal != 0 {
		t.Errorf("group %d, session %d, terminal %d of process %d", group, session, terminal, pid)
	}
	if at, _ := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); at != "/" {
		t.Errorf("it runs in %s, which nobody can unmount", at)
	}
	open, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	check(t, err)
	for _, name := range open {
		what, _ := os.Readlink(name)
		known := what == os.DevNull || strings.HasPrefix(what, "socket:") || strings.HasPrefix(what, "anon_inode:") ||
			strings.HasPrefix(what, "/sys/fs/cgroup/") || // Go's runtime counts its processors there
			filepath.Base(name) == "0" && strings.HasPrefix(what, "pipe:") // its order
		if !known {
			t.Errorf("descriptor %s is %s", filepath.Base(name), what)
		}
	}
	if len(open) < 5 {
		t.Errorf("%d descriptors: they were misread", len(open))
	}
}

// TestHoldPipesEnd has the shell wait for the end of pipes that a holder could keep open.
func TestHoldPipesEnd(t *testing.T) {
	long(t, "waits for holders to end")
	for _, line := range []string{
		`ferry-real ask --hold 5m -n "$NODE" --no-stdin hello | head -1`,
		`ferry-real ask --hold 5m -n "$NODE" --no-stdin hello 9>&1 | cat`,
		`ferry-real ask --hold 5m -n "$NODE" --no-stdin hello 2>&1 | cat`,
		`x=$(ferry-real stream --hold 5m -n "$NODE" --no-stdin hello 7>&1 8<&0); echo "$x"`,
	} {
		t.Run(line, func(t *testing.T) {
			r, _ := secureHoldRig(t)
			ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
			defer cancel()
			c := exec.CommandContext(ctx, "/bin/sh", "-c", line)
			c.Env = append(r.ferry().Env, "NODE="+r.node)
			c.WaitDelay = testTimeout
			out, err := c.CombinedOutput()
			if err != nil || string(out) != answerTo("hello")+"\n" {
				t.Fatalf("%v: %q", err, out)
			}
			if all := r.holders(); len(all) != 1 {
				t.Errorf("holders %v, want one", all)
			}
		})
	}
}

// TestHoldLeavesNoZombie ends a holder while the ferry that started it goes on.
func TestHoldLeavesNoZombie(t *testing.T) {
	server := newHoldServer(t, true)
	r := newHoldRig(t, server.URL+doGate, "tls: {ca: '"+server.ca+"'}")
	server.mute.Store(true)
	c := r.ask("stream", "hello", "--connect-timeout", "20s")
	stdout, err := c.StdoutPipe()
	check(t, err)
	c.Stderr = new(bytes.Buffer)
	check(t, c.Start())
	drained(server, cameMute)
	server.mute.Store(false)
	all := r.holders()
	if len(all) != 1 {
		t.Fatalf("holders %v", all)
	}
	r.kill(all[0]) // it has taken nothing: the stream goes on without it
	if _, err := io.ReadFull(stdout, make([]byte, 1)); err != nil {
		t.Errorf("%v: %s", err, c.Stderr)
	}
	eventually(t, "nothing is left of it", func() bool {
		_, err := os.Stat(fmt.Sprintf("/proc/%d", all[0]))
		return os.IsNotExist(err)
	})
	close(server.gate("hello"))
	_ = readAll(stdout)
	if err := c.Wait(); err != nil {
		t.Errorf("%v: %s", err, c.Stderr)
	}
}

// TestHoldStop ends holders by ferry's own command: neither process nor socket is left, and what was lent is finished.
func TestHoldStop(t *testing.T) {
	server := newHoldServer(t, true)
	r := newHoldRig(t, server.URL+doGate, "tls: {ca: '"+server.ca+"'}")
	pid := r.holder()
	c := r.ask("stream", "hello")
	stdout, err := c.StdoutPipe()
	check(t, err)
	c.Stderr = new(bytes.Buffer)
	check(t, c.Start())
	if _, err := io.ReadFull(stdout, make([]byte, 1)); err != nil {
		t.Errorf("%v: %s", err, c.Stderr)
	}
	out, err := r.ferry("config", "hold", "stop", r.node).CombinedOutput()
	if want := fmt.Sprintf("ferry: ended the holder of %s (pid %d)\n", r.node, pid); err != nil || string(out) != want {
		t.Errorf("%v: %s", err, out)
	}
	if left, _ := filepath.Glob(filepath.Join(r.run, "ferry", "*.sock")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	close(server.gate("hello"))
	rest := readAll(stdout)
	if err := c.Wait(); err != nil || string(rest) != answerTo("hello")[1:]+"\n" {
		t.Errorf("%v: %q %s", err, rest, c.Stderr)
	}
	eventually(t, "it is gone", func() bool { return len(r.holders()) == 0 })
}

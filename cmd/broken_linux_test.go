package cmd_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// brokenCall names, in the environment of a ferry that a test starts, the system call that its kernel refuses.
const brokenCall = "FERRY_TEST_BROKEN"

// The refusals. Writing is refused by a limit on the size of files: the runtime itself writes to what is no file.
const (
	brokenCreate = "create"
	brokenWrite  = "write"
)

// brokenCalls are the others, each refused with EIO whatever its arguments.
func brokenCalls() map[string][]uint32 {
	return map[string][]uint32{
		"fsync":  {unix.SYS_FSYNC, unix.SYS_FDATASYNC},
		"rename": {unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2},
		"chmod":  {unix.SYS_FCHMOD},
		"chown":  {unix.SYS_FCHOWN},
		"flock":  {unix.SYS_FLOCK},
		"mkdir":  {unix.SYS_MKDIRAT},
		"unlink": {unix.SYS_UNLINKAT},
	}
}

// init breaks the process that was asked for, before ferry begins. It takes no privilege, and nothing undoes it.
func init() {
	name := os.Getenv(brokenCall)
	switch {
	case name == "":
		return
	case name == brokenWrite:
		signal.Ignore(syscall.SIGXFSZ)
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 10, Max: 10}); err != nil {
			os.Exit(cannotBreak)
		}
		return
	}
	if err := refuse(filterOf(name)); err != nil {
		os.Exit(cannotBreak)
	}
}

// cannotBreak is the exit code of a process that the kernel does not let be broken.
const cannotBreak = 99

// filterOf is a seccomp program (seccomp_data has the call's number at 0 and the low half of its third argument at 32).
func filterOf(name string) []unix.SockFilter {
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	jump := func(how uint16, k uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | how | unix.BPF_K, Jt: yes, Jf: no, K: k}
	}
	ret := func(k uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k} }
	if name == brokenCreate {
		return []unix.SockFilter{
			load(0), jump(unix.BPF_JEQ, unix.SYS_OPENAT, 0, 2), load(32), jump(unix.BPF_JSET, unix.O_CREAT, 1, 0),
			ret(unix.SECCOMP_RET_ALLOW), ret(unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSPC)),
		}
	}
	program := []unix.SockFilter{load(0)}
	for _, call := range brokenCalls()[name] {
		program = append(program, jump(unix.BPF_JEQ, call, 0, 1), ret(unix.SECCOMP_RET_ERRNO|uint32(unix.EIO)))
	}
	return append(program, ret(unix.SECCOMP_RET_ALLOW))
}

// refuse puts the program before every thread's system calls.
func refuse(program []unix.SockFilter) error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&filter)))
	if errno != 0 {
		return errno
	}
	return nil
}

// broken runs ferry with a call refused, "" for none.
func broken(t *testing.T, home, call string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	self, err := os.Executable()
	check(t, err)
	c := exec.CommandContext(t.Context(), self, args...)
	c.Args[0] = "ferry"
	c.Env = []string{"HOME=" + home, waitsFile + "=" + os.DevNull, raceExit + "=" + raceAtOnce, brokenCall + "=" + call}
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	_ = c.Run() // the exit code says it
	if code = c.ProcessState.ExitCode(); code == cannotBreak {
		needed(t, "a kernel that takes a seccomp filter")
	}
	return code, out.String(), errs.String()
}

// TestBrokenDisk refuses every kind of call with which state is written: the answer arrives all the same, with a
// warning where it is not kept; and what is read afterwards is a whole conversation, the old one or the new.
func TestBrokenDisk(t *testing.T) {
	long(t, "every kind of call that writes, refused in turn")
	calls := []string{brokenCreate, brokenWrite}
	for name := range brokenCalls() {
		calls = append(calls, name)
	}
	for _, call := range calls {
		for _, begun := range []bool{true, false} {
			t.Run(call+", begun "+strconv.FormatBool(begun), func(t *testing.T) {
				home := t.TempDir()
				if begun {
					if code, _, stderr := broken(t, home, "", "ask", "-n", "demo", "--session", "trip", "first"); code != 0 {
						t.Fatalf("exit code %d: %s", code, stderr)
					}
				}
				code, stdout, stderr := broken(t, home, call, "ask", "-n", "demo", "--session", "trip", "second words")
				if code != 0 || !strings.Contains(stdout, "second words") {
					t.Errorf("exit code %d, %q\n%s", code, stdout, stderr)
				}
				harmless := call == "chown" || call == "unlink" || call == "mkdir" && begun
				if warned := strings.Contains(stderr, "is not kept: "); warned == harmless || strings.Count(stderr, "is not kept: ") > 1 {
					t.Errorf("stderr: %s", stderr)
				}
				turns := turnsOf(t, home)
				if old := map[bool]int{true: 2}[begun]; turns != old && turns != old+2 || harmless && turns != old+2 {
					t.Errorf("%d turns are kept", turns)
				}
				if code, stdout, stderr := broken(t, home, "", "ask", "-n", "demo", "--session", "trip", "third"); code != 0 ||
					!strings.Contains(stdout, "third") || strings.Contains(stderr, "not kept") {
					t.Errorf("afterwards: exit code %d, %q\n%s", code, stdout, stderr)
				}
				if after := turnsOf(t, home); after != turns+2 {
					t.Errorf("afterwards %d turns, %d before", after, turns)
				}
			})
		}
	}
}

// turnsOf reads what is kept, 0 where nothing is; whatever else lies in the folder must not be a conversation.
func turnsOf(t *testing.T, home string) int {
	t.Helper()
	code, stdout, stderr := broken(t, home, "", "config", "session", "list")
	if code != 0 || strings.Contains(stdout, "cannot be read") {
		t.Fatalf("list: exit code %d, %s%s", code, stdout, stderr)
	}
	code, stdout, stderr = broken(t, home, "", "config", "session", "show", "trip", "-o", "json")
	if code == 2 && strings.Contains(stderr, "there is no session trip") {
		return 0
	}
	var kept struct{ Turns []json.RawMessage }
	if err := json.Unmarshal([]byte(stdout), &kept); code != 0 || err != nil {
		t.Fatalf("show: exit code %d, %v, %s%s", code, err, stdout, stderr)
	}
	return len(kept.Turns)
}

// TestBrokenConfigSet does the same to config set: it fails, and the file is the old one or the new one, whole.
func TestBrokenConfigSet(t *testing.T) {
	const before, after = "timeout: 10m # mine\n", "timeout: 5m # mine\n"
	calls := []string{brokenCreate, brokenWrite}
	for name := range brokenCalls() {
		calls = append(calls, name)
	}
	for _, call := range calls {
		home := t.TempDir()
		path := filepath.Join(home, ".config", "ferry", "config.yaml")
		check(t, os.MkdirAll(filepath.Dir(path), 0o700))
		write(t, path, before)
		code, _, stderr := broken(t, home, call, "config", "set", "timeout", "5m")
		text, err := os.ReadFile(path)
		want := before
		if harmless := call == "chown" || call == "unlink" || call == "mkdir"; harmless {
			want = after
		} else if code == 0 || !strings.Contains(stderr, "Error: ") {
			t.Errorf("%s: exit code %d, %s", call, code, stderr)
		}
		if err != nil || string(text) != want {
			t.Errorf("%s: the file holds %q, %v; want %q", call, text, err, want)
		}
	}
}

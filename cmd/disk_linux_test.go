package cmd_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// brokenCall is the environment variable that names the system call which the kernel refuses to a ferry started by a
// test.
const brokenCall = "FERRY_TEST_BROKEN"

// The refusals. Writing is refused by a limit on the size of files, because the Go runtime itself writes to other
// descriptors.
const (
	brokenCreate = "create"
	brokenWrite  = "write"
)

// brokenCalls are all refusals. Those with system calls refuse them with EIO, whatever their arguments.
var brokenCalls = map[string][]uint32{
	"fsync":  {unix.SYS_FSYNC, unix.SYS_FDATASYNC},
	"rename": {unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2},
	"chmod":  {unix.SYS_FCHMOD},
	"chown":  {unix.SYS_FCHOWN},
	"flock":  {unix.SYS_FLOCK},
	"mkdir":  {unix.SYS_MKDIRAT},
	"unlink": {unix.SYS_UNLINKAT},

	brokenCreate: nil,
	brokenWrite:  nil,
}

// init applies the requested refusal before ferry begins. It needs no privilege and cannot be undone.
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

// cannotBreak is the exit code of a process in which the kernel does not allow the refusal.
const cannotBreak = 99

// filterOf returns a seccomp program (seccomp_data has the call's number at 0 and the low half of its third argument
// at 32).
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
	for _, call := range brokenCalls[name] {
		program = append(program, jump(unix.BPF_JEQ, call, 0, 1), ret(unix.SECCOMP_RET_ERRNO|uint32(unix.EIO)))
	}
	return append(program, ret(unix.SECCOMP_RET_ALLOW))
}

// refuse installs the program for the system calls of every thread.
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

// runWithRefusedCall runs ferry with one call refused, "" for none.
func runWithRefusedCall(t *testing.T, home, call string, args ...string) result {
	t.Helper()
	p := realFerry(t, args...).with("HOME="+home, waitsFile+"="+os.DevNull, brokenCall+"="+call)
	p.Args[0] = "ferry"
	r := p.run()
	if r.code == cannotBreak {
		skipMissing(t, "a kernel that takes a seccomp filter")
	}
	return r
}

// TestBrokenDisk refuses every kind of call that writes state. The answer still arrives, and the stored state stays
// intact.
func TestBrokenDisk(t *testing.T) {
	skipIfShort(t, "every kind of call that writes, refused in turn")
	for call := range brokenCalls {
		for _, begun := range []bool{true, false} {
			t.Run(call+", begun "+strconv.FormatBool(begun), func(t *testing.T) {
				home := t.TempDir()
				ask := func(call, prompt string) result {
					return runWithRefusedCall(t, home, call, "ask", "-n", "demo", "--session", "trip", prompt).want(0, prompt, "")
				}
				if begun {
					ask("", "first")
				}
				warned := strings.Count(ask(call, "second words").stderr, "is not saved: ")
				harmless := call == "chown" || call == "unlink" || call == "mkdir" && begun
				equal(t, "warnings", warned, map[bool]int{false: 1}[harmless])
				turns := storedTurns(t, home)
				if old := map[bool]int{true: 2}[begun]; turns != old && turns != old+2 || harmless && turns != old+2 {
					t.Errorf("%d turns are kept, want %d or two more", turns, old)
				}
				lacks(t, "what is said afterwards", ask("", "third").stderr, "not kept")
				equal(t, "turns afterwards", storedTurns(t, home), turns+2)
			})
		}
	}
}

// storedTurns returns the number of stored turns, 0 if there is no conversation. Other files in the folder must not be
// listed.
func storedTurns(t *testing.T, home string) int {
	t.Helper()
	lacks(t, "the list", runWithRefusedCall(t, home, "", "config", "session", "list").must().stdout, "cannot be read")
	r := runWithRefusedCall(t, home, "", "config", "session", "show", "trip", "-o", "json")
	if r.code == 2 && strings.Contains(r.stderr, "there is no conversation trip") {
		return 0
	}
	var kept struct{ Turns []json.RawMessage }
	check(t, json.Unmarshal([]byte(r.must().stdout), &kept))
	return len(kept.Turns)
}

// TestBrokenConfigSet does the same to config set: it fails, and the file is the complete old or the complete new one.
func TestBrokenConfigSet(t *testing.T) {
	const before, after = "timeout: 10m # mine\n", "timeout: 5m # mine\n"
	for call := range brokenCalls {
		home := t.TempDir()
		path := filepath.Join(home, ".config", "ferry", "config.yaml")
		write(t, path, before)
		r := runWithRefusedCall(t, home, call, "config", "set", "timeout", "5m")
		want := before
		if harmless := call == "chown" || call == "unlink" || call == "mkdir"; harmless {
			want = after
		} else if r.code == 0 || !strings.Contains(r.stderr, "Error: ") {
			r.errorf("%s is refused: want an error", call)
		}
		equal(t, "the file where "+call+" is refused", read(t, path), want)
	}
}

// TestFilesOfOthers creates files that another user could have made where ferry writes. ferry refuses them and sends
// nothing.
func TestFilesOfOthers(t *testing.T) {
	server := serve(t, respondWith(200, "", ""))
	batch := []string{"ask", "-q", "--batch", "in.txt", "--out", "box/o", "-n", server.URL}
	report := []string{"bench", "-q", "--requests", "1", "--warmup", "0", "--out", "box/o", server.URL}
	for _, tt := range []struct {
		name, path, says string
		make             func(path string) error
		args             []string
		foreign          bool
	}{
		{"failed is a link", "box/o.failed", "is a symbolic link", linkTo("../mine"), batch, false},
		{"out is a link", "box/o", "is a symbolic link", linkTo("../mine"), batch, false},
		{"out is a dangling link", "box/o", "is a symbolic link", linkTo("../absent"), batch, false},
		{"journal is a link", "box/o.journal", "is a symbolic link", linkTo("../mine"), batch, false},
		{"failed is a hard link", "box/o.failed", "is a hard link: the file has 2 names", hardLink, batch, false},
		{"out is a hard link", "box/o", "is a hard link: the file has 2 names", hardLink, batch, false},
		{"journal is a hard link", "box/o.journal", "is a hard link: the file has 2 names", hardLink, batch, false},
		{"out can be read", "box/o", "can be read or written by others (mode 0644)", empty(0o644), batch, false},
		{"failed is a FIFO", "box/o.failed", "is not a regular file", fifo, batch, false},
		{"journal is a FIFO", "box/o.journal", "is not a regular file", fifo, batch, false},
		{"another user's out", "box/o", "belongs to user 65534", empty(0o666), batch, true},
		{"another user's failed", "box/o.failed", "belongs to user 65534", empty(0o666), batch, true},
		{"another user's journal", "box/o.journal", "belongs to user 65534", empty(0o666), batch, true},
		{"report is another user's link", "box/o", "is a symbolic link of another user", linkTo("../mine"), report, true},
		{"report is a link", "box/o", "is a symbolic link in a folder that others can write", linkTo("../mine"), report, false},
		{"another user's report", "box/o", "belongs to another user, in a folder that others can write", empty(0o666), report, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.foreign && os.Geteuid() != 0 {
				skipMissing(t, "root, to be another user")
			}
			t.Chdir(t.TempDir())
			write(t, "in.txt", "one\ntwo\n")
			write(t, "mine", "kept")
			check(t, os.WriteFile("blank", nil, 0o600))
			check(t, os.Mkdir("box", 0o700))
			check(t, os.Chmod("box", 0o777|os.ModeSticky))
			check(t, tt.make(tt.path))
			if tt.foreign {
				check(t, os.Lchown(tt.path, nobody, -1))
			}
			realFerry(t, tt.args...).run().want(2, "", tt.path+": "+tt.says+"\n")
			equal(t, "requests", len(server.newRequests()), 0)
			equal(t, "the user's file", read(t, "mine"), "kept")
			equal(t, "the file with two names", read(t, "blank"), "")
			if made, err := filepath.Glob("box/*"); err != nil || len(made) != 1 {
				t.Errorf("in the folder: %v, %v; want %s alone", made, err, tt.path)
			}
			if _, err := os.Lstat("absent"); err == nil {
				t.Error("what a link names was made")
			}
		})
	}
}

func linkTo(target string) func(string) error {
	return func(path string) error { return os.Symlink(target, path) }
}

func hardLink(path string) error { return os.Link("blank", path) }

func fifo(path string) error { return syscall.Mkfifo(path, 0o600) }

func empty(mode os.FileMode) func(string) error {
	return func(path string) error {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			return err
		}
		return os.Chmod(path, mode)
	}
}

// startStalled starts a ferry whose request has reached a server that does not answer.
func startStalled(t *testing.T, args ...string) *process {
	server := stallingServer(t)
	p := realFerry(t, append(args, server.URL)...).with(crashSignals + "=yes").start()
	eventually(t, "the request arrives", func() bool { return server.count() > 0 })
	return p
}

// TestQuit sends SIGQUIT while a request is in flight: one line says so, and the exit code is not 2.
func TestQuit(t *testing.T) {
	for _, args := range [][]string{{"ask", "--no-stdin", "hello", "-n"}, {"stream", "--no-stdin", "hello", "-n"}, {"bench", "-r", "2"}} {
		r := startStalled(t, args...).send(syscall.SIGQUIT).wait().want(131, "", "")
		lacks(t, args[0], r.stderr, "goroutine ")
		if want := "\nferry: stopped by SIGQUIT; the request may have been carried out and billed\n"; !strings.HasSuffix(r.stderr, want) {
			r.errorf("want %q in the end", want)
		}
	}
}

// TestQuitBeforeASend does the same while ferry waits for its prompt.
func TestQuitBeforeASend(t *testing.T) {
	skipIfShort(t, "ferry says after two seconds that it waits")
	p := realFerry(t, "ask", "-n", "demo")
	stdin, err := p.StdinPipe()
	check(t, err)
	defer stdin.Close()
	said := p.stderr()
	p.start()
	first, err := said.ReadString('\n')
	check(t, err)
	contains(t, "the first line", first, "waiting for standard input")
	p.send(syscall.SIGQUIT)
	contains(t, "what is said then", readAll(said)+"END", "ferry: stopped by SIGQUIT; nothing was sent\nEND")
	p.wait().want(131, "", "")
}

// TestFatalErrors makes a goroutine of a library panic, and the Go runtime give up, as it does without memory or
// threads. ferry dies of SIGABRT and leaves no core file, which would contain keys.
func TestFatalErrors(t *testing.T) {
	for sent, want := range map[syscall.Signal]string{
		syscall.SIGUSR1: "panic: a fault of a library", syscall.SIGUSR2: "fatal error: sync: unlock of unlocked mutex",
	} {
		p := startStalled(t, "ask", "--no-stdin", "hello", "-n")
		limits := read(t, fmt.Sprintf("/proc/%d/limits", p.Process.Pid))
		if core := regexp.MustCompile(`Max core file size +[01] `); !core.MatchString(limits) {
			t.Errorf("the limits are %s, want no core file", limits)
		}
		r := p.send(sent).wait().killedBy(syscall.SIGABRT)
		contains(t, "what is said", r.stderr, want)
		equal(t, "a core file", r.state.Sys().(syscall.WaitStatus).CoreDump(), false)
	}
}

// TestFewFiles runs commands that can open only a few files. Each succeeds or reports what failed.
func TestFewFiles(t *testing.T) {
	skipIfShort(t, "more than a hundred processes")
	server := serve(t, nil)
	in := filepath.Join(t.TempDir(), "in.txt")
	write(t, in, "one\ntwo\n")
	commands := []struct {
		args []string
		want string // of standard output, or of standard error on success
	}{
		{[]string{"ask", "--no-stdin", "-n", server.URL, "hello"}, "Hello"},
		{[]string{"stream", "--no-stdin", "-n", server.URL, "hello"}, "Hello"},
		{[]string{"ask", "--no-stdin", "--session", "trip", "-n", server.URL, "hello"}, "Hello"},
		{[]string{"ask", "--no-stdin", "--limit", "1000/s", "-n", server.URL, "hello"}, "Hello"},
		{[]string{"ask", "--batch", in, "--out", "OUT", "-c", "2", "-n", server.URL}, "2 of 2 answered"},
		{[]string{"bench", "-r", "2", "--warmup", "0", "-o", "json", server.URL}, `"ok":2`},
		{[]string{"config", "list"}, "max_tokens"},
		{[]string{"config", "check", "demo"}, "demo"},
	}
	ended := map[int]int{}
	for most := 3; most <= 24; most++ {
		for _, command := range commands {
			server.newRequests()
			p := realFerry(t, command.args...)
			p.Dir = t.TempDir() // OUT is created there
			r := p.with(fmt.Sprintf("%s=%d", openFilesLimit, most)).run()
			ended[r.code]++
			sent := len(server.newRequests())
			switch all := strings.ReplaceAll(r.stdout+r.stderr, " ", ""); {
			case r.code < 0 || r.code > 3 || strings.Contains(r.stdout+r.stderr, "goroutine "):
				r.errorf("%d open files: want no crash", most)
			case r.code == 2 && sent > 0:
				r.errorf("%d open files: %d requests were sent, want none", most, sent)
			case r.code == 0 && !strings.Contains(all, strings.ReplaceAll(command.want, " ", "")):
				r.errorf("%d open files: want %q", most, command.want)
			case r.code != 0 && !strings.Contains(r.stderr, "Error: ") && !strings.Contains(r.stdout, "✗"):
				r.errorf("%d open files: want to be told what failed", most)
			}
		}
	}
	errorIf(t, ended[0] == 0 || ended[2] == 0, "ended with %v, want 0 and 2 among them: nothing was tested", ended)
}

// TestFirstProcessOfAContainer sends signals to a ferry that is the first process of a PID namespace, which the kernel
// protects from its own signals. The exit code shows the signal and never means that nothing was sent.
func TestFirstProcessOfAContainer(t *testing.T) {
	in, out := batchFiles(t, 1000)
	for name, c := range map[string]struct {
		args []string
		sent syscall.Signal
		code int
		said string
	}{
		"nothing to clean up": {[]string{"ask", "-v", "-n", "demo:?stall", "hello"}, syscall.SIGTERM, 143, ""},
		"an open stream":      {[]string{"stream", "-v", "-n", "demo:?stall", "hello"}, syscall.SIGINT, 130, "stopped by Ctrl-C (SIGINT)"},
		"a batch": {[]string{"ask", "-c", "1", "--batch", in, "--out", out, "-n", "demo:?latency=20ms"}, syscall.SIGTERM, 143,
			"not sent, stopped"},
	} {
		t.Run(name, func(t *testing.T) {
			p := realFerry(t, c.args...)
			p.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
			if me := os.Geteuid(); me != 0 {
				p.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
				p.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: me, HostID: me, Size: 1}}
			}
			said := p.stderr()
			if err := p.Start(); err != nil {
				skipMissing(t, "PID namespaces: "+err.Error())
			}
			if name == "a batch" {
				eventually(t, "an answer", func() bool { found, _ := filepath.Glob(out); return len(found) > 0 })
			} else {
				awaitSent(t, said)
			}
			p.send(c.sent)
			rest := readAll(bufio.NewReader(said))
			r := p.wait()
			errorIf(t, r.code != c.code || !strings.Contains(rest, c.said), "exit code %d, want %d, and %q in %q", r.code, c.code, c.said, rest)
		})
	}
}

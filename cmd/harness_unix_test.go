//go:build !windows

package cmd_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ferry/cmd"

	"golang.org/x/sys/unix"
)

// fileLimit is the environment variable with the maximum size in bytes of a file that a real ferry writes.
const fileLimit = "FERRY_TEST_FILE_LIMIT"

// openFilesLimit is the variable with the maximum number of open files.
const openFilesLimit = "FERRY_TEST_OPEN_FILES"

// crashSignals is the variable that makes a goroutine panic on SIGUSR1, and the Go runtime give up on SIGUSR2.
const crashSignals = "FERRY_TEST_FAULTS"

// ferry refuses files that others can write, so the tests create none, whatever the caller's umask.
func init() { syscall.Umask(0o022) }

// limitedMain is Main with these limits.
func limitedMain() int {
	if most, err := strconv.ParseUint(os.Getenv(openFilesLimit), 10, 64); err == nil {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: most, Max: most}); err != nil {
			return 99
		}
	}
	if most, err := strconv.ParseUint(os.Getenv(fileLimit), 10, 64); err == nil {
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: most, Max: most}); err != nil {
			return 99
		}
	}
	if os.Getenv(crashSignals) != "" {
		wanted := make(chan os.Signal, 1)
		signal.Notify(wanted, syscall.SIGUSR1, syscall.SIGUSR2)
		go func() {
			if <-wanted == syscall.SIGUSR1 {
				panic("a fault of a library")
			}
			new(sync.Mutex).Unlock() // cannot be recovered
		}()
	}
	return cmd.Main()
}

// process is a ferry that runs as a process. Its output is kept, except what is read while it runs.
type process struct {
	*exec.Cmd
	t         testing.TB
	out, errs bytes.Buffer
}

func realFerry(t testing.TB, args ...string) *process {
	t.Helper()
	self, err := os.Executable()
	check(t, err)
	p := &process{Cmd: exec.CommandContext(t.Context(), self, args...), t: t}
	p.Args[0] = "ferry-real"
	p.Stdout, p.Stderr = &p.out, &p.errs
	p.Env = append(os.Environ(), "HOME="+t.TempDir(), "XDG_CONFIG_HOME=", "XDG_STATE_HOME=", "FERRY_CONFIG=", "FERRY_NODE=",
		"FERRY_KEY=some-key", raceExit+"="+raceAtOnce, "TERM=xterm", "NO_COLOR=")
	return p
}

// with adds variables to its environment.
func (p *process) with(env ...string) *process {
	p.Env = append(p.Env, env...)
	return p
}

// withVars adds the variables of an environment for calls in this process.
func (p *process) withVars(vars map[string]string) *process {
	for name, value := range vars {
		p.with(name + "=" + value)
	}
	return p
}

// stdout and stderr return pipes for reading while the process runs.
func (p *process) stdout() *bufio.Reader {
	p.t.Helper()
	p.Stdout = nil
	pipe, err := p.StdoutPipe()
	check(p.t, err)
	return bufio.NewReader(pipe)
}

func (p *process) stderr() *bufio.Reader {
	p.t.Helper()
	p.Stderr = nil
	pipe, err := p.StderrPipe()
	check(p.t, err)
	return bufio.NewReader(pipe)
}

func (p *process) start() *process {
	p.t.Helper()
	check(p.t, p.Start())
	return p
}

func (p *process) run() result {
	p.t.Helper()
	return p.start().wait()
}

func (p *process) send(sent os.Signal) *process {
	p.t.Helper()
	check(p.t, p.Process.Signal(sent))
	return p
}

func (p *process) wait() result {
	p.t.Helper()
	_ = p.Wait() // ProcessState has the result
	return result{p.t, p.Args[1:], p.ProcessState.ExitCode(), p.out.String(), p.errs.String(), p.ProcessState}
}

// killedBy checks that the process died of a signal, because a shell loop around it must see that.
func (r result) killedBy(want syscall.Signal) result {
	r.t.Helper()
	if status := r.state.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != want {
		r.errorf("ended with %v, want killed by %v", r.state, want)
	}
	return r
}

// awaitSent reads the output of ferry -v until the request has left.
func awaitSent(t testing.TB, said *bufio.Reader) {
	t.Helper()
	awaitLine(t, said, "> (") // last line of the request that -v prints
}

// awaitLine reads lines until one has the words.
func awaitLine(t testing.TB, said *bufio.Reader, words string) {
	t.Helper()
	for line := ""; !strings.Contains(line, words); {
		var err error
		line, err = said.ReadString('\n')
		check(t, err)
	}
}

// openTerminal opens a pseudo-terminal with the given number of columns. Reading from the master ends with an error
// after the last process has closed the terminal.
func openTerminal(t testing.TB, columns uint16) (master, terminal *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	check(t, err)
	master = os.NewFile(uintptr(fd), "/dev/ptmx")
	t.Cleanup(func() { master.Close() })
	path, err := otherSide(fd)
	check(t, err)
	terminal, err = os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	check(t, err)
	t.Cleanup(func() { terminal.Close() })
	check(t, unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}))
	check(t, master.SetReadDeadline(time.Now().Add(2*testTimeout)))
	return master, terminal
}

// terminal starts the process in a pseudo-terminal with the given number of columns, for all three streams.
func (p *process) terminal(columns uint16) *os.File {
	p.t.Helper()
	master, terminal := openTerminal(p.t, columns)
	defer terminal.Close()
	p.Stdin, p.Stdout, p.Stderr = terminal, terminal, terminal
	p.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	p.start()
	return master
}

// typed runs the process in a terminal, types keys once it shows enough, and returns what it shows until then and from
// then on.
func (p *process) typed(columns uint16, enough func(seen string) bool, keys string) (before, after string) {
	p.t.Helper()
	terminal := p.terminal(columns)
	before = readUntil(p.t, terminal, enough)
	_, err := terminal.Write([]byte(keys))
	check(p.t, err)
	return before, readAll(terminal)
}

// ctrlC is the key that interrupts a process, ctrlD the one that ends its input.
const ctrlC, ctrlD = "\x03", "\x04"

// onTerminal runs a command on a terminal that answers no query, and returns the output. A program that waits for an
// answer is killed.
func onTerminal(t testing.TB, columns uint16, command *exec.Cmd) (shown string, err error) {
	terminal := (&process{Cmd: command, t: t}).terminal(columns)
	defer terminal.Close()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { command.Process.Kill() })
	defer stop()
	// If the other side is closed, reading a terminal ends with EIO on Linux, not with EOF; the output is complete
	// anyway.
	text, _ := io.ReadAll(terminal)
	return string(text), command.Wait()
}

// inTerminal runs ferry in a pseudo-terminal with the given number of columns and returns the output.
func inTerminal(t testing.TB, columns uint16, env []string, args ...string) string {
	t.Helper()
	p := realFerry(t, args...).with(waitsFile + "=" + os.DevNull).with(env...)
	p.Args[0] = "ferry"                       // uses the clock of the stories: a countdown takes no time
	shown, _ := onTerminal(t, columns, p.Cmd) // some of these calls are meant to fail
	return shown
}

// readUntil reads a terminal's output until enough returns true, and returns that output.
func readUntil(t testing.TB, terminal io.Reader, enough func(seen string) bool) string {
	t.Helper()
	var seen []byte
	for buf := make([]byte, 4096); !enough(string(seen)); {
		n, err := terminal.Read(buf)
		fatalIf(t, err != nil, "%v after %q", err, seen)
		seen = append(seen, buf[:n]...)
	}
	return string(seen)
}

// containsUnwrapped returns a function that reports whether text contains words, wrapped or not.
func containsUnwrapped(words string) func(string) bool {
	return func(seen string) bool { return strings.Contains(strings.Join(strings.Fields(seen), " "), words) }
}

func readAll(from io.Reader) string {
	text, _ := io.ReadAll(from)
	return string(text)
}

// nobody is the user ID of nobody, who does not run the tests.
const nobody = 65534

// findProgram returns the path of a program. It also searches the folders where Debian installs servers.
func findProgram(t testing.TB, name string) string {
	for _, folder := range []string{"", "/usr/sbin/", "/usr/local/sbin/"} {
		if path, err := exec.LookPath(folder + name); err == nil {
			return path
		}
	}
	skipMissing(t, name)
	return ""
}

// debian13Program returns the path of a program with HTTP/3, nginx or curl, in the folder that .ci/trixie makes.
func debian13Program(t testing.TB, program string) string {
	folder := os.Getenv("FERRY_TRIXIE")
	if folder == "" {
		skipMissing(t, "FERRY_TRIXIE, a folder with Debian 13 (.ci/trixie)")
	}
	return filepath.Join(folder, "host", program)
}

// runServer runs a server until the test ends, and waits until it listens.
func runServer(t testing.TB, process *exec.Cmd, address string) {
	var said bytes.Buffer
	process.Stdout, process.Stderr = &said, &said
	process.WaitDelay = 5 * time.Second
	if process.SysProcAttr == nil {
		process.SysProcAttr = &syscall.SysProcAttr{}
	}
	process.SysProcAttr.Setpgid = true // its child processes end with it
	check(t, process.Start())
	ended := make(chan struct{})
	go func() { _ = process.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = syscall.Kill(-process.Process.Pid, syscall.SIGKILL) // some take seconds to end after SIGTERM
		<-ended
		if t.Failed() {
			t.Logf("%s said: %s", process.Path, said.Bytes())
		}
	})
	listens := func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		select {
		case <-ended:
			t.Fatalf("%s ended: %v\n%s", process.Path, process.ProcessState, said.Bytes())
		default:
		}
		return err == nil
	}
	eventually(t, process.Path+" listens", listens)
}

// startDemo runs ferry demo until the test ends, and returns its address.
func startDemo(t testing.TB) string {
	p := realFerry(t, "demo", "-q", "--listen", "127.0.0.1:0")
	said := p.stdout()
	p.start()
	t.Cleanup(func() { _ = p.Process.Kill(); _ = p.Wait() })
	address, err := said.ReadString('\n')
	check(t, err)
	return strings.TrimSpace(address)
}

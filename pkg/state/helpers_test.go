package state

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// One of these variables tells a child process of the tests what to do, and with which path.
const (
	holdEnv = "FERRY_TEST_HOLD_LOCK"
	tempEnv = "FERRY_TEST_TEMP"
)

// TestMain runs the test binary as another process if a test starts it so.
func TestMain(m *testing.M) {
	for name, run := range map[string]func(path string) int{holdEnv: hold, tempEnv: writeHalf} {
		if path := os.Getenv(name); path != "" {
			os.Exit(run(path))
		}
	}
	os.Exit(m.Run())
}

// start runs the test binary as another process, which runs until it is killed, and returns the line that it prints.
func start(t *testing.T, name, path string) (child *exec.Cmd, said string) {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	child = exec.CommandContext(t.Context(), self)
	child.Env = append(os.Environ(), name+"="+path)
	stdin, err := child.StdinPipe()
	must(t, err)
	t.Cleanup(func() { stdin.Close() })
	stdout, err := child.StdoutPipe()
	must(t, err, child.Start())
	said, err = bufio.NewReader(stdout).ReadString('\n')
	must(t, err)
	return child, strings.TrimSuffix(said, "\n")
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// errorIf reports an error if wrong is true.
func errorIf(t *testing.T, wrong bool, format string, args ...any) {
	t.Helper()
	if wrong {
		t.Errorf(format, args...)
	}
}

// wantError reports an error unless err is want or wraps it.
func wantError(t *testing.T, what string, err, want error) {
	t.Helper()
	errorIf(t, !errors.Is(err, want), "%s: got %v, want %v", what, err, want)
}

// testDir is a folder in which a test creates files of any mode. Its name has a space.
type testDir struct {
	t   *testing.T
	dir string
}

func newTestDir(t *testing.T) testDir {
	dir := filepath.Join(t.TempDir(), "a folder")
	must(t, os.Mkdir(dir, 0o700))
	return testDir{t, dir}
}

func (p testDir) in(name string) string { return filepath.Join(p.dir, filepath.FromSlash(name)) }

// word returns the path as hints show it in a command.
func (p testDir) word(name string) string {
	quote := "'"
	if runtime.GOOS == "windows" {
		quote = `"`
	}
	return quote + p.in(name) + quote
}

func (p testDir) file(name string, perm fs.FileMode) {
	p.t.Helper()
	must(p.t, os.WriteFile(p.in(name), []byte("text"), 0o600), os.Chmod(p.in(name), perm))
}

func (p testDir) folder(name string, perm fs.FileMode) {
	p.t.Helper()
	must(p.t, os.Mkdir(p.in(name), 0o700), os.Chmod(p.in(name), perm))
}

// build creates files and folders with their modes, and links: "file 0600", "folder/ 1777", "link -> target".
func (p testDir) build(entries ...string) {
	p.t.Helper()
	for _, entry := range entries {
		if name, target, ok := strings.Cut(entry, " -> "); ok {
			p.link(target, name)
			continue
		}
		name, mode, _ := strings.Cut(entry, " ")
		bits, err := strconv.ParseUint(mode, 8, 32)
		must(p.t, err)
		perm := fs.FileMode(bits) & fs.ModePerm
		if bits&0o1000 != 0 {
			perm |= fs.ModeSticky
		}
		if folder, ok := strings.CutSuffix(name, "/"); ok {
			p.folder(folder, perm)
		} else {
			p.file(name, perm)
		}
	}
}

// link skips the test if symbolic links are not available.
func (p testDir) link(target, name string) {
	p.t.Helper()
	err := os.Symlink(filepath.FromSlash(target), p.in(name))
	if err == nil {
		_, err = os.Readlink(p.in(name)) // Wine creates none, but reports success
	}
	if err != nil {
		p.t.Skip("no symbolic links here: ", err)
	}
}

// wantFiles fails the test if the folder has other names, such as a temporary file that was left behind.
func (p testDir) wantFiles(want ...string) {
	p.t.Helper()
	entries, err := os.ReadDir(p.dir)
	must(p.t, err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	errorIf(p.t, !slices.Equal(got, want), "the folder holds %q, want %q", got, want)
}

func (p testDir) wantContent(name, want string) {
	p.t.Helper()
	got, err := os.ReadFile(p.in(name))
	errorIf(p.t, err != nil || string(got) != want, "%s holds %q, %v; want %q", name, got, err, want)
}

func (p testDir) wantMode(name string, want fs.FileMode) {
	p.t.Helper()
	info, err := os.Stat(p.in(name))
	errorIf(p.t, err != nil || info.Mode().Perm() != want, "%s has %v, %v; want mode %04o", name, info, err, want)
}

// wantAbsent fails the test if the name exists.
func (p testDir) wantAbsent(name string) {
	p.t.Helper()
	_, err := os.Lstat(p.in(name))
	wantError(p.t, name+" was made", err, fs.ErrNotExist)
}

// refusedWith compares an error with a path, a text and a hint; a text of "" means no error.
func (p testDir) refusedWith(err error, name, text, hint string) {
	p.t.Helper()
	var e *Error
	if text == "" && err == nil || errors.As(err, &e) && err.Error() == p.in(name)+": "+text && e.Hint() == hint {
		return
	}
	p.t.Errorf("got %v, want %s: %s, with the hint %q", err, p.in(name), text, hint)
}

func readAll(t *testing.T, name string, f *os.File, want string) {
	t.Helper()
	defer f.Close()
	text, err := io.ReadAll(f)
	errorIf(t, err != nil || string(text) != want, "%s: got %q, %v; want %q", name, text, err, want)
}

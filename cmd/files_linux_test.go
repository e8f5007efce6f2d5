package cmd_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// TestFilesOfOthers puts what another user could make where ferry is to write, in a folder that everyone can write: it is
// refused before anything is sent, and nothing is written.
func TestFilesOfOthers(t *testing.T) {
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	defer server.Close()
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
				needed(t, "root, to be another user")
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
			code, stderr := runFerry(t, os.DevNull, tt.args...)
			if want := tt.path + ": " + tt.says + "\n"; code != 2 || !strings.Contains(stderr, want) {
				t.Errorf("exit %d, %q; want exit 2 and %q", code, stderr, want)
			}
			if n := requests.Swap(0); n != 0 {
				t.Errorf("%d requests were sent, want none", n)
			}
			if text, err := os.ReadFile("mine"); err != nil || string(text) != "kept" {
				t.Errorf("the user's file holds %q, %v; want it as it was", text, err)
			}
			if info, err := os.Stat("blank"); err != nil || info.Size() != 0 {
				t.Errorf("the file with two names: %v, %v; want it empty", info, err)
			}
			if made, err := filepath.Glob("box/*"); err != nil || len(made) != 1 {
				t.Errorf("in the folder: %v, %v; want %s alone", made, err, tt.path)
			}
			if _, err := os.Lstat("absent"); err == nil {
				t.Error("what a link names was made")
			}
		})
	}
}

// TestReportMode holds a report to be readable by others, such as a collector of metrics, and follows the user's own link in the user's own folder.
func TestReportMode(t *testing.T) {
	t.Chdir(t.TempDir())
	defer syscall.Umask(syscall.Umask(0))
	check(t, os.WriteFile("old", nil, 0o644))
	check(t, os.Symlink("old", "link"))
	for path, file := range map[string]string{"new": "new", "link": "old"} {
		if code, stderr := runFerry(t, os.DevNull, "bench", "-q", "--requests", "1", "--warmup", "0", "--out", path, "demo"); code != 0 {
			t.Fatalf("%s: exit %d: %s", path, code, stderr)
		}
		if info, err := os.Lstat(file); err != nil || info.Mode() != 0o644 || info.Size() == 0 {
			t.Errorf("%s: %v, %v; want a report with mode 0644", file, info, err)
		}
	}
	if info, err := os.Lstat("link"); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link: %v, %v; want it kept", info, err)
	}
}

// TestFIFORefused gives ferry a FIFO that nothing writes to. Waiting for it would hang the test.
func TestFIFORefused(t *testing.T) {
	t.Chdir(t.TempDir())
	check(t, fifo("fifo"))
	write(t, "filter.yaml", "filter: {file: fifo}\n")
	write(t, "tls.yaml", "nodes: {n: {url: https://127.0.0.1:1, auth: none, hold: 5s, tls: {ca: fifo}}}\n")
	for _, tt := range []struct {
		config string
		args   []string
	}{
		{"fifo", []string{"ask", "-n", "demo", "hi"}},
		{"filter.yaml", []string{"ask", "-n", "demo", "hi"}},
		{"tls.yaml", []string{"ask", "-n", "n", "hi"}},
		{os.DevNull, []string{"bench", "report", "fifo"}},
	} {
		if code, stderr := runFerry(t, tt.config, tt.args...); code != 2 || !strings.Contains(stderr, "fifo: is not a regular file\nhint: ") {
			t.Errorf("%s, %q: exit %d, %q; want exit 2 and that fifo is not a regular file", tt.config, tt.args, code, stderr)
		}
	}
}

func runFerry(t *testing.T, config string, args ...string) (code int, stderr string) {
	t.Helper()
	var said bytes.Buffer
	c := realFerry(t, args...)
	c.Env = append(c.Env, "FERRY_KEY=any", "FERRY_CONFIG="+config)
	c.Stderr = &said
	_ = c.Run() // the exit code says it
	return c.ProcessState.ExitCode(), said.String()
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

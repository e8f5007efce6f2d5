package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ferry/pkg/guard"
)

// writerVar makes the test binary a process that writes lines to a log.
const writerVar = "FERRY_TEST_AUDIT_WRITER"

func TestMain(m *testing.M) {
	if spec := os.Getenv(writerVar); spec != "" {
		os.Exit(writeMany(spec))
	}
	os.Exit(m.Run())
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

var redact = new(guard.Redactor).String

func newLog(path string, size int64) Log { return Log{Path: path, MaxSize: size, Redact: redact} }

// writeMany writes lines as the writer NAME. spec is "PATH SIZE NAME LINES", separated by tabs.
func writeMany(spec string) int {
	fields := strings.Split(spec, "\t")
	size, _ := strconv.ParseInt(fields[1], 10, 64)
	count, _ := strconv.Atoi(fields[3])
	l := newLog(fields[0], size)
	for k := range count {
		e := Entry{Time: Time{time.Unix(0, 0)}, Node: fields[2], Attempts: k, Prompt: strings.Repeat("p", 10*k)}
		if err := l.Write(context.Background(), e); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return 0
}

func TestLine(t *testing.T) {
	in, out := 12, 34
	e := Entry{
		Time: Time{time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.FixedZone("", 8*3600))},
		Node: "hk", API: "messages", Model: "m", RequestID: "req_1", Status: 429, Class: "429", Attempts: 3,
		Waits: []Millis{Millis(2 * time.Second), Millis(4 * time.Second)}, Latency: Millis(6123456 * time.Microsecond), Input: &in, Output: &out,
		Exit: 3, Session: SessionID("trip"), Ambiguous: true,
	}
	want := `{"time":"2026-01-01T19:04:05.678Z","node":"hk","api":"messages","model":"m","request_id":"req_1","status":429,` +
		`"class":"429","attempts":3,"waits_ms":[2000,4000],"latency_ms":6123.456,"tokens_in":12,"tokens_out":34,"exit":3,` +
		`"session":"` + SessionID("trip") + `","ambiguous":true}` + "\n"
	if got := string(e.line(redact)); got != want {
		t.Errorf("got  %swant %s", got, want)
	}
	want = `{"time":"1970-01-01T00:00:00.000Z","node":"","api":"","model":"","request_id":"","status":0,"class":"","attempts":0,` +
		`"waits_ms":[],"latency_ms":0,"tokens_in":null,"tokens_out":null,"exit":0,"ambiguous":false}` + "\n"
	if got := string(Entry{Time: Time{time.Unix(0, 0)}}.line(redact)); got != want {
		t.Errorf("got  %swant %s", got, want)
	}
	if id := SessionID("trip"); len(id) != 12 || id == SessionID("trap") || SessionID("") != "" {
		t.Errorf("session %q", id)
	}
}

// TestLineIsOneLine checks that no text makes a second line, breaks the JSON or exceeds the bound, and that text is
// redacted before it is cut.
func TestLineIsOneLine(t *testing.T) {
	const phone = "13812345678"
	for _, text := range []string{
		"a\nb\r\n\u2028\x00\xff<>&\"\\", strings.Repeat("\x01", 1<<20), strings.Repeat("好", 1<<18), strings.Repeat("x", 3<<20),
		strings.Repeat("x ", maxContent/2-6) + phone, strings.Repeat("好", maxContent/3-3) + phone, phone,
	} {
		e := Entry{Prompt: text, Answer: text, RequestID: text, Node: text, Model: text, Class: text}
		line := e.line(redact)
		var back Entry
		if bytes.IndexByte(line, '\n') != len(line)-1 || json.Unmarshal(line, &back) != nil || len(line) > 128<<10 {
			t.Errorf("%.20q: %d bytes: %.200q", text, len(line), line)
		}
		if bytes.Contains(line, []byte("1381234")) {
			t.Errorf("%.20q: the telephone number is there", text)
		}
	}
}

// entries reads every line of every file of a log. It fails the test if a line is incomplete.
func entries(t *testing.T, path string) []Entry {
	t.Helper()
	var all []Entry
	for _, name := range Files(path) {
		text, err := os.ReadFile(name)
		must(t, err)
		for line := range strings.Lines(string(text)) {
			var e Entry
			if err := json.Unmarshal([]byte(line), &e); err != nil || !strings.HasSuffix(line, "\n") {
				t.Fatalf("%s has a line that is not whole: %v: %q", name, err, line)
			}
			all = append(all, e)
		}
	}
	return all
}

// TestManyProcesses lets 60 processes write one log while it is rotated, and counts the written lines. On Windows,
// processes and locks are slower, so it uses 12: a process must not time out waiting for the lock and write without it.
func TestManyProcesses(t *testing.T) {
	writers, lines := 60, 40
	if runtime.GOOS == "windows" {
		writers = 12
	}
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	size := int64(writers * lines * 450 / (maxRotated - 2)) // rotates, but not so often that the oldest file is lost
	self, err := os.Executable()
	must(t, err)
	var group sync.WaitGroup
	for k := range writers {
		c := exec.Command(self)
		c.Env = append(os.Environ(), fmt.Sprintf("%s=%s\t%d\tw%d\t%d", writerVar, path, size, k, lines), "GORACE=atexit_sleep_ms=0")
		group.Go(func() {
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	group.Wait()
	seen := map[string]int{}
	for _, e := range entries(t, path) {
		seen[fmt.Sprintf("%s %d", e.Node, e.Attempts)]++
	}
	for k := range writers {
		for i := range lines {
			if n := seen[fmt.Sprintf("w%d %d", k, i)]; n != 1 {
				t.Errorf("line %d of writer %d is there %d times", i, k, n)
			}
		}
	}
	found := Files(path)
	if len(found) < 4 || len(found) > maxRotated+1 {
		t.Errorf("the test wants some rotations and none of the oldest file; files %v", found)
	}
	for _, name := range found {
		if info, err := os.Stat(name); err != nil || info.Size() > size {
			t.Errorf("%s: %v, more than %d bytes", name, err, size)
		}
	}
}

func TestRotate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l := newLog(path, 600)
	const lines = 60
	for k := range lines {
		must(t, l.Write(t.Context(), Entry{Attempts: k}))
	}
	all := entries(t, path) // newest file first
	perFile := len(all) / (maxRotated + 1)
	if perFile < 1 || len(all) >= lines || all[0].Attempts+perFile < lines-perFile {
		t.Errorf("%d lines left, the first %d", len(all), all[0].Attempts)
	}
	if got := len(Files(path)); got != maxRotated+2 {
		t.Errorf("%d files, want %d and the lock", got, maxRotated+1)
	}
}

func TestRotateFails(t *testing.T) {
	l := newLog(filepath.Join(t.TempDir(), "audit.jsonl"), 1)
	must(t, os.Mkdir(rotatedPath(l.Path, maxRotated), 0o700), os.WriteFile(rotatedPath(l.Path, maxRotated-1), nil, 0o600))
	err := l.Write(t.Context(), Entry{})
	if err == nil {
		err = l.Write(t.Context(), Entry{})
	}
	if err == nil || !strings.Contains(err.Error(), "cannot be rotated") {
		t.Errorf("got %v, want that the log cannot be rotated", err)
	}
}

// TestHalfALine checks that a write ends the incomplete line that a crash left.
func TestHalfALine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	must(t, os.WriteFile(path, []byte(`{"time":"x`), 0o600))
	must(t, newLog(path, 600).Write(t.Context(), Entry{Node: "n"}))
	text, _ := os.ReadFile(path)
	if lines := strings.Split(string(text), "\n"); len(lines) != 3 || !strings.Contains(lines[1], `"node":"n"`) || lines[2] != "" {
		t.Errorf("got %q", text)
	}
}

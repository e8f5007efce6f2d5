package session

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestConversation(t *testing.T) {
	s := newStore(t)
	h := mustOpen(t, s, "work", start)
	if _, err := s.Read("work"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a session that was never asked anything is on disk: %v", err)
	}
	h.Session().Nodes = "hongkong,singapore"
	later := start.Add(3 * time.Second)
	if err := h.Ask("why <is> the sky blue?\n", start); err != nil {
		t.Fatal(err)
	}
	if err := h.Answer("", "hongkong", "m1", later); err != nil { // an empty answer is one
		t.Fatal(err)
	}
	token := h.Session().Token
	h.Close()
	h.Close() // nothing
	want := `{
  "schema": 1,
  "name": "work",
  "used": "2026-11-23T15:02:07.005Z",
  "started": "2026-11-23T15:02:04.005Z",
  "token": "` + token + `",
  "nodes": "hongkong,singapore",
  "pending": "",
  "turns": [
    {
      "role": "user",
      "text": "why <is> the sky blue?\n",
      "at": "2026-11-23T15:02:04.005Z"
    },
    {
      "role": "assistant",
      "text": "",
      "node": "hongkong",
      "model": "m1",
      "at": "2026-11-23T15:02:07.005Z"
    }
  ]
}
`
	if got := content(t, filepath.Join(s.Dir, "work.json")); got != want {
		t.Errorf("the file is\n%s\nwant\n%s", got, want)
	}
	h = mustOpen(t, s, "work", later)
	defer h.Close()
	got := h.Session()
	if got.Name != "work" || got.Token != token || !got.Started.Equal(start) || !got.Used.Equal(later) ||
		got.Nodes != "hongkong,singapore" || len(got.Turns) != 2 || got.Turns[0].Text != "why <is> the sky blue?\n" {
		t.Errorf("read back: %+v", got)
	}
	if err := h.Answer("x", "", "", later); err == nil {
		t.Error("an answer without a prompt was taken")
	}
	if err := h.Ask("", later); err == nil {
		t.Error("an empty prompt was taken: Pending could not tell it from none")
	}
}

// A turn that failed leaves its prompt, which the next one replaces.
func TestPromptIsKept(t *testing.T) {
	s := newStore(t)
	have(t, s, "work", start)
	h := mustOpen(t, s, "work", start)
	if err := h.Ask("first", start.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	h.Close()
	h = mustOpen(t, s, "work", start.Add(2*time.Second))
	defer h.Close()
	if got := h.Session(); got.Pending != "first" || len(got.Turns) != 2 {
		t.Fatalf("got %+v", got)
	}
	if err := h.Answer("late", "n", "m", start.Add(3*time.Second)); err != nil { // as --resend does
		t.Fatal(err)
	}
	if got := h.Session().Turns[2]; got.Text != "first" || !got.At.Equal(start.Add(time.Second)) {
		t.Errorf("the prompt became %+v", got)
	}
	for _, prompt := range []string{"second", "third"} {
		if err := h.Ask(prompt, start); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Read("work")
	if err != nil || got.Pending != "third" || len(got.Turns) != 4 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestCrashKeepsThePrompt(t *testing.T) {
	s := newStore(t)
	child := again(t, crashEnv+"="+s.Dir)
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "asked\n" {
		t.Fatalf("the other process said %q, %v", line, err)
	}
	held, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Open(held, "work", start, time.Hour); err == nil || errors.Is(err, ErrUnavailable) {
		t.Errorf("the session of another process: %v", err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // it was killed
	h := mustOpen(t, s, "work", start)
	defer h.Close()
	if got := h.Session(); got.Pending != "do not lose me" || len(got.Turns) != 0 {
		t.Errorf("after the crash: %+v", got)
	}
}

func TestTwoAtOnceTakeTurns(t *testing.T) {
	s := newStore(t)
	const each = 8
	who := []string{"goroutine-1", "goroutine-2", "process-1", "process-2"}
	var wg sync.WaitGroup
	for _, name := range who {
		wg.Go(func() {
			var err error
			if strings.HasPrefix(name, "process") {
				err = again(t, fmt.Sprintf("%s=%s\n%s\n%d", turnsEnv, s.Dir, name, each)).Run()
			} else {
				err = converse(t.Context(), s, name, each)
			}
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	wg.Wait()
	got, err := s.Read("shared")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for pair := range slices.Chunk(got.Turns, 2) {
		word := strings.TrimPrefix(pair[0].Text, "ask ")
		if len(pair) != 2 || pair[0].Role != User || pair[1].Role != Assistant || pair[1].Text != "answer "+word {
			t.Fatalf("turns are mixed up: %+v", pair)
		}
		seen[strings.Fields(word)[0]]++
	}
	for _, name := range who {
		if seen[name] != each {
			t.Errorf("%d turns of %s, want %d", seen[name], name, each)
		}
	}
}

func TestOpenWaitsUntilContextEnds(t *testing.T) {
	s := newStore(t)
	h := mustOpen(t, s, "work", start)
	defer h.Close()
	why := errors.New("time over")
	ctx, cancel := context.WithCancelCause(t.Context())
	waiting := make(chan error)
	go func() {
		_, err := s.Open(ctx, "work", start, time.Hour)
		waiting <- err
	}()
	cancel(why)
	err := <-waiting
	if !errors.Is(err, why) || errors.Is(err, ErrUnavailable) || err.Error() != "session work is in use: time over" ||
		hint(err) != "another ferry holds it" {
		t.Errorf("got %v, hint %q", err, hint(err))
	}
	other := mustOpen(t, s, "other", start) // only the one session is taken
	other.Close()
}

func TestTokenIdle(t *testing.T) {
	const idle = 10 * time.Minute
	tests := []struct {
		name  string
		after time.Duration
		fresh bool
	}{
		{"at once", 0, false},
		{"just in time", idle, false},
		{"a moment late", idle + time.Millisecond, true},
		{"a year", 365 * 24 * time.Hour, true},
		{"the clock was set back a little", -idle, false},
		{"the clock was set back a lot", -idle - time.Millisecond, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t)
			token := have(t, s, "work", start).Token
			h, err := s.Open(t.Context(), "work", start.Add(tt.after), idle)
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			got := h.Session()
			if fresh := got.Token != token; fresh != tt.fresh || !isToken(got.Token) || len(got.Turns) != 2 {
				t.Errorf("token %s after %s, %d turns; want a new one: %v", got.Token, token, len(got.Turns), tt.fresh)
			}
			if err := h.Ask("x", start); err != nil {
				t.Fatal(err)
			}
			if kept, err := s.Read("work"); err != nil || kept.Token != got.Token {
				t.Errorf("the file has %v, %v", kept, err)
			}
		})
	}
}

// The token goes into a header, so that one that was written by hand is not believed.
func TestTokenForm(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		token := newToken()
		if !isToken(token) || token[14] != '4' || !strings.Contains("89ab", token[19:20]) || seen[token] {
			t.Fatalf("%q", token)
		}
		seen[token] = true
	}
	for _, token := range []string{"", "x", strings.Repeat("a", 36), "00000000-0000-4000-8000-00000000000\n",
		"00000000-0000-4000-8000-00000000000A", "000000000000040000800000000000000000"} {
		if isToken(token) {
			t.Errorf("%q was taken", token)
		}
	}
	s := newStore(t)
	token := have(t, s, "work", start).Token
	path := filepath.Join(s.Dir, "work.json")
	write(t, path, strings.Replace(content(t, path), token, `x\r\nX-Bad: 1`, 1))
	h := mustOpen(t, s, "work", start)
	defer h.Close()
	if !isToken(h.Session().Token) {
		t.Errorf("token %q", h.Session().Token)
	}
}

func TestIdleNote(t *testing.T) {
	const tail = "; 5m to 10m is advised"
	tests := []struct {
		idle time.Duration
		want string
	}{
		{300 * time.Second, ""},
		{450 * time.Second, ""},
		{600 * time.Second, ""},
		{299 * time.Second, "a session's token lives 4m59s without use" + tail},
		{601 * time.Second, "a session's token lives 10m1s without use" + tail},
		{0, "a session's token lives 0s without use" + tail},
		{20 * time.Minute, "a session's token lives 20m without use" + tail},
		{2 * time.Hour, "a session's token lives 2h without use" + tail},
		{90 * time.Minute, "a session's token lives 1h30m without use" + tail},
	}
	for _, tt := range tests {
		if got := IdleNote(tt.idle); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.idle, got, tt.want)
		}
	}
}

func TestModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("mode bits say nothing on Windows")
	}
	s := newStore(t)
	have(t, s, "work", start)
	for path, want := range map[string]os.FileMode{
		filepath.Dir(s.Dir): 0o700, s.Dir: 0o700, s.path("work"): 0o600, filepath.Join(s.Dir, ".work.lock"): 0o600,
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s: mode %04o, want %04o", path, got, want)
		}
	}
	entries, err := os.ReadDir(s.Dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("something was left behind: %v, %v", entries, err)
	}
}

// Where the folder cannot be made, a conversation works in memory: the answer must still arrive.
func TestUnavailable(t *testing.T) {
	block := filepath.Join(t.TempDir(), "file")
	write(t, block, "")
	for _, dir := range []string{block, filepath.Join(block, "ferry", "sessions")} {
		s := Store{dir}
		h, err := s.Open(t.Context(), "work", start, time.Hour)
		if !errors.Is(err, ErrUnavailable) || h == nil {
			t.Fatalf("%s: %v, %v", dir, h, err)
		}
		if err := errors.Join(h.Ask("a", start), h.Answer("b", "", "", start)); err != nil {
			t.Errorf("one warning is enough: %v", err)
		}
		if got := h.Session(); len(got.Turns) != 2 || !isToken(got.Token) {
			t.Errorf("in memory: %+v", got)
		}
		h.Close()
		if _, err := s.Read("work"); !errors.Is(err, ErrUnavailable) {
			t.Errorf("Read: %v", err)
		}
		if _, err := s.List(); !errors.Is(err, ErrUnavailable) {
			t.Errorf("List: %v", err)
		}
		if _, err := s.Last(); !errors.Is(err, ErrUnavailable) {
			t.Errorf("Last: %v", err)
		}
		if _, err := s.Prune(t.Context(), time.Hour, start); !errors.Is(err, ErrUnavailable) {
			t.Errorf("Prune: %v", err)
		}
		if _, err := s.Remove(t.Context(), "work"); !errors.Is(err, ErrUnavailable) {
			t.Errorf("Remove: %v", err)
		}
	}
}

// A disk that fails after Open loses nothing of the conversation in hand, and a later save brings all of it.
func TestDiskFailsInBetween(t *testing.T) {
	s := newStore(t)
	h := mustOpen(t, s, "work", start)
	defer h.Close()
	away := s.Dir + "-away"
	if err := os.Rename(s.Dir, away); err != nil {
		t.Skip("the folder cannot be moved while it is in use: ", err)
	}
	if err := h.Ask("a", start); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if err := os.Rename(away, s.Dir); err != nil {
		t.Fatal(err)
	}
	if err := h.Answer("b", "", "", start); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Read("work"); err != nil || len(got.Turns) != 2 || got.Pending != "" {
		t.Errorf("got %+v, %v", got, err)
	}
}

// A folder that can be read and not written still lends its words.
func TestReadOnlyFolder(t *testing.T) {
	if runtime.GOOS == "windows" || os.Geteuid() == 0 {
		t.Skip("root, and Windows, write into a folder whose mode says no; the missing lock below stands for it")
	}
	s := newStore(t)
	have(t, s, "work", start)
	if err := os.Remove(filepath.Join(s.Dir, ".work.lock")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.Dir, 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(s.Dir, 0o700) })
	lent(t, s)
}

func TestLockOutOfReach(t *testing.T) {
	s := newStore(t)
	have(t, s, "work", start)
	lock := filepath.Join(s.Dir, ".work.lock")
	if err := errors.Join(os.Remove(lock), os.Mkdir(lock, 0o700)); err != nil {
		t.Fatal(err)
	}
	lent(t, s)
}

// lent opens a session that cannot be locked: its words are there, and the file stays as it is.
func lent(t *testing.T, s Store) {
	t.Helper()
	before := content(t, s.path("work"))
	h, err := s.Open(t.Context(), "work", start, time.Hour)
	if !errors.Is(err, ErrUnavailable) || h == nil || len(h.Session().Turns) != 2 {
		t.Fatalf("got %v, %v", h, err)
	}
	defer h.Close()
	if err := errors.Join(h.Ask("a", start), h.Answer("b", "", "", start)); err != nil {
		t.Error(err)
	}
	if after := content(t, s.path("work")); after != before {
		t.Errorf("the file became %s", after)
	}
}

// A session grows no larger than what can be read again.
func TestFull(t *testing.T) {
	s := newStore(t)
	h := mustOpen(t, s, "work", start)
	defer h.Close()
	if err := h.Ask("small", start); err != nil {
		t.Fatal(err)
	}
	if h.limit != maxSize {
		t.Errorf("the limit is %d", h.limit)
	}
	h.limit = 1 << 20 // the real one takes a while
	err := h.Answer(strings.Repeat("x", h.limit), "", "", start)
	if err == nil || errors.Is(err, ErrUnavailable) || err.Error() != "session work is full: it would be larger than 1 MiB" {
		t.Errorf("got %v", err)
	}
	if got, err := s.Read("work"); err != nil || got.Pending != "small" || h.Session().Pending != "small" {
		t.Errorf("got %+v, %v", got, err)
	}
}

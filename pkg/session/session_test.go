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

	"ferry/pkg/text"
)

func TestConversation(t *testing.T) {
	s := newStore(t)
	h := mustOpen(t, s, "work", start)
	if _, err := s.Read("work"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a session that was never asked anything is on disk: %v", err)
	}
	h.Session().Nodes = "hongkong,singapore"
	later := start.Add(3 * time.Second)
	check(t, h.Ask("why <is> the sky blue?\n", nil, start))
	check(t, h.Answer("", "hongkong", "m1", later)) // an empty answer counts too
	token := h.Session().Token
	h.Close()
	h.Close() // has no effect
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
	got := h.Session()
	if got.Name != "work" || got.Token != token || !got.Started.Equal(start) || !got.Used.Equal(later) ||
		got.Nodes != "hongkong,singapore" || len(got.Turns) != 2 || got.Turns[0].Text != "why <is> the sky blue?\n" {
		t.Errorf("read back: %+v", got)
	}
	if err := h.Answer("x", "", "", later); err == nil {
		t.Error("an answer without a prompt was taken")
	}
	if err := h.Ask("", nil, later); err == nil {
		t.Error("an empty prompt was taken: Pending could not tell it from none")
	}
}

// TestPromptIsKept checks that a failed turn leaves its prompt, which the next prompt replaces.
func TestPromptIsKept(t *testing.T) {
	s := newStore(t)
	createSession(t, s, "work", start)
	h := mustOpen(t, s, "work", start)
	check(t, h.Ask("first", nil, start.Add(time.Second)))
	h.Close()
	h = mustOpen(t, s, "work", start.Add(2*time.Second))
	if got := h.Session(); got.Pending != "first" || len(got.Turns) != 2 {
		t.Fatalf("got %+v", got)
	}
	check(t, h.Answer("late", "n", "m", start.Add(3*time.Second))) // like --resend
	if got := h.Session().Turns[2]; got.Text != "first" || !got.At.Equal(start.Add(time.Second)) {
		t.Errorf("the prompt became %+v", got)
	}
	for _, prompt := range []string{"second", "third"} {
		check(t, h.Ask(prompt, nil, start))
	}
	got, err := s.Read("work")
	if err != nil || got.Pending != "third" || len(got.Turns) != 4 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestCrashKeepsThePrompt(t *testing.T) {
	s := newStore(t)
	child := testProcess(t, crashEnv+"="+s.Dir)
	stdin := must(child.StdinPipe())(t)
	defer stdin.Close()
	stdout := must(child.StdoutPipe())(t)
	check(t, child.Start())
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "asked\n" {
		t.Fatalf("the other process said %q, %v", line, err)
	}
	held, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Open(held, "work", start, time.Hour); err == nil || errors.Is(err, ErrUnavailable) {
		t.Errorf("the session of another process: %v", err)
	}
	check(t, child.Process.Kill())
	_ = child.Wait() // it was killed
	h := mustOpen(t, s, "work", start)
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
				err = testProcess(t, fmt.Sprintf("%s=%s\n%s\n%d", turnsEnv, s.Dir, name, each)).Run()
			} else {
				err = addTurns(t.Context(), s, name, each)
			}
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	wg.Wait()
	got := must(s.Read("shared"))(t)
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
	mustOpen(t, s, "work", start)
	why := errors.New("time over")
	ctx, cancel := context.WithCancelCause(t.Context())
	waiting := make(chan error)
	go func() {
		_, err := s.Open(ctx, "work", start, time.Hour)
		waiting <- err
	}()
	cancel(why)
	err := <-waiting
	if !errors.Is(err, why) || errors.Is(err, ErrUnavailable) || err.Error() != "conversation work is in use: time over" ||
		text.Hint(err) != "another ferry process is using it" {
		t.Errorf("got %v, hint %q", err, text.Hint(err))
	}
	mustOpen(t, s, "other", start) // only "work" is locked
}

func TestModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("mode bits say nothing on Windows")
	}
	s := newStore(t)
	createSession(t, s, "work", start)
	for path, want := range map[string]os.FileMode{
		filepath.Dir(s.Dir): 0o700, s.Dir: 0o700, s.path("work"): 0o600, filepath.Join(s.Dir, ".work.lock"): 0o600,
	} {
		info := must(os.Stat(path))(t)
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s: mode %04o, want %04o", path, got, want)
		}
	}
	entries, err := os.ReadDir(s.Dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("something was left behind: %v, %v", entries, err)
	}
}

// TestFull checks that a session does not grow larger than what can be read again.
func TestFull(t *testing.T) {
	s := newStore(t)
	h := mustOpen(t, s, "work", start)
	check(t, h.Ask("small", nil, start))
	if h.limit != maxSize {
		t.Errorf("the limit is %d", h.limit)
	}
	h.limit = 1 << 20 // the real limit would be slow
	err := h.Answer(strings.Repeat("x", h.limit), "", "", start)
	if err == nil || errors.Is(err, ErrUnavailable) || err.Error() != "conversation work is full: it would be larger than 1 MiB" {
		t.Errorf("got %v", err)
	}
	if got, err := s.Read("work"); err != nil || got.Pending != "small" || h.Session().Pending != "small" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestTokenIdle(t *testing.T) {
	const idle = 10 * time.Minute // of mustOpen
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
			token := createSession(t, s, "work", start).Token
			h := mustOpen(t, s, "work", start.Add(tt.after))
			got := h.Session()
			if fresh := got.Token != token; fresh != tt.fresh || !isToken(got.Token) || len(got.Turns) != 2 {
				t.Errorf("token %s after %s, %d turns; want a new one: %v", got.Token, token, len(got.Turns), tt.fresh)
			}
			check(t, h.Ask("x", nil, start))
			if kept, err := s.Read("work"); err != nil || kept.Token != got.Token {
				t.Errorf("the file has %v, %v", kept, err)
			}
		})
	}
}

// TestTokenForm checks that a token edited by hand is replaced, because it is sent in a header.
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
	token := createSession(t, s, "work", start).Token
	path := filepath.Join(s.Dir, "work.json")
	write(t, path, strings.Replace(content(t, path), token, `x\r\nX-Bad: 1`, 1))
	h := mustOpen(t, s, "work", start)
	if !isToken(h.Session().Token) {
		t.Errorf("token %q", h.Session().Token)
	}
}

func TestIdleAdvised(t *testing.T) {
	for seconds, want := range map[int]bool{0: false, 299: false, 300: true, 450: true, 600: true, 601: false, 7200: false} {
		if got := IdleAdvised(time.Duration(seconds) * time.Second); got != want {
			t.Errorf("%d s: %t", seconds, got)
		}
	}
}

package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	turnsEnv = "FERRY_TEST_TURNS" // DIR, writer and number of turns, separated by newlines
	crashEnv = "FERRY_TEST_CRASH" // DIR
)

// TestMain lets the test binary act as another ferry process if a test needs one.
func TestMain(m *testing.M) {
	var err error
	if task := os.Getenv(turnsEnv); task != "" {
		part := strings.Split(task, "\n")
		var n int
		if n, err = strconv.Atoi(part[2]); err == nil {
			err = addTurns(context.Background(), Store{part[0]}, part[1], n)
		}
	} else if dir := os.Getenv(crashEnv); dir != "" {
		err = askAndWait(dir)
	} else {
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// start is the start time of the tests.
var start = time.Date(2026, 11, 23, 15, 2, 4, 5_000_000, time.UTC)

// addTurns adds n turns to the session "shared", one after the other.
func addTurns(ctx context.Context, s Store, who string, n int) error {
	for i := range n {
		h, err := s.Open(ctx, "shared", start, time.Hour)
		if err != nil {
			return err
		}
		word := fmt.Sprintf("%s %d", who, i)
		err = errors.Join(h.Ask("ask "+word, nil, start), h.Answer("answer "+word, "node", "model", start))
		h.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// askAndWait stores a prompt, prints "asked", and waits to be killed.
func askAndWait(dir string) error {
	h, err := Store{dir}.Open(context.Background(), "work", start, time.Hour)
	if err != nil {
		return err
	}
	if err := h.Ask("do not lose me", nil, start); err != nil {
		return err
	}
	fmt.Println("asked")
	_, _ = os.Stdin.Read(make([]byte, 1))
	return errors.New("was not killed")
}

// testProcess returns the test binary as another process.
func testProcess(t *testing.T, env string) *exec.Cmd {
	t.Helper()
	child := exec.CommandContext(t.Context(), must(os.Executable())(t))
	child.Env = append(os.Environ(), env)
	child.Stderr = os.Stderr
	return child
}

func newStore(t *testing.T) Store {
	t.Helper()
	return Store{filepath.Join(t.TempDir(), "state", "sessions")}
}

// mustOpen opens a session until the end of the test, or until it is closed.
func mustOpen(t *testing.T, s Store, name string, now time.Time) *Handle {
	t.Helper()
	h := must(s.Open(t.Context(), name, now, 10*time.Minute))(t)
	t.Cleanup(h.Close)
	return h
}

// createSession creates a session with one turn.
func createSession(t *testing.T, s Store, name string, now time.Time) *Session {
	t.Helper()
	h := mustOpen(t, s, name, now)
	defer h.Close()
	check(t, errors.Join(h.Ask("ask "+name, nil, now), h.Answer("answer "+name, "hongkong", "m1", now)))
	return h.Session()
}

func write(t *testing.T, path, text string) {
	t.Helper()
	check(t, errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)))
}

func content(t *testing.T, path string) string {
	t.Helper()
	return string(must(os.ReadFile(path))(t))
}

// check fails the test if there is an error. must returns the value of a call without an error.
func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		check(t, err)
		return value
	}
}

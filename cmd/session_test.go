package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ferry/pkg/session"

	"github.com/spf13/cobra"
)

// stillClock stands at one moment, in a zone of its own.
type stillClock struct{ time.Time }

func (c stillClock) Now() time.Time                           { return c.Time }
func (stillClock) Sleep(context.Context, time.Duration) error { return nil }

// sessionNow is when the tests of this file happen.
var sessionNow = time.Date(2026, 11, 23, 23, 2, 4, 0, time.FixedZone("", 8*60*60))

func sessionStore(home string) session.Store {
	return session.Store{Dir: filepath.Join(home, "ferry", "sessions")}
}

// runSession runs ferry config session on its own.
func runSession(t *testing.T, home string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	env := SystemEnv()
	env.Stdin, env.Stdout, env.Stderr = strings.NewReader(""), &out, &errs
	env.Lookup = sessionLookup(home)
	env.Clock = stillClock{sessionNow}
	a := newApp(env)
	root := &cobra.Command{Use: "ferry", SilenceErrors: true, SilenceUsage: true}
	root.SetFlagErrorFunc(flagError)
	config := &cobra.Command{Use: "config"}
	config.AddCommand(newConfigSessionCmd(a))
	root.AddCommand(config)
	root.SetArgs(append([]string{"config", "session"}, args...))
	root.SetOut(&out)
	root.SetErr(&errs)
	code = a.exit(root.ExecuteContext(t.Context()))
	return code, out.String(), errs.String()
}

func sessionLookup(home string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		if home != "" && (name == "XDG_STATE_HOME" || name == "LocalAppData") {
			return home, true
		}
		return "", false
	}
}

// keep makes a session with the turns given as prompt, answer, prompt, answer … and perhaps a last prompt.
func keep(t *testing.T, home, name string, at time.Time, words ...string) {
	t.Helper()
	h, err := sessionStore(home).Open(t.Context(), name, at, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	h.Session().Nodes = "hongkong,qwen"
	for i, text := range words {
		if i%2 == 0 {
			err = h.Ask(text, at)
		} else {
			err = h.Answer(text, "hongkong", "claude-haiku-5-5", at.Add(3*time.Second))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestSessionCommands(t *testing.T) {
	home := t.TempDir()
	expect := func(code int, stdout, stderr string, args ...string) {
		t.Helper()
		gotCode, gotOut, gotErr := runSession(t, home, args...)
		if gotCode != code || gotOut != stdout || gotErr != stderr {
			t.Errorf("%q: exit code %d\n%s---\n%s\nwant %d\n%s---\n%s", args, gotCode, gotOut, gotErr, code, stdout, stderr)
		}
	}
	expect(0, "", "ferry: there are no sessions; ferry ask --session NAME begins one\n", "list")
	expect(0, "", "ferry: nothing to remove\n", "prune", "--older-than", "7d")
	keep(t, home, "work", sessionNow, "why is the sky blue?\n", "Because \x1b[1mof\n\nRayleigh.\n\n", "and red?")
	keep(t, home, "旅行", sessionNow.Add(-8*24*time.Hour), "where to?", "Singapore.")
	keep(t, home, "old", sessionNow.Add(-30*24*time.Hour), "a", "b")
	expect(0, ""+
		"session  used                 turns  nodes\n"+
		"work     2026-11-23 23:02:04  2      hongkong,qwen  the last prompt has no answer\n"+
		"旅行     2026-11-15 23:02:07  2      hongkong,qwen\n"+
		"old      2026-10-24 23:02:07  2      hongkong,qwen\n", "", "list")
	expect(0, ""+
		"user · 2026-11-23 23:02:04\nwhy is the sky blue?\n\n"+
		"assistant · 2026-11-23 23:02:07 · hongkong · claude-haiku-5-5\nBecause \x1b[1mof\n\nRayleigh.\n\n"+
		"user · 2026-11-23 23:02:04 · no answer yet\nand red?\n", "", "show", "work")
	expect(2, "", "Error: there is no session nobody\nhint: ferry config session list shows them\n", "show", "nobody")
	expect(2, "", "Error: invalid --output \"raw\": use one of text, json\n", "show", "work", "-o", "raw")
	expect(2, "", "Error: ferry config session show needs a session's name\nhint: ferry config session show --help shows an example\n", "show")
	expect(2, "", "Error: there is no session nobody\nhint: ferry config session list shows them\n", "rm", "work", "nobody")
	expect(2, "", "Error: \"../x\" cannot name a session: it begins with .\n"+
		"hint: letters, digits, - _ and . make a name, up to 64 bytes\n", "rm", "../x")
	expect(2, "", "Error: ferry config session rm needs the names of sessions\nhint: ferry config session list shows them\n", "rm")
	expect(2, "", "Error: --older-than has to say how old\nhint: ferry config session prune --older-than 7d\n", "prune")
	expect(2, "", "Error: invalid --older-than \"soon\": use a duration above 0, such as 7d, 36h or 1d12h\n",
		"prune", "--older-than", "soon")
	expect(2, "", "Error: there is no command \"remove\" of config session\nhint: ferry config session --help lists them\n", "remove")
	expect(0, "", "ferry: removed 2 sessions: 旅行, old\n", "prune", "--older-than", "7d")
	expect(0, "", "ferry: removed 1 session: work\n", "rm", "work")
	expect(0, "", "ferry: there are no sessions; ferry ask --session NAME begins one\n", "list")
}

func TestSessionShowJSON(t *testing.T) {
	home := t.TempDir()
	keep(t, home, "work", sessionNow, "a <b>", "c")
	code, stdout, stderr := runSession(t, home, "show", "work", "-o", "json")
	if code != 0 || stderr != "" || strings.Count(stdout, "\n") != 1 || !strings.HasPrefix(stdout, `{"schema":1,"name":"work",`) {
		t.Fatalf("exit code %d, %s---\n%s", code, stdout, stderr)
	}
	file, err := os.ReadFile(filepath.Join(sessionStore(home).Dir, "work.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := json.Compact(&want, file); err != nil {
		t.Fatal(err)
	}
	if want.WriteByte('\n'); stdout != want.String() {
		t.Errorf("printed %s, the file holds %s", stdout, &want)
	}
}

// A damaged file is in the list, is named by what fails on it, and can be removed.
func TestSessionDamaged(t *testing.T) {
	home := t.TempDir()
	keep(t, home, "good", sessionNow, "a", "b")
	path := filepath.Join(sessionStore(home).Dir, "bad.json")
	old := sessionNow.Add(-time.Hour)
	if err := errors.Join(os.WriteFile(path, []byte(`{"schema":1`), 0o600), os.Chtimes(path, old, old)); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := runSession(t, home, "list")
	if code != 0 || stderr != "" || !strings.HasSuffix(stdout, "bad      2026-11-23 22:02:04                        cannot be read\n") {
		t.Errorf("list: exit code %d\n%s---\n%s", code, stdout, stderr)
	}
	wrong := "Error: " + path + ": is damaged: unexpected end of JSON input (byte 11)\n" +
		"hint: ferry leaves the file alone; ferry config session rm bad takes it away\n"
	for _, args := range [][]string{{"show", "bad"}, {"prune", "--older-than", "7d"}} {
		if code, stdout, stderr := runSession(t, home, args...); code != 2 || stdout != "" || stderr != wrong {
			t.Errorf("%q: exit code %d, %s---\n%s", args, code, stdout, stderr)
		}
	}
	if code, _, stderr := runSession(t, home, "rm", "bad"); code != 0 || stderr != "ferry: removed 1 session: bad\n" {
		t.Errorf("rm: exit code %d, %s", code, stderr)
	}
}

func TestSessionNoFolder(t *testing.T) {
	if code, _, stderr := runSession(t, "", "list"); code != 2 || !strings.HasPrefix(stderr, "Error: no place to keep anything: ") {
		t.Errorf("no home: exit code %d, %s", code, stderr)
	}
	home := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(home, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"list"}, {"show", "work"}, {"rm", "work"}, {"prune", "--older-than", "7d"}} {
		code, _, stderr := runSession(t, home, args...)
		if code != 2 || !strings.HasPrefix(stderr, "Error: the folder of the sessions cannot be used: ") {
			t.Errorf("%q: exit code %d, %s", args, code, stderr)
		}
	}
}

func TestSessionCompletion(t *testing.T) {
	home := t.TempDir()
	a := newApp(Env{Lookup: sessionLookup(home)})
	for _, name := range []string{"b", "a"} {
		keep(t, home, name, sessionNow, "x")
	}
	for _, tt := range []struct {
		offer cobra.CompletionFunc
		typed []string
		want  string
	}{
		{offer(1, a.sessionNames), nil, "a b"},
		{offer(1, a.sessionNames), []string{"a"}, ""},
		{offer(9, a.sessionNames), nil, "a b"},
		{offer(9, a.sessionNames), []string{"a"}, "b"},
	} {
		names, directive := tt.offer(nil, tt.typed, "")
		if got := strings.Join(names, " "); got != tt.want || directive != cobra.ShellCompDirectiveNoFileComp {
			t.Errorf("after %q: %q, %v; want %q", tt.typed, got, directive, tt.want)
		}
	}
	lost := newApp(Env{Lookup: sessionLookup("")})
	if names, _ := offer(9, lost.sessionNames)(nil, nil, ""); len(names) != 0 {
		t.Errorf("no home: %q", names)
	}
}

func TestParseAge(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"7d": 7 * day, "1d12h": day + 12*time.Hour, "36h": 36 * time.Hour, "90m": 90 * time.Minute, "1.5h": 90 * time.Minute,
		"65535d": 65535 * day, "0d1s": time.Second,
	} {
		if got, ok := parseAge(text); !ok || got != want {
			t.Errorf("%s: %v, %v; want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "0", "0s", "0d", "d", "7", "-7d", "-1h", "1d-1h", "7d7d", "1.5d", "1h7d", "65536d", "7 d",
		"65535d2562047h", "7w", "soon"} {
		if got, ok := parseAge(text); ok {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestStateDir(t *testing.T) {
	root := t.TempDir() // absolute wherever the test runs
	tests := []struct {
		name, goos string
		env        map[string]string
		want       string
	}{
		{"xdg", "linux", map[string]string{"XDG_STATE_HOME": root, "HOME": "/h"}, filepath.Join(root, "ferry")},
		{"home", "linux", map[string]string{"HOME": root}, filepath.Join(root, ".local", "state", "ferry")},
		{"relative xdg", "darwin", map[string]string{"XDG_STATE_HOME": "x", "HOME": root},
			filepath.Join(root, ".local", "state", "ferry")},
		{"none", "linux", nil, ""},
		{"windows", "windows", map[string]string{"LocalAppData": root, "HOME": "/h"}, filepath.Join(root, "ferry")},
		{"windows without", "windows", map[string]string{"HOME": "/h"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := stateDirOn(tt.goos, func(name string) string { return tt.env[name] })
			if got != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

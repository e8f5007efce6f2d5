package cmd_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ferry/cmd"
	"ferry/pkg/session"

	"github.com/spf13/cobra"
)

// TestCheckPrintsAsItGoes expects what is known to be printed before the next request is sent.
func TestCheckPrintsAsItGoes(t *testing.T) {
	var out, errs bytes.Buffer
	var seen []string
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, out.String())
		fmt.Fprint(w, `{"data":[]}`)
	})).URL
	env := withConfig(t, fmt.Sprintf("nodes:\n  one: {url: %q, key: \"env:NODE_KEY\"}\n  two: {url: %q, key: \"env:NODE_KEY\"}\n", url, url), nil)
	equal(t, "exit code", cmd.Run(t.Context(), []string{"config", "check"}, testEnv(env, &out, &errs)), 0)
	for i, want := range [][2]string{{"✓ key", "address"}, {"✓ address", "models"}, {"two  http", "two  http\n  ✓ address"}, {"– TLS", "nothing"}} {
		fatalIf(t, i >= len(seen) || !strings.Contains(seen[i], want[0]) || strings.Contains(seen[i], want[1]),
			"%d requests; at number %d there was %q, want %q and not yet %q", len(seen), i+1, seen, want[0], want[1])
	}
	errorIf(t, len(seen) != 4 || strings.Count(seen[2], "✓ key") != 2,
		"%d requests, want 4; at the third there was %q, want two keys in it", len(seen), seen)
}

// TestCheckTimeout has config check ask a node that takes a request and says nothing. The time is the bubble's.
func TestCheckTimeout(t *testing.T) {
	for timeout, args := range map[string][]string{"30s": nil, "2s": {"--timeout", "2s"}} {
		synctest.Test(t, func(t *testing.T) {
			ferry(t, nil, append([]string{"config", "check", "demo:?stall"}, args...)...).want(1, "within the timeout of "+timeout, "")
		})
	}
}

// TestNamedConfigIsThere runs every command with a FERRY_CONFIG that names no file: but for those that make the file, or
// read no settings, each is exit 2, names the file and leaves nothing behind. A misspelt name would take the filter and the
// audit log away in silence.
func TestNamedConfigIsThere(t *testing.T) {
	args := map[string][]string{
		"config get": {"timeout"}, "config unset": {"timeout"}, "config key": {"direct"}, "config pin": {"direct"}, "config purge": {"--yes", "--audit"},
		"config session show": {"s"}, "config session rm": {"s"}, "config token new": {"dev"}, "config token revoke": {"x"}, "config hold run": {"n"},
		"ask": {"-n", "demo", "hello"}, "stream": {"-n", "demo", "hello"}, "bench": {"demo"}, "bench report": {"x.json"}, "bench compare": {"x", "y"},
	}
	exempt := []string{"config", "config add", "config init", "config set", "demo", "version", "completion", "help"}
	var walk func(c *cobra.Command)
	walked := 0
	walk = func(c *cobra.Command) {
		for _, child := range c.Commands() {
			walk(child)
		}
		name := strings.TrimPrefix(strings.TrimPrefix(c.CommandPath(), "ferry"), " ")
		if name == "" || slices.Contains(exempt, name) || !c.Runnable() || c.IsAdditionalHelpTopicCommand() ||
			strings.HasPrefix(name, "completion ") || c.Parent().Name() == "ferry" && !slices.Contains([]string{"ask", "stream", "bench"}, name) {
			return
		}
		walked++
		dir := t.TempDir()
		path := filepath.Join(dir, "misspelt", "config.yaml")
		env := map[string]string{"FERRY_CONFIG": path, "HOME": dir, "ANTHROPIC_API_KEY": canaryKey}
		r := ferry(t, env, append(strings.Fields(name), args[name]...)...)
		r.want(2, "", "Error: FERRY_CONFIG: there is no file "+path+"\nhint: correct the path, or unset FERRY_CONFIG")
		equal(t, name+" prints", r.stdout, map[string]string{"config path": path + "\n"}[name])
		left, _ := os.ReadDir(dir)
		equal(t, name+" leaves files behind", len(left), 0)
	}
	walk(cmd.Commands())
	atLeast(t, "commands that were run", walked, 20)
}

// TestNamedConfigIsMade holds what needs no file: what makes one, and what reads none.
func TestNamedConfigIsMade(t *testing.T) {
	for _, args := range [][]string{
		{"config", "init"}, {"config", "set", "timeout", "1m"}, {"config", "add"}, {"config"}, {"config", "--help"}, {"ask", "--help"}, {"version"}, {},
		{"help", "environment"}, {"completion", "bash"}, {"__complete", "ask", "-n", ""}, {"__complete", "config", "get", ""}, {"__complete", "config", "key", ""},
	} {
		dir := t.TempDir()
		r := ferry(t, map[string]string{"FERRY_CONFIG": filepath.Join(dir, "new", "config.yaml"), "HOME": dir}, args...).want(0, "", "")
		lacks(t, strings.Join(args, " "), r.stderr, "there is no file")
	}
}

// TestNoStore expects that no file of the home is made, changed, touched or removed with --no-store.
func TestNoStore(t *testing.T) {
	home := t.TempDir()
	env := map[string]string{"HOME": home, "FERRY_LIMIT": "600/min burst 100"}
	calls := [][]string{
		{"ask", "-n", "demo", "hello"}, {"stream", "-n", "demo", "hello"}, {"bench", "-r", "3", "demo"},
		{"ask", "-n", "demo:?status=503,200", "hello"},
	}
	unstored := func() {
		t.Helper()
		before := tree(t, home)
		for _, args := range calls {
			ferry(t, env, append([]string{args[0], "--no-store"}, args[1:]...)...).must()
		}
		ferry(t, env, "ask", "--no-store", "-n", "demo:?status=401", "hello").want(1, "", "")
		ferry(t, env, "stream", "--no-store", "-n", "demo:?truncate", "hello").want(1, "", "")
		equal(t, "the home", tree(t, home), before)
	}
	ferry(t, env, "config", "set", "budget", "100000 tokens/day").must()
	unstored() // in a home that has nothing yet
	before := tree(t, home)
	for _, args := range calls {
		ferry(t, env, args...).must()
	}
	ferry(t, env, "ask", "-n", "demo", "--session", "kept", "hello").must()
	fatalIf(t, fmt.Sprint(before) == fmt.Sprint(tree(t, home)),
		"nothing is left behind without --no-store: this test looks at the wrong place")
	unstored()
	ferry(t, env, "config", "purge", "--yes").must()
	for path := range tree(t, filepath.Join(home, ".local")) {
		errorIf(t, filepath.Base(path) != "state" && filepath.Base(path) != ".local",
			"after a purge there is %s, want nothing but folders", path)
	}
}

// tree describes every file and folder: mode, time of change and content.
func tree(t *testing.T, top string) map[string]string {
	t.Helper()
	all := map[string]string{}
	check(t, filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		all[path] = fmt.Sprint(info.Mode(), info.ModTime())
		if info.Mode().IsRegular() {
			all[path] += fmt.Sprintf(" %x", sha256.Sum256([]byte(read(t, path))))
		}
		return nil
	}))
	return all
}

// stillClock stands at one moment, in a zone of its own.
type stillClock struct{ time.Time }

func (c stillClock) Now() time.Time                           { return c.Time }
func (stillClock) Sleep(context.Context, time.Duration) error { return nil }

// sessionNow is when the tests of this file happen.
var sessionNow = time.Date(2026, 11, 23, 23, 2, 4, 0, time.FixedZone("", 8*60*60))

// sessions is a home with conversations.
type sessions struct {
	t    *testing.T
	vars map[string]string
	dir  string
}

func newSessions(t *testing.T) sessions {
	home := t.TempDir()
	return sessions{t, map[string]string{"XDG_STATE_HOME": home, "LocalAppData": home}, filepath.Join(home, "ferry", "sessions")}
}

// run runs ferry config session.
func (s sessions) run(args ...string) result {
	s.t.Helper()
	return ferryIn(s.t, s.vars, func(e *cmd.Env) { e.Clock = stillClock{sessionNow} }, append([]string{"config", "session"}, args...)...)
}

// keep makes a session with the turns given as prompt, answer, prompt, answer … and perhaps a last prompt.
func (s sessions) keep(name string, at time.Time, words ...string) {
	s.t.Helper()
	h, err := session.Store{Dir: s.dir}.Open(s.t.Context(), name, at, time.Hour)
	check(s.t, err)
	defer h.Close()
	h.Session().Nodes = "hongkong,qwen"
	for i, text := range words {
		if i%2 == 0 {
			check(s.t, h.Ask(text, nil, at))
		} else {
			check(s.t, h.Answer(text, "hongkong", "claude-haiku-5-5", at.Add(3*time.Second)))
		}
	}
}

func TestSessionCommands(t *testing.T) {
	s := newSessions(t)
	expect := func(code int, stdout, stderr string, args ...string) {
		t.Helper()
		s.run(args...).exactly(code, stdout, stderr)
	}
	expect(0, "", "ferry: there are no sessions; ferry ask --session NAME begins one\n", "list")
	expect(0, "", "ferry: nothing to remove\n", "prune", "--older-than", "7d")
	s.keep("work", sessionNow, "why is the sky blue?\n", "Because \x1b[1mof\n\nRayleigh.\n\n", "and red?")
	s.keep("旅行", sessionNow.Add(-8*24*time.Hour), "where to?", "Singapore.")
	s.keep("old", sessionNow.Add(-30*24*time.Hour), "a", "b")
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
	expect(2, "", "Error: there is no command \"remove\" of config session; did you mean ferry config session rm?\n"+
		"hint: ferry config session --help lists the commands\n", "remove")
	expect(0, "", "ferry: removed 2 sessions: 旅行, old\n", "prune", "--older-than", "7d")
	expect(0, "", "ferry: removed 1 session: work\n", "rm", "work")
	expect(0, "", "ferry: there are no sessions; ferry ask --session NAME begins one\n", "list")
}

func TestSessionShowJSON(t *testing.T) {
	s := newSessions(t)
	s.keep("work", sessionNow, "a <b>", "c")
	var want bytes.Buffer
	check(t, json.Compact(&want, []byte(read(t, filepath.Join(s.dir, "work.json")))))
	want.WriteByte('\n')
	contains(t, "the file", want.String(), `{"schema":1,"name":"work",`)
	s.run("show", "work", "-o", "json").exactly(0, want.String(), "")
}

// A damaged file is in the list, is named by what fails on it, and can be removed.
func TestSessionDamaged(t *testing.T) {
	s := newSessions(t)
	s.keep("good", sessionNow, "a", "b")
	path := filepath.Join(s.dir, "bad.json")
	old := sessionNow.Add(-time.Hour)
	check(t, errors.Join(os.WriteFile(path, []byte(`{"schema":1`), 0o600), os.Chtimes(path, old, old)))
	s.run("list").want(0, "bad      2026-11-23 22:02:04                        cannot be read\n", "")
	wrong := "Error: " + path + ": is damaged: unexpected end of JSON input (byte 11)\n" +
		"hint: ferry leaves the file alone; ferry config session rm bad takes it away\n"
	s.run("show", "bad").exactly(2, "", wrong)
	s.run("prune", "--older-than", "7d").exactly(2, "", wrong)
	s.run("rm", "bad").exactly(0, "", "ferry: removed 1 session: bad\n")
}

func TestSessionNoFolder(t *testing.T) {
	s := newSessions(t)
	home := filepath.Join(t.TempDir(), "file")
	write(t, home, "")
	s.vars = map[string]string{"XDG_STATE_HOME": home, "LocalAppData": home}
	for _, args := range [][]string{{"list"}, {"show", "work"}, {"rm", "work"}, {"prune", "--older-than", "7d"}} {
		s.run(args...).fails(2, "Error: the folder of the sessions cannot be used: ")
	}
	s.vars = nil
	s.run("list").fails(2, "Error: no place to keep anything: ")
}

func TestSessionCompletion(t *testing.T) {
	s := newSessions(t)
	s.keep("b", sessionNow, "x")
	s.keep("a", sessionNow, "x")
	for typed, want := range map[string]string{"show": "a b", "show a": "", "rm": "a b", "rm a": "b"} {
		r := ferry(t, s.vars, append(append([]string{"__complete", "config", "session"}, strings.Fields(typed)...), "")...)
		names, _, _ := strings.Cut(r.want(0, ":4\n", "ShellCompDirectiveNoFileComp").stdout, ":4")
		equal(t, typed, strings.Join(strings.Fields(names), " "), want)
	}
	ferry(t, nil, "__complete", "config", "session", "rm", "").
		exactly(0, ":4\n", "Completion ended with directive: ShellCompDirectiveNoFileComp\n")
}

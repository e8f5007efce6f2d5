package cmd_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"ferry/cmd"

	"github.com/spf13/cobra"
)

// TestCheckPrintsAsItGoes holds config check to a line as each answer comes: what is known stands there when the next
// request arrives.
func TestCheckPrintsAsItGoes(t *testing.T) {
	var out, errs bytes.Buffer
	var seen []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, out.String())
		fmt.Fprint(w, `{"data":[]}`)
	}))
	defer server.Close()
	config := fmt.Sprintf("nodes:\n  one: {url: %q, key: \"env:NODE_KEY\"}\n  two: {url: %q, key: \"env:NODE_KEY\"}\n", server.URL, server.URL)
	env := withConfig(t, config, nil)
	env["NODE_KEY"] = canaryHeader
	if code := cmd.Run(t.Context(), []string{"config", "check"}, testEnv(env, &out, &errs)); code != 0 {
		t.Fatalf("exit code %d: %s", code, &errs)
	}
	for i, want := range [][2]string{{"✓ key", "address"}, {"✓ address", "models"}, {"two  http", "two  http\n  ✓ address"}, {"– TLS", "nothing"}} {
		if i >= len(seen) || !strings.Contains(seen[i], want[0]) || strings.Contains(seen[i], want[1]) {
			t.Fatalf("%d requests; at number %d there was %q, want %q and not yet %q", len(seen), i+1, seen, want[0], want[1])
		}
	}
	if len(seen) != 4 || strings.Count(seen[2], "✓ key") != 2 {
		t.Errorf("%d requests; at the third there was %q", len(seen), seen)
	}
}

// TestCheckTimeout holds config check to its 30 s for a node that takes a request and says nothing. The time is the
// bubble's.
func TestCheckTimeout(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "within the timeout of 30s"}, {[]string{"--timeout", "2s"}, "within the timeout of 2s"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var out, errs bytes.Buffer
			env := testEnv(nil, &out, &errs)
			code := cmd.Run(t.Context(), append([]string{"config", "check", "demo:?stall"}, test.args...), env)
			if code != 1 || !strings.Contains(out.String(), test.want) {
				t.Errorf("%v: exit code %d, %q %s", test.args, code, &out, &errs)
			}
		})
	}
}

// TestCheckFalseGateway looks at gateways that do not keep what one of ferry's promises, one promise each.
func TestCheckFalseGateway(t *testing.T) {
	for _, tt := range []struct {
		name          string
		floor         uint16
		health, guess int
		want          string
	}{
		{"unwell", tls.VersionTLS13, 503, 401, "✗ gateway  /healthz answers with status 503"},
		{"old TLS", tls.VersionTLS12, 200, 401, "✗ floor    TLS 1.2 is taken"},
		{"open to all", tls.VersionTLS13, 200, 200, "✗ guard    a made-up token gets status 200, not 401"},
		{"limited", tls.VersionTLS13, 200, 429, "– guard    not seen"},
		{"fine", tls.VersionTLS13, 200, 401, "✓ guard"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Ferry-Gateway", "1")
				switch {
				case r.URL.Path == "/healthz":
					w.WriteHeader(tt.health)
					_, _ = io.WriteString(w, `{"status":"ok"}`)
				case r.Header.Get("X-Api-Key") != "callers-token":
					w.WriteHeader(tt.guess)
				default: // the role may not list models
					w.WriteHeader(http.StatusForbidden)
				}
			}))
			server.TLS = &tls.Config{MinVersion: tt.floor}
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.StartTLS()
			t.Cleanup(server.Close)
			dir := t.TempDir()
			ca, config := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "config.yaml")
			trusted := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
			text := fmt.Sprintf("nodes: {team: {url: %q, key: \"env:TOKEN\", tls: {ca: %q}, proxy: none}}\n", server.URL+"/api", ca)
			for path, content := range map[string]string{ca: string(trusted), config: text} {
				write(t, path, content)
			}
			env := map[string]string{"FERRY_CONFIG": config, "TOKEN": "callers-token"}
			code, stdout, stderr := run(t, env, "config", "check", "team")
			if !strings.Contains(stdout, tt.want) || (code == 1) != strings.Contains(tt.want, "✗") {
				t.Errorf("exit code %d, want %q in:\n%s%s", code, tt.want, stdout, stderr)
			}
			if !strings.Contains(stdout, "– models   the gateway knows the token, whose role may not list models") {
				t.Errorf("no word of the role in:\n%s", stdout)
			}
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
	exempt := []string{"config", "config init", "config set", "demo", "version", "completion", "help"}
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
		code, stdout, stderr := run(t, env, append(strings.Fields(name), args[name]...)...)
		if want := "Error: FERRY_CONFIG: there is no file " + path + "\nhint: correct the path, or unset FERRY_CONFIG"; code != 2 || !strings.HasPrefix(stderr, want) {
			t.Errorf("%s: exit code %d, want 2 with %q\n%s", name, code, want, stderr)
		}
		if name != "config path" && stdout != "" || name == "config path" && stdout != path+"\n" {
			t.Errorf("%s prints %q", name, stdout)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%s leaves %v behind", name, left)
		}
	}
	walk(cmd.Commands())
	if walked < 20 {
		t.Errorf("%d commands were run", walked)
	}
}

// TestNamedConfigIsMade holds what needs no file: what makes one, and what reads none.
func TestNamedConfigIsMade(t *testing.T) {
	for _, args := range [][]string{
		{"config", "init"}, {"config", "set", "timeout", "1m"}, {"config"}, {"config", "--help"}, {"ask", "--help"}, {"version"}, {},
		{"help", "environment"}, {"completion", "bash"}, {"__complete", "ask", "-n", ""}, {"__complete", "config", "get", ""}, {"__complete", "config", "key", ""},
	} {
		dir := t.TempDir()
		env := map[string]string{"FERRY_CONFIG": filepath.Join(dir, "new", "config.yaml"), "HOME": dir}
		code, stdout, stderr := run(t, env, args...)
		if code != 0 || strings.Contains(stderr, "there is no file") {
			t.Errorf("%v: exit code %d\n%s%s", args, code, stdout, stderr)
		}
	}
}

// TestNoStore holds --no-store to its word: with a limit and a budget, after calls that did leave something, no file of
// the whole home is made, changed, touched or removed.
func TestNoStore(t *testing.T) {
	home := t.TempDir()
	env := map[string]string{"HOME": home, "FERRY_LIMIT": "600/min burst 100"}
	do := func(want int, args ...string) {
		t.Helper()
		if code, _, stderr := run(t, env, args...); code != want {
			t.Fatalf("%v: exit code %d: %s", args, code, stderr)
		}
	}
	calls := [][]string{
		{"ask", "-n", "demo", "hello"}, {"stream", "-n", "demo", "hello"}, {"bench", "-r", "3", "demo"},
		{"ask", "-n", "demo:?status=503,200", "hello"},
	}
	unstored := func() {
		t.Helper()
		before := tree(t, home)
		for _, args := range calls {
			do(0, append([]string{args[0], "--no-store"}, args[1:]...)...)
		}
		do(1, "ask", "--no-store", "-n", "demo:?status=401", "hello")
		do(1, "stream", "--no-store", "-n", "demo:?truncate", "hello")
		if after := tree(t, home); !maps.Equal(before, after) {
			t.Errorf("before %v\nafter  %v", before, after)
		}
	}
	do(0, "config", "set", "budget", "100000 tokens/day")
	unstored() // in a home that has nothing yet
	before := tree(t, home)
	for _, args := range calls {
		do(0, args...)
	}
	do(0, "ask", "-n", "demo", "--session", "kept", "hello")
	if maps.Equal(before, tree(t, home)) {
		t.Fatal("nothing is left behind without --no-store: this test looks at the wrong place")
	}
	unstored()

	do(0, "config", "purge", "--yes")
	for path := range tree(t, filepath.Join(home, ".local")) {
		if filepath.Base(path) != "state" && filepath.Base(path) != ".local" {
			t.Errorf("%s is left after a purge", path)
		}
	}
}

// tree describes every file and folder: mode, time of change and content.
func tree(t *testing.T, top string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		all[path] = fmt.Sprint(info.Mode(), info.ModTime())
		if !info.Mode().IsRegular() {
			return nil
		}
		content, err := os.ReadFile(path)
		all[path] += fmt.Sprintf(" %x", sha256.Sum256(content))
		return err
	})
	check(t, err)
	return all
}

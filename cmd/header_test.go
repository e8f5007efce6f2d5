//go:build !windows

package cmd_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ferry/pkg/demo"
)

// TestBasicAsTheReadmeSays sends a user and a password as the README's row for curl's -u has it: the shell makes the
// variable, the node names it.
func TestBasicAsTheReadmeSays(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		needed(t, "sh, to run the README's line")
	}
	readme, err := os.ReadFile(filepath.Join(checkout, "README.md"))
	check(t, err)
	row := regexp.MustCompile("(?m)^\\| `-u user:password` .*$").FindString(string(readme))
	parts := regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row, -1)
	if len(parts) < 4 || !strings.HasPrefix(parts[3][1], "export BASIC=") {
		t.Fatalf("the row is not as this test reads it: %s", row)
	}
	auth, headers, export := parts[1][1], parts[2][1], strings.ReplaceAll(parts[3][1], `\|`, "|")
	made, err := exec.Command(shell, "-c", export+`; printf %s "$BASIC"`).Output()
	check(t, err)
	var user, password string
	node := demo.New(demo.Options{})
	defer node.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ = r.BasicAuth()
		r.Header.Set("X-Api-Key", "for the demo node")
		node.ServeHTTP(w, r)
	}))
	defer server.Close()
	path := filepath.Join(t.TempDir(), "config.yaml")
	text := "nodes: {n: {url: " + server.URL + ", " + auth + ", " + headers + "}}\n"
	write(t, path, text)
	env := map[string]string{"FERRY_CONFIG": path, "HOME": t.TempDir(), "BASIC": string(made) + "\n"}
	code, stdout, stderr := run(t, env, "ask", "-v", "-n", "n", "--no-stdin", "hello")
	if code != 0 || user != "user" || password != "password" || stdout == "" {
		t.Errorf("exit code %d, %q and %q arrived\n%s", code, user, password, stderr)
	}
	_, encoded, _ := strings.Cut(string(made), " ")
	if encoded == "" || strings.Contains(stdout+stderr, encoded) {
		t.Errorf("the password is shown:\n%s", stderr)
	}
}

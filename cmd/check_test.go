package cmd_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"ferry/cmd"
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

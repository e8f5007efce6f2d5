package cmd_test

import (
	"testing"

	"ferry/pkg/hold"
)

// TestNoHolders checks that without holders the flag is refused, the file's setting gets a note, and the list says so.
func TestNoHolders(t *testing.T) {
	if hold.Supported {
		t.Skip("this system has holders")
	}
	s := serve(t, nil)
	env := configure(t, s.URL, "hold: 5m")
	ferry(t, env, "ask", "-n", "n", "hello").want(0, "hello", "ferry: hold is off: windows has no holders\n")
	ferry(t, env, "ask", "--hold", "1m", "-n", "n", "hello").fails(2, "Error: --hold: windows has no holders\nhint: leave it out")
	ferry(t, env, "config", "hold").exactly(0, "", "ferry: windows has no holders\n")
}

package cmd_test

import (
	"testing"
	"unicode/utf16"

	"ferry/pkg/hold"
)

// TestUTF16 checks that ferry refuses the UTF-16 that > of Windows PowerShell writes, and says how to write UTF-8.
func TestUTF16(t *testing.T) {
	for _, order := range [][2]int{{0, 8}, {8, 0}} {
		var text []byte
		for _, unit := range utf16.Encode([]rune("\ufeffhello 你好")) {
			text = append(text, byte(unit>>order[0]), byte(unit>>order[1]))
		}
		r := ferryReads(t, nil, string(text), "ask", "-n", "demo")
		r.fails(2, "Error: standard input is UTF-16, as > of Windows PowerShell writes it\nhint: write it as UTF-8; ")
	}
}

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

package cmd_test

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"ferry/cmd"
)

// TestSilentPipe leaves standard input open without a word: ferry says so after 2 s and stops at --timeout, with nothing
// sent. The time is the bubble's: it passes when everybody waits.
func TestSilentPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent, writer := io.Pipe()
		defer writer.Close()
		var out, errs bytes.Buffer
		env := testEnv(nil, &out, &errs)
		env.Stdin = silent
		code := cmd.Run(t.Context(), []string{"ask", "--timeout", "5s", "-n", "demo", "hello"}, env)
		want := "ferry: waiting for standard input; --no-stdin leaves it alone\n" +
			"Error: standard input did not end within the timeout of 5s\nhint: nothing was sent\n"
		if code != 1 || out.Len() > 0 || errs.String() != want {
			t.Errorf("exit code %d, stdout %q, stderr %q", code, &out, &errs)
		}
	})
}

// TestSilentPipeQuiet is the same under -q, which silences notes: a pipe that stays open is said once, after 30 s.
func TestSilentPipeQuiet(t *testing.T) {
	for _, test := range []struct{ timeout, want string }{
		{"29s", ""}, {"2m", "ferry: waiting for standard input; --no-stdin leaves it alone\n"},
	} {
		synctest.Test(t, func(t *testing.T) {
			silent, writer := io.Pipe()
			defer writer.Close()
			var out, errs bytes.Buffer
			env := testEnv(nil, &out, &errs)
			env.Stdin = silent
			code := cmd.Run(t.Context(), []string{"ask", "-q", "--timeout", test.timeout, "-n", "demo", "hello"}, env)
			said, _, _ := strings.Cut(errs.String(), "Error:")
			if code != 1 || said != test.want {
				t.Errorf("--timeout %s: exit code %d, stderr %q, want %q", test.timeout, code, &errs, test.want)
			}
		})
	}
}

// TestPromptReachesTheServerAsItWas holds bytes as they are, however they came.
func TestPromptReachesTheServerAsItWas(t *testing.T) {
	var out, errs bytes.Buffer
	env := testEnv(nil, &out, &errs)
	env.Stdin = strings.NewReader("\ufeffline\r\n\ttab \u2028 \"quoted\" <b> 你好\n\n")
	if code := cmd.Run(t.Context(), []string{"ask", "--api", "complete", "--dry-run", "-n", "demo"}, env); code != 0 {
		t.Fatalf("exit code %d: %s", code, &errs)
	}
	want := `{"prompt":"\ufeffline\r\n\ttab \u2028 \"quoted\" <b> 你好\n\n","max_tokens":100}`
	if !strings.Contains(out.String(), "\n"+want+"\n") {
		t.Errorf("the body is not %s in\n%s", want, &out)
	}
}

// FuzzPrompt holds ferry to its two answers to any bytes at all: a request with exactly these, or exit 2.
func FuzzPrompt(f *testing.F) {
	for _, seed := range []string{"hello", "", " \n", "a\x00b", "caf\xe9", "\xff", "你好", "'\\''$(id)`", "\u2028\u202e"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, prompt []byte) {
		var out, errs bytes.Buffer
		env := testEnv(nil, &out, &errs)
		env.Stdin = bytes.NewReader(prompt)
		code := cmd.Run(t.Context(), []string{"ask", "--dry-run", "-n", "demo"}, env)
		if usable := isPrompt(prompt); usable != (code == 0) || !usable && code != 2 {
			t.Errorf("%q: exit code %d, stderr %s", prompt, code, &errs)
		}
	})
}

func isPrompt(text []byte) bool {
	return strings.TrimSpace(string(text)) != "" && strings.ToValidUTF8(string(text), "") == string(text) &&
		!bytes.Contains(text, []byte{0})
}

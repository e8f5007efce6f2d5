package config

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/zalando/go-keyring"

	"ferry/pkg/guard"
	"ferry/pkg/state"
	"ferry/pkg/text"
)

func mustRef(t *testing.T, s string) Ref {
	t.Helper()
	if fault := checkRef(s); fault != nil {
		t.Fatal(fault)
	}
	return Ref(s)
}

// wantKey resolves a reference. It wants a secret, or else an error, in which … is "the key from" and the reference, and
// a hint; * is any hint.
func wantKey(t *testing.T, k Keys, ref, secret, fault, hint string) {
	t.Helper()
	got, err := k.Resolve(t.Context(), mustRef(t, ref))
	if fault == "" {
		if err != nil || got.Reveal() != secret || got.Source() != ref {
			t.Errorf("%s: got %q from %s, %v, want %q", ref, got.Reveal(), got.Source(), err, secret)
		}
		return
	}
	fault = strings.Replace(fault, "…", "the key from "+ref, 1)
	shown := text.Hint(err)
	switch {
	case err == nil, err.Error() != fault, shown != hint && hint != "*", shown == "" && hint == "*":
		t.Errorf("%s: got %v, hint %q, want %s, hint %q", ref, err, shown, fault, hint)
	case strings.Contains(err.Error()+shown, canary):
		t.Errorf("%s: the secret is repeated: %v, hint %q", ref, err, shown)
	}
}

func TestResolveEnvAndFile(t *testing.T) {
	dir, home := filepath.Join(t.TempDir(), "a folder"), t.TempDir()
	check(t, os.Mkdir(dir, 0o700))
	write := func(path, text string, mode os.FileMode) {
		check(t, errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, mode)))
	}
	write(filepath.Join(dir, "plain"), canary, 0o600)
	write(filepath.Join(dir, "newline"), canary+"\n", 0o400)
	write(filepath.Join(dir, "crlf"), canary+"\r\n", 0o600)
	write(filepath.Join(dir, "two"), canary+"\n\n", 0o600)
	write(filepath.Join(dir, "empty"), "\n", 0o600)
	write(filepath.Join(dir, "open"), canary, 0o644)
	write(filepath.Join(home, "key"), canary, 0o600)
	k := Keys{Lookup: vars("K", canary, "EMPTY", "", "SPACE", canary+" x", "LINE", canary+"\n", "CRLF", canary+"\r\n",
		"LINES", canary+"\n\n", "ONLY", "\n", "FIRST", "\n"+canary), Dir: dir, Home: home}
	absentHint := "put the key in it, and chmod 600 '" + filepath.Join(dir, "absent") + "'"
	if runtime.GOOS == "windows" {
		absentHint = "put the key in it"
	}
	tests := []struct{ ref, secret, fault, hint string }{
		{"env:K", canary, "", ""},
		{"env:ABSENT", "", "… is not set or empty", text.SetVariable("ABSENT", "…")},
		{"env:EMPTY", "", "… is not set or empty", text.SetVariable("EMPTY", "…")},
		{"env:SPACE", "", "… has a space at byte 20", "*"},
		{"env:LINE", canary, "", ""},
		{"env:CRLF", canary, "", ""},
		{"env:LINES", "", "… has a line break at byte 20", "*"},
		{"env:FIRST", "", "… has a line break at byte 1", "*"},
		{"env:ONLY", "", "… is empty", "*"},
		{"file:plain", canary, "", ""},
		{"file:newline", canary, "", ""},
		{"file:crlf", canary, "", ""},
		{"file:~/key", canary, "", ""},
		{"file:" + filepath.Join(dir, "plain"), canary, "", ""},
		{"file:two", "", "… has a line break at byte 20", "*"},
		{"file:empty", "", "… is empty", "*"},
		{"file:absent", "", "… is not there: " + filepath.Join(dir, "absent") + ": cannot open: no such file or directory",
			absentHint},
		{"file:open", "", filepath.Join(dir, "open") + ": can be read or written by others (mode 0644)",
			"chmod 600 '" + filepath.Join(dir, "open") + "'"},
	}
	if runtime.GOOS == "windows" { // there files have no mode: TestAccessLists of pkg/state tests the equivalent
		tests = tests[:len(tests)-1]
	}
	for _, tt := range tests {
		wantKey(t, k, tt.ref, tt.secret, tt.fault, tt.hint)
	}
}

// A header's complete value may contain spaces, from any source, but nothing else that a header cannot carry.
func TestResolveHeader(t *testing.T) {
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "gate"), []byte("Bearer a b\n"), 0o600))
	k := Keys{Lookup: vars("BASIC", "Basic dTpw\n", "BEFORE", " "+canary, "BEHIND", canary+" ", "TAB", "a\tb", "LINE", "a\nb: c", "PATH", "/bin:/usr/bin"), Dir: dir}
	command := "cmd:echo 'Digest a, b'"
	if runtime.GOOS == "windows" {
		command = "cmd:'" + os.Getenv("ComSpec") + "' /c echo Digest a, b"
	}
	for ref, want := range map[string]string{"env:BASIC": "Basic dTpw", "file:gate": "Bearer a b", command: "Digest a, b"} {
		if got, err := k.ResolveHeader(t.Context(), mustRef(t, ref)); err != nil || got.Reveal() != want {
			t.Errorf("%s: %q, %v, want %q", ref, got.Reveal(), err, want)
		}
	}
	for ref, want := range map[string]string{
		"env:BEFORE": "has a space at byte 1", "env:BEHIND": "has a space at byte 20", "env:TAB": "has a control character at byte 2",
		"env:LINE": "has a line break at byte 2",
	} {
		if _, err := k.ResolveHeader(t.Context(), mustRef(t, ref)); err == nil || !strings.HasSuffix(err.Error(), want) ||
			strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v, want %s", ref, err, want)
		}
	}
}

func TestResolveErrorTypes(t *testing.T) {
	wantKey(t, Keys{}, "file:~/key", "", "… begins with ~/, and HOME is not set", "*")
	_, err := Keys{}.Resolve(t.Context(), "")
	if err == nil || err.Error() != "the key from  is not a reference to a key" || text.Hint(err) == "" {
		t.Errorf("no reference: got %v, hint %q", err, text.Hint(err))
	}
	_, err = Keys{}.Resolve(t.Context(), mustRef(t, "file:"+t.TempDir()))
	if _, ok := errors.AsType[*state.Error](err); !ok {
		t.Errorf("a folder: %T", err)
	}
}

func TestParseRefRefuses(t *testing.T) {
	for _, s := range []string{"", canary, "ENV:" + canary, "env:", "env:1A", "env:A-B", "file: ", "cmd:", "cmd:\"" + canary,
		"cmd:a $(b)", "cmd:a `b`", "cmd:a \"$B\"", "cmd:a; b", "cmd:a > b", "keyring:", "keyring:a\nb", "https://" + canary} {
		if err := checkRef(s); err == nil || strings.Contains(err.Error()+err.Hint(), canary) {
			t.Errorf("%q: got %v", s, err)
		}
	}
}

func TestKeyForNode(t *testing.T) {
	k := Keys{Lookup: vars("K", canary)}
	named := Node{Name: "hk", InFile: true, Auth: Auth{Scheme: AuthXAPIKey}}
	tests := []struct {
		node Node
		want string
		hint string
	}{
		{Node{Name: "a", Auth: Auth{Scheme: AuthNone}}, "", ""},
		{Node{Name: "a", Key: Ref("env:K"), Auth: Auth{Scheme: AuthBearer}}, "", ""},
		{Node{Name: "direct", Auth: Auth{Scheme: AuthXAPIKey}}, "no key for node direct",
			text.SetVariable("ANTHROPIC_API_KEY", "…") + "\nor try it without one: ferry ask -n demo hi"},
		{Node{Name: "https://h", Auth: Auth{Scheme: AuthXAPIKey}}, "no key for node https://h",
			text.SetVariable("FERRY_KEY", "…") + "\nor try it without one: ferry ask -n demo hi"},
		{named, "no key for node hk",
			"ferry config key hk stores one\nor name one: ferry config set nodes.hk.key env:NAME\nor, if it needs none: ferry config set nodes.hk.auth none"},
	}
	for _, tt := range tests {
		got, err := k.For(t.Context(), tt.node)
		if tt.want == "" {
			if err != nil || got.IsZero() != (tt.node.Auth.Scheme == AuthNone) {
				t.Errorf("%s: %v, %v", tt.node.Name, got.IsZero(), err)
			}
			continue
		}
		if err == nil || err.Error() != tt.want || text.Hint(err) != tt.hint {
			t.Errorf("%s: got %v, hint %q", tt.node.Name, err, text.Hint(err))
		}
	}
}

func TestKeyring(t *testing.T) {
	// mute never answers, because its user does not unlock it.
	mute := &Keyring{
		Get: func(string, string) (string, error) { select {} },
		Set: func(string, string, string) error { select {} },
	}
	keyring.MockInit()
	ring, work := SystemKeyring(vars("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")), "keyring:work"
	wantKey(t, Keys{Keyring: ring}, work, "", "… is not there: no such entry in the keyring", "")
	secret := must(guard.NewSecret(canary, "standard input"))(t)
	check(t, StoreInKeyring(t.Context(), ring, "work", secret))
	wantKey(t, Keys{Keyring: ring}, work, canary, "", "")
	keyring.MockInitWithError(errors.New("locked\x1b[2J"))
	wantKey(t, Keys{Keyring: ring}, work, "", `… cannot be read: locked\x1b[2J`, "")
	wantKey(t, Keys{}, work, "", "… cannot be read: there is no keyring here",
		"use env:NAME, file:PATH or cmd:COMMAND instead")
	wantKey(t, Keys{Keyring: mute, Limit: time.Millisecond}, work, "",
		"… cannot be read: no answer after 1ms", "is the keyring locked?")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Keys{Keyring: mute}.Resolve(ctx, Ref(work))
	for _, err := range []error{err, StoreInKeyring(ctx, mute, "work", secret)} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: got %v", err)
		}
	}
}

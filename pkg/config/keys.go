package config

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"ferry/pkg/guard"
	"ferry/pkg/state"
	"ferry/pkg/text"

	"github.com/zalando/go-keyring"
)

// keyLimit is how long a command or a keyring may take.
const keyLimit = 10 * time.Second

// keyringService is the name under which keys are kept in a keyring.
const keyringService = "ferry"

// Keys finds the secrets that references lead to.
type Keys struct {
	Lookup Lookup
	// Dir is the folder of the file: paths in file: and cmd: are relative to it. Home is what ~/ stands for.
	Dir, Home string
	// Keyring is SystemKeyring(lookup), or nil where there is none.
	Keyring Keyring
	// Limit bounds a command and the keyring; 0 means 10 s.
	Limit time.Duration
}

// fault says why a reference led to no secret. Nothing in it holds the secret.
func (r Ref) fault(hint, format string, args ...any) error {
	return text.Errorf(hint, "the key from %s %w", r, fmt.Errorf(format, args...))
}

// For finds the key of a node that Select returned. It is the zero Secret for a node without one (auth: none). It fails
// where none is named, or as Resolve does.
func (k Keys) For(ctx context.Context, n Node) (guard.Secret, error) {
	switch {
	case n.Auth.Scheme == AuthNone:
		return guard.Secret{}, nil
	case n.Key != "":
		secret, err := k.Resolve(ctx, n.Key)
		if err != nil && n.Provider {
			err = text.WithHint(err, text.Hint(err)+"\nor have it asked for and kept: ferry config add "+n.Name)
		}
		return secret, err
	case n.InFile:
		return guard.Secret{}, text.Errorf("ferry config key "+n.Name+" stores one"+
			"\nor name one: ferry config set nodes."+n.Name+".key env:NAME"+
			"\nor, if it wants none: ferry config set nodes."+n.Name+".auth none", "no key for node %s", n.Name)
	}
	name := "FERRY_KEY"
	if n.Name == "direct" {
		name = "ANTHROPIC_API_KEY"
	}
	hint := text.SetVariable(name, "…") + "\nor try it without one: ferry ask -n demo hi"
	return guard.Secret{}, text.Errorf(hint, "no key for node %s", n.Name)
}

// Resolve finds the key that ref leads to. It fails where there is none, with *state.Error (a key file that others can
// read) or as guard.NewSecret does. One line end behind it is not part of it.
func (k Keys) Resolve(ctx context.Context, ref Ref) (guard.Secret, error) {
	return k.read(ctx, ref, guard.NewSecret)
}

// ResolveHeader is Resolve for the whole value of a header, which may hold spaces.
func (k Keys) ResolveHeader(ctx context.Context, ref Ref) (guard.Secret, error) {
	return k.read(ctx, ref, guard.NewHeaderSecret)
}

func (k Keys) read(ctx context.Context, ref Ref, checked func(value, source string) (guard.Secret, error)) (guard.Secret, error) {
	var secret string
	var err error
	scheme, rest, _ := strings.Cut(string(ref), ":")
	switch scheme {
	case "env":
		if secret = k.Lookup.Get(rest); secret == "" {
			err = ref.fault(text.SetVariable(rest, "…"), "is not set or empty")
		}
	case "file":
		secret, err = k.fromFile(ref, rest)
	case "cmd":
		secret, err = k.fromCommand(ctx, ref, rest)
	case "keyring":
		secret, err = k.fromKeyring(ctx, ref, rest)
	default:
		err = ref.fault(refHint, "leads nowhere")
	}
	if err != nil {
		return guard.Secret{}, err
	}
	if s, ok := strings.CutSuffix(secret, "\n"); ok { // the one that editors, echo and a copied line put there
		secret = strings.TrimSuffix(s, "\r")
	}
	return checked(secret, string(ref))
}

func (k Keys) fromFile(ref Ref, name string) (string, error) {
	path, fault := wholePath(name, k.Dir, k.Home)
	if fault != nil {
		return "", ref.fault(fault.Hint(), "%s", fault.Msg)
	}
	data, err := state.ReadKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", ref.fault("put the key in it, and chmod 600 "+path, "is not there: %w", err)
	}
	return string(data), err
}

// bounded gives a context that ends at the limit, with a cause that says so.
func (k Keys) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := cmp.Or(k.Limit, keyLimit)
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer after %v", limit))
}

func (k Keys) fromKeyring(ctx context.Context, ref Ref, name string) (string, error) {
	if k.Keyring == nil {
		return "", ref.fault("use env:NAME, file:PATH or cmd:COMMAND instead", "cannot be read: there is no keyring here")
	}
	ctx, cancel := k.bounded(ctx)
	defer cancel()
	secret, err := answer(ctx, func() (string, error) { return k.Keyring.Get(keyringService, name) })
	switch {
	case err != nil && err == context.Cause(ctx):
		return "", ref.fault("is the keyring locked?", "cannot be read: %w", err)
	case errors.Is(err, keyring.ErrNotFound):
		return "", ref.fault("", "is not there: no such entry in the keyring")
	case err != nil:
		return "", ref.fault("", "cannot be read: %s", text.Excerpt([]byte(err.Error()), 200))
	}
	return secret, nil
}

// answer is that of a keyring, which takes no context: one that asks its user to unlock it may never answer.
func answer(ctx context.Context, ask func() (string, error)) (string, error) {
	type result struct {
		secret string
		err    error
	}
	answered := make(chan result, 1)
	go func() {
		s, err := ask()
		answered <- result{s, err}
	}()
	select {
	case <-ctx.Done():
		return "", context.Cause(ctx)
	case r := <-answered:
		return r.secret, r.err
	}
}

// StoreInKeyring keeps a secret under the name that keyring:NAME reads. A keyring that does not answer within 10 s, such
// as a locked one that asks its user, is given up.
func StoreInKeyring(ctx context.Context, ring Keyring, name string, secret guard.Secret) error {
	ctx, cancel := Keys{}.bounded(ctx)
	defer cancel()
	_, err := answer(ctx, func() (string, error) { return "", ring.Set(keyringService, name, secret.Reveal()) })
	return err
}

const refHint = "a key is named, not written: env:NAME, file:PATH, cmd:COMMAND or keyring:NAME"

// Ref says where a secret is: env:NAME, file:PATH, cmd:COMMAND or keyring:NAME. It is public; the secret is not in it.
// "" leads nowhere.
type Ref string

// checkRef is the rule for a reference. A literal is refused with an *Error that does not repeat it, and so is a
// reference that is malformed, which may be a key in the wrong place.
func checkRef(s string) *Error {
	scheme, rest, _ := strings.Cut(s, ":")
	err := checkText(s)
	switch {
	case !isRef(s):
		err = bad("a literal key is refused, and not shown", refHint)
	case err != nil:
	case strings.TrimSpace(rest) == "":
		err = bad("has nothing after "+scheme+":", refHint)
	case scheme == "env" && (!only(rest, alphanumeric+"_") || rest[0] >= '0' && rest[0] <= '9'):
		err = bad("use a variable's name after env:", refHint)
	case scheme == "cmd":
		_, err = splitCommand(rest)
	}
	return err
}

// isRef holds for what begins as a reference does.
func isRef(s string) bool {
	scheme, _, ok := strings.Cut(s, ":")
	return ok && slices.Contains([]string{"env", "file", "cmd", "keyring"}, scheme)
}

// Keyring is the system's store of secrets.
type Keyring interface {
	Get(service, user string) (string, error)
	Set(service, user, secret string) error
}

// SystemKeyring is this machine's keyring, or nil where there is none that could be reached without starting one. It
// starts nothing and waits for nothing: macOS and Windows always have one; elsewhere there is one where a session bus
// is, which the library would otherwise try to launch.
func SystemKeyring(lookup Lookup) Keyring {
	bus := lookup.Get("DBUS_SESSION_BUS_ADDRESS") != "" || runtime.GOOS == "darwin" || runtime.GOOS == "windows"
	if dir := lookup.Get("XDG_RUNTIME_DIR"); !bus && dir != "" {
		info, err := os.Stat(filepath.Join(dir, "bus"))
		bus = err == nil && info.Mode()&os.ModeSocket != 0
	}
	if !bus {
		return nil
	}
	return systemKeyring{}
}

type systemKeyring struct{}

func (systemKeyring) Get(service, user string) (string, error) { return keyring.Get(service, user) }

func (systemKeyring) Set(service, user, secret string) error {
	return keyring.Set(service, user, secret)
}

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

// keyLimit is the time limit for a command or a keyring.
const keyLimit = 10 * time.Second

// keyringService is the service name of ferry's keys in a keyring.
const keyringService = "ferry"

// Keys reads the secrets that references name.
type Keys struct {
	Lookup Lookup
	// Dir is the folder of the configuration file: paths in file: and cmd: are relative to it. Home replaces ~.
	Dir, Home string
	// Keyring is SystemKeyring(lookup), or nil if there is none.
	Keyring *Keyring
	// Limit is the time limit for a command and for the keyring; 0 means 10 s.
	Limit time.Duration
}

// fault returns an error that says why a reference has no secret. It does not contain the secret.
func (r Ref) fault(hint, format string, args ...any) error {
	return text.Errorf(hint, "the key from %s %w", r, fmt.Errorf(format, args...))
}

// For returns the key of a node that Select returned, or the zero Secret for a node with auth: none. It fails if the
// node names no key, or as Resolve does.
func (k Keys) For(ctx context.Context, n Node) (guard.Secret, error) {
	switch {
	case n.Auth.Scheme == AuthNone:
		return guard.Secret{}, nil
	case n.Key != "":
		secret, err := k.Resolve(ctx, n.Key)
		if err != nil && n.Provider {
			err = text.WithHint(err, text.Hint(err)+"\nor let ferry ask for it and store it: ferry config add "+n.Name)
		}
		return secret, err
	case n.InFile:
		return guard.Secret{}, text.Errorf("ferry config key "+n.Name+" stores one"+
			"\nor name one: ferry config set nodes."+n.Name+".key env:NAME"+
			"\nor, if it needs none: ferry config set nodes."+n.Name+".auth none", "no key for node %s", n.Name)
	}
	name := "FERRY_KEY"
	if n.Name == "direct" {
		name = "ANTHROPIC_API_KEY"
	}
	hint := text.SetVariable(name, "…") + "\nor try it without one: ferry ask -n demo hi"
	return guard.Secret{}, text.Errorf(hint, "no key for node %s", n.Name)
}

// Resolve returns the key that ref names. It fails if there is none, with *state.Error (such as a key file that others
// can read), or as guard.NewSecret does. One trailing line end is not part of the key.
func (k Keys) Resolve(ctx context.Context, ref Ref) (guard.Secret, error) {
	return k.read(ctx, ref, guard.NewSecret)
}

// ResolveHeader is Resolve for the complete value of a header, which may contain spaces.
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
		err = ref.fault(refHint, "is not a reference to a key")
	}
	if err != nil {
		return guard.Secret{}, err
	}
	if s, ok := strings.CutSuffix(secret, "\n"); ok { // added by editors, echo or a copied line
		secret = strings.TrimSuffix(s, "\r")
	}
	return checked(secret, string(ref))
}

func (k Keys) fromFile(ref Ref, name string) (string, error) {
	path, fault := absPath(name, k.Dir, k.Home)
	if fault != nil {
		return "", ref.fault(fault.Hint(), "%s", fault.Msg)
	}
	data, err := state.ReadKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		hint := "put the key in it"
		if runtime.GOOS != "windows" { // files have no mode there
			hint += ", and chmod 600 " + text.CommandWord(path)
		}
		return "", ref.fault(hint, "is not there: %w", err)
	}
	return string(data), err
}

// bounded returns a context that ends at the limit, with a cause that says so.
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

// answer calls ask but stops waiting when ctx ends. A keyring takes no context, and one that asks the user to unlock
// it may never answer.
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

// StoreInKeyring stores a secret under the name that keyring:NAME reads. It gives up if the keyring does not answer
// within 10 s, for example because it is locked and asks the user.
func StoreInKeyring(ctx context.Context, ring *Keyring, name string, secret guard.Secret) error {
	ctx, cancel := Keys{}.bounded(ctx)
	defer cancel()
	_, err := answer(ctx, func() (string, error) { return "", ring.Set(keyringService, name, secret.Reveal()) })
	return err
}

const refHint = "give a reference, not the key itself: env:NAME, file:PATH, cmd:COMMAND or keyring:NAME"

// Ref is a reference to a secret: env:NAME, file:PATH, cmd:COMMAND or keyring:NAME. It is public and does not contain
// the secret. "" means none.
type Ref string

// checkRef is the rule for a reference. A literal key is refused with an *Error that does not repeat it. A malformed
// reference is refused in the same way, because it may be a key in the wrong place.
func checkRef(s string) *Error {
	scheme, rest, _ := strings.Cut(s, ":")
	err := checkText(s)
	switch {
	case !isRef(s):
		err = newError("a literal key is refused, and not shown", refHint)
	case err != nil:
	case strings.TrimSpace(rest) == "":
		err = newError("has nothing after "+scheme+":", refHint)
	case scheme == "env" && (!containsOnly(rest, alphanumeric+"_") || rest[0] >= '0' && rest[0] <= '9'):
		err = newError("use a variable's name after env:", refHint)
	case scheme == "cmd":
		_, err = splitCommand(rest)
	}
	return err
}

// isRef reports whether s begins like a reference.
func isRef(s string) bool {
	scheme, _, ok := strings.Cut(s, ":")
	return ok && slices.Contains([]string{"env", "file", "cmd", "keyring"}, scheme)
}

// Keyring is the system's secret store.
type Keyring struct {
	Get func(service, user string) (string, error)
	Set func(service, user, secret string) error
}

// SystemKeyring returns this machine's keyring, or nil if none can be reached without starting one. It starts nothing
// and waits for nothing. macOS and Windows always have a keyring. Other systems have one if a session bus exists;
// otherwise the library would try to start a bus.
func SystemKeyring(lookup Lookup) *Keyring {
	bus := lookup.Get("DBUS_SESSION_BUS_ADDRESS") != "" || runtime.GOOS == "darwin" || runtime.GOOS == "windows"
	if dir := lookup.Get("XDG_RUNTIME_DIR"); !bus && dir != "" {
		info, err := os.Stat(filepath.Join(dir, "bus"))
		bus = err == nil && info.Mode()&os.ModeSocket != 0
	}
	if !bus {
		return nil
	}
	return &Keyring{keyring.Get, keyring.Set}
}

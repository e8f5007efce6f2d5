package config

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
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
	// Environ is the environment of a command, as os.Environ gives it; nil hands on this process's own.
	Environ []string
	// Run runs a command and Limit bounds it and the keyring; their zeros mean the real one and 10 s.
	Run   func(ctx context.Context, argv, environ []string) (stdout, stderr []byte, err error)
	Limit time.Duration
}

// fault says why a reference led to no secret. Nothing in it holds the secret.
func (r Ref) fault(msg, hint string, cause error) error {
	if cause == nil {
		return text.Errorf(hint, "the key from %s %s", r, msg)
	}
	return text.Errorf(hint, "the key from %s %s: %w", r, msg, cause)
}

// For finds the key of a node that Select returned. It is the zero Secret for a node without one (auth: none). It fails
// where none is named, or as Resolve does.
func (k Keys) For(ctx context.Context, n Node) (guard.Secret, error) {
	switch {
	case n.Auth.Scheme == AuthNone:
		return guard.Secret{}, nil
	case !n.Key.IsZero():
		return k.Resolve(ctx, n.Key)
	case n.InFile:
		return guard.Secret{}, text.Errorf("ferry config set nodes."+n.Name+".key env:NAME"+
			"\nor, if it wants none: ferry config set nodes."+n.Name+".auth none", "no key for node %s", n.Name)
	}
	name := "FERRY_KEY"
	if n.Name == "direct" {
		name = "ANTHROPIC_API_KEY"
	}
	return guard.Secret{}, text.Errorf("export "+name+"=…\nor try it without one: ferry ask -n demo hi", "no key for node %s", n.Name)
}

// Resolve finds the key that ref leads to. It fails where there is none, with *state.Error (a key file that others can read)
// or *guard.SecretError (a key that no header can carry). One line end behind it is not part of it.
func (k Keys) Resolve(ctx context.Context, ref Ref) (guard.Secret, error) {
	secret, err := k.read(ctx, ref)
	if err != nil {
		return guard.Secret{}, err
	}
	return guard.NewSecret(secret, ref.String())
}

// ResolveHeader is Resolve for the whole value of a header, which may hold spaces.
func (k Keys) ResolveHeader(ctx context.Context, ref Ref) (guard.Secret, error) {
	secret, err := k.read(ctx, ref)
	if err != nil {
		return guard.Secret{}, err
	}
	return guard.NewHeaderSecret(secret, ref.String())
}

func (k Keys) read(ctx context.Context, ref Ref) (secret string, err error) {
	switch ref.scheme {
	case "env":
		secret, err = k.fromEnv(ref)
	case "file":
		secret, err = k.fromFile(ref)
	case "cmd":
		secret, err = k.fromCommand(ctx, ref)
	case "keyring":
		secret, err = k.fromKeyring(ctx, ref)
	default:
		err = ref.fault("leads nowhere", refHint, nil)
	}
	return trimNewline(secret), err
}

func (k Keys) fromEnv(ref Ref) (string, error) {
	if s := k.Lookup.get(ref.rest); s != "" {
		return s, nil
	}
	return "", ref.fault("is not set or empty", "export "+ref.rest+"=…", nil)
}

func (k Keys) fromFile(ref Ref) (string, error) {
	path, fault := wholePath(ref.rest, k.Dir, k.Home)
	if fault != nil {
		return "", ref.fault(fault.Msg, fault.Hint(), nil)
	}
	data, err := state.ReadKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", ref.fault("is not there", "put the key in it, and chmod 600 "+path, err)
	}
	return string(data), err
}

// trimNewline takes away the one line end that editors, echo and a copied line put there.
func trimNewline(s string) string {
	s, ok := strings.CutSuffix(s, "\n")
	if ok {
		s = strings.TrimSuffix(s, "\r")
	}
	return s
}

func (k Keys) limit() time.Duration {
	if k.Limit > 0 {
		return k.Limit
	}
	return keyLimit
}

// bounded gives a context that ends at the limit, with a cause that says so.
func (k Keys) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, k.limit(), fmt.Errorf("no answer after %v", k.limit()))
}

func (k Keys) fromKeyring(ctx context.Context, ref Ref) (string, error) {
	if k.Keyring == nil {
		return "", ref.fault("cannot be read: there is no keyring here", "use env:NAME, file:PATH or cmd:COMMAND instead", nil)
	}
	ctx, cancel := k.bounded(ctx)
	defer cancel()
	type answer struct {
		secret string
		err    error
	}
	answered := make(chan answer, 1)
	go func() { // the library takes no context; a keyring that asks its user to unlock it may never answer
		s, err := k.Keyring.Get(keyringService, ref.rest)
		answered <- answer{s, err}
	}()
	select {
	case <-ctx.Done():
		return "", ref.fault("cannot be read", "is the keyring locked?", context.Cause(ctx))
	case a := <-answered:
		switch {
		case errors.Is(a.err, ErrNotInKeyring):
			return "", ref.fault("is not there", "", a.err)
		case a.err != nil:
			return "", ref.fault("cannot be read", "", errors.New(printable(a.err.Error(), 200)))
		}
		return a.secret, nil
	}
}

const refHint = "a key is named, not written: env:NAME, file:PATH, cmd:COMMAND or keyring:NAME"

// Ref says where a secret is: env:NAME, file:PATH, cmd:COMMAND or keyring:NAME. It is public; the secret is not in it.
// The zero Ref leads nowhere.
type Ref struct{ scheme, rest string }

// parseRef reads a reference. A literal is refused with an *Error that does not repeat it, and so is a reference that
// is malformed, which may be a key in the wrong place.
func parseRef(s string) (Ref, *Error) {
	scheme, rest, _ := strings.Cut(s, ":")
	if !isRef(s) {
		return Ref{}, bad("a literal key is refused, and not shown", refHint)
	}
	if err := checkText(s); err != nil {
		return Ref{}, err
	}
	if strings.TrimSpace(rest) == "" {
		return Ref{}, bad("has nothing after "+scheme+":", refHint)
	}
	if scheme == "env" && !isVariable(rest) {
		return Ref{}, bad("use a variable's name after env:", refHint)
	}
	if scheme == "cmd" {
		if _, err := splitCommand(rest); err != nil {
			return Ref{}, err
		}
	}
	return Ref{scheme, rest}, nil
}

// isRef holds for what begins as a reference does.
func isRef(s string) bool {
	scheme, _, ok := strings.Cut(s, ":")
	if !ok {
		return false
	}
	switch scheme {
	case "env", "file", "cmd", "keyring":
		return true
	}
	return false
}

func isVariable(s string) bool {
	for i := range len(s) {
		if s[i] != '_' && (!isAlnum(s[i]) || i == 0 && s[i] <= '9') {
			return false
		}
	}
	return s != ""
}

// String is the reference as it is written in the file.
func (r Ref) String() string {
	if r.IsZero() {
		return ""
	}
	return r.scheme + ":" + r.rest
}

// IsZero reports whether there is no reference.
func (r Ref) IsZero() bool { return r.scheme == "" }

// ErrNotInKeyring says that the keyring has no such entry.
var ErrNotInKeyring = errors.New("no such entry in the keyring")

// Keyring is the system's store of secrets. Get and Delete fail with ErrNotInKeyring for an entry that is not there.
type Keyring interface {
	Get(service, user string) (string, error)
	Set(service, user, secret string) error
	Delete(service, user string) error
}

// SystemKeyring is this machine's keyring, or nil where there is none that could be reached without starting one.
func SystemKeyring(lookup Lookup) Keyring {
	if !keyringAvailable(lookup) {
		return nil
	}
	return systemKeyring{}
}

// keyringAvailable reports whether there is a keyring to ask. It starts nothing and waits for nothing: macOS and Windows
// always have one; elsewhere there is one where a session bus is, which the library would otherwise try to launch.
func keyringAvailable(lookup Lookup) bool {
	if runtime.GOOS == "darwin" || runtime.GOOS == "windows" {
		return true
	}
	if lookup.get("DBUS_SESSION_BUS_ADDRESS") != "" {
		return true
	}
	dir := lookup.get("XDG_RUNTIME_DIR")
	if dir == "" {
		return false
	}
	info, err := os.Stat(filepath.Join(dir, "bus"))
	return err == nil && info.Mode()&os.ModeSocket != 0
}

type systemKeyring struct{}

func (systemKeyring) Get(service, user string) (string, error) {
	s, err := keyring.Get(service, user)
	return s, named(err)
}

func (systemKeyring) Set(service, user, secret string) error {
	return keyring.Set(service, user, secret)
}

func (systemKeyring) Delete(service, user string) error { return named(keyring.Delete(service, user)) }

// named keeps the library's own errors inside this file.
func named(err error) error {
	if errors.Is(err, keyring.ErrNotFound) {
		return ErrNotInKeyring
	}
	return err
}

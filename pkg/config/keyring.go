package config

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"

	"github.com/zalando/go-keyring"
)

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

package config

import (
	"context"

	"ferry/pkg/guard"
)

// StoreInKeyring keeps a secret under the name that keyring:NAME reads. A keyring that does not answer within 10 s, such
// as a locked one that asks its user, is given up.
func StoreInKeyring(ctx context.Context, ring Keyring, name string, secret guard.Secret) error {
	ctx, cancel := Keys{}.bounded(ctx)
	defer cancel()
	answered := make(chan error, 1)
	go func() { answered <- ring.Set(keyringService, name, secret.Reveal()) }()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case err := <-answered:
		return err
	}
}

// CheckKey fails with *Error where key is not one that the file, a flag or a variable can set.
func CheckKey(key string) error {
	for _, s := range settings() {
		if s.Key == key {
			return nil
		}
	}
	k, err := parseKey(key)
	if err == nil && k.isGroup {
		err = bad("is a group; ask for one of the keys in it", "")
	}
	if err != nil {
		err.Key = shownKey(key)
		return err
	}
	return nil
}

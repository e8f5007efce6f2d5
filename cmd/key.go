package cmd

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"

	"ferry/pkg/config"
	"ferry/pkg/guard"
	"ferry/pkg/state"
	"ferry/pkg/term"

	"github.com/spf13/cobra"
)

func newConfigKeyCmd(a *app) *cobra.Command {
	return a.nodeCmd("key", "Store a node's key in the keyring if there is one, else in a private file", runConfigKey)
}

// nodeCmd returns a command that takes one node.
func (a *app) nodeCmd(name, short string, run func(context.Context, *settings, []string) error) *cobra.Command {
	return &cobra.Command{
		Use: name + " NODE", Short: short,
		Args:              requireArgs("a node's name", 1),
		ValidArgsFunction: completeArgs(1, namesOf(a.loadFile, fileNodes)),
		RunE:              withLoaded(a.fileSettings, run),
	}
}

// fileNodes returns direct and the nodes of the file, for completion.
func fileNodes(file *config.File) []string { return append([]string{"direct"}, file.Nodes...) }

func runConfigKey(ctx context.Context, s *settings, args []string) error {
	name := args[0]
	if _, err := s.configPath(); err != nil {
		return err
	}
	node, err := s.values.Select(name, s.api)
	if err != nil {
		return err
	}
	if !node.InFile && name != "direct" {
		hint := "ferry config set nodes.NAME.url URL makes one"
		if node.Provider {
			hint = "ferry config add " + name + " makes one, and asks for its key"
		}
		return usagef(hint, "%s is not a node of the file", name)
	}
	if node.Auth.Scheme == config.AuthNone {
		return usagef("ferry config unset nodes."+name+".auth, and then ferry config key "+name, "node %s has auth: none and sends no key", name)
	}
	secret, err := s.readKey(name)
	if err != nil {
		return err
	}
	s.masker.AddSecret(secret)
	var fields []config.Entry
	if !node.InFile {
		fields = []config.Entry{{Key: "url", Value: node.URL}}
	}
	if fields, err = s.withKey(ctx, name, fields, secret); err != nil {
		return err
	}
	if err := s.setFields(ctx, name, fields...); err != nil {
		return err
	}
	s.note("node %s takes its key from %s", name, fields[len(fields)-1].Value)
	return nil
}

// setFields sets fields of a node in the file.
func (a *app) setFields(ctx context.Context, node string, fields ...config.Entry) error {
	return a.edit(ctx, func(src []byte) (changed []byte, err error) {
		for _, field := range fields {
			if src, err = config.Set(src, "nodes."+node+"."+field.Key, field.Value); err != nil {
				return nil, err
			}
		}
		return src, nil
	})
}

// maxKey is the maximum size of a key in bytes: a larger key fits in no header.
const maxKey = 16 << 10

// readKey reads a key from a terminal without echo, or from a pipe. It removes one line end behind the key.
func (a *app) readKey(node string) (guard.Secret, error) {
	var typed []byte
	var err error
	if term.FactsOf(a.Stdin, false).TTY {
		a.writeErr("key for " + node + " (not shown): ")
		typed, err = term.ReadSecret(a.Stdin.(*os.File))
		a.writeErrLine("")
	} else if a.Stdin != nil {
		typed, err = io.ReadAll(io.LimitReader(a.Stdin, maxKey+1))
	}
	if err != nil {
		return guard.Secret{}, usagef("", "cannot read the key: %s", bareError(err))
	}
	if len(typed) > maxKey {
		return guard.Secret{}, usagef("", "the key from standard input is over %d KiB", maxKey>>10)
	}
	typed = bytes.TrimSuffix(bytes.TrimSuffix(typed, []byte("\n")), []byte("\r"))
	return guard.NewSecret(string(typed), "standard input")
}

// storeKey stores the key in the keyring, or in a file beside the configuration, and returns the reference to it.
func (a *app) storeKey(ctx context.Context, path, node string, secret guard.Secret) (string, error) {
	if ring := config.SystemKeyring(a.Lookup); ring != nil {
		err := config.StoreInKeyring(ctx, ring, node, secret)
		if err == nil {
			return "keyring:" + node, nil
		}
		a.note("the keyring did not accept the key (%s); it is stored in a private file", strings.TrimSpace(err.Error()))
	}
	relative := filepath.Join("keys", node+".key")
	file := filepath.Join(filepath.Dir(path), relative)
	if err := state.MkdirPrivate(filepath.Dir(file)); err != nil {
		return "", err
	}
	if err := state.WriteFile(file, []byte(secret.Reveal()+"\n"), 0o600); err != nil {
		return "", err
	}
	return "file:" + filepath.ToSlash(relative), nil
}

package cmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"ferry/pkg/audit"
	"ferry/pkg/config"
	"ferry/pkg/limit"
	"ferry/pkg/session"
	"ferry/pkg/state"
	"ferry/pkg/term"

	"github.com/spf13/cobra"
)

// purgeOptions are the flags of config purge.
type purgeOptions struct{ audit, yes bool }

func newConfigPurgeCmd(a *app) *cobra.Command {
	var o purgeOptions
	c := &cobra.Command{
		Use:   "purge",
		Short: "Remove all that ferry keeps: conversations, limits, usage",
		Long: `purge shows what ferry keeps on this machine and where, asks, and removes it: conversations, the buckets of limits, the
tokens used, and the connections that are held. A day's budget then begins anew. The configuration and its keys stay,
and so does the audit log unless --audit takes it too.`,
		Example: `  ferry config purge
  ferry config purge --audit --yes`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runConfigPurge(c.Context(), a, o) },
	}
	c.Flags().BoolVar(&o.audit, "audit", false, "also remove the audit log")
	c.Flags().BoolVar(&o.yes, "yes", false, "do not ask; needed where there is no terminal")
	return c
}

// kept is one kind of thing that ferry keeps.
type kept struct {
	what, where string
	count       int
	remove      func(context.Context) error
}

func runConfigPurge(ctx context.Context, a *app, o purgeOptions) error {
	keeps, failed, err := a.keeps(o)
	if err != nil {
		return err
	}
	if len(keeps)+len(failed) == 0 {
		a.note("nothing is kept on this machine")
		return nil
	}
	rows := [][]string{{"kept", "files", "where"}}
	for _, k := range keeps {
		rows = append(rows, []string{k.what, strconv.Itoa(k.count), k.where})
	}
	if err := a.table(rows, 3); err != nil {
		return err
	}
	if sure, err := a.sure(o.yes); err != nil || !sure {
		return err
	}
	for _, k := range keeps {
		failed = append(failed, k.remove(ctx))
	}
	a.removeEmpty()
	if err := errors.Join(failed...); err != nil {
		a.complain(fmt.Errorf("not removed:\n  %s", strings.ReplaceAll(err.Error(), "\n", "\n  ")))
		return silent(exitFailed)
	}
	a.note("removed")
	return nil
}

// purgePatience bounds the wait for each conversation or lock that is in use.
const purgePatience = 10 * time.Second

// keeps lists all that is kept, and the folders that cannot be looked at. Whatever else ferry comes to write down belongs
// here: a test looks for what is left.
func (a *app) keeps(o purgeOptions) (all []kept, failed []error, err error) {
	for _, find := range []func() (kept, error){a.keptSessions, a.keptLimits, a.keptHolders, a.keptTemps} {
		k, err := find()
		if err != nil {
			failed = append(failed, err)
		}
		if k.count > 0 {
			all = append(all, k)
		}
	}
	s, err := a.settings(nodeOptions{})
	if err != nil {
		if o.audit {
			return nil, nil, err // only the configuration knows where it is
		}
		return all, failed, nil
	}
	var logs []string
	if path := s.values.AuditFile; path != "" {
		logs = audit.Files(path)
	}
	switch {
	case len(logs) > 0 && o.audit:
		remove := func(context.Context) error { return removeFiles(logs) }
		all = append(all, kept{"audit log", logs[0], len(logs), remove})
	case len(logs) > 0:
		a.note("the audit log stays in %s; --audit removes it too", logs[0])
	}
	return all, failed, nil
}

func (a *app) keptSessions() (kept, error) {
	store, err := a.sessions()
	if err != nil {
		return kept{}, nil // without a home nothing was ever kept
	}
	names, err := store.Names()
	if err != nil {
		return kept{}, err
	}
	locks, _ := filepath.Glob(filepath.Join(globbed(store.Dir), ".*.lock"))
	temps, _ := filepath.Glob(filepath.Join(globbed(store.Dir), state.TempPattern))
	return kept{"conversations", store.Dir, max(len(names), min(1, len(locks)+len(temps))), func(ctx context.Context) error {
		var failed []error
		for _, name := range names {
			ctx, cancel := context.WithTimeout(ctx, purgePatience)
			_, err := store.Remove(ctx, name)
			cancel()
			if !errors.Is(err, session.ErrNotFound) { // another process was first
				failed = append(failed, err)
			}
		}
		return errors.Join(errors.Join(failed...), removeLocks(ctx, locks), sweep(store.Dir))
	}}, nil
}

func (a *app) keptLimits() (kept, error) {
	folder, err := a.limitsDir()
	if err != nil {
		return kept{}, nil
	}
	files, err := limit.Files(folder)
	if err != nil {
		return kept{}, err
	}
	return kept{"limits and usage", folder, len(files), func(ctx context.Context) error {
		var data, locks []string
		for _, path := range files {
			switch filepath.Ext(path) {
			case ".lock":
				locks = append(locks, path)
			case ".tmp": // another process may be writing it
			default:
				data = append(data, path)
			}
		}
		return errors.Join(removeFiles(data), removeLocks(ctx, locks), sweep(folder))
	}}, nil
}

// keptTemps are what a killed process left beside the configuration. A key can be in it.
func (a *app) keptTemps() (kept, error) {
	path, err := config.Path(a.Lookup)
	if err != nil {
		return kept{}, nil
	}
	dir := filepath.Dir(path)
	temps, err := filepath.Glob(filepath.Join(globbed(dir), state.TempPattern))
	return kept{"half-written files", dir, len(temps), func(context.Context) error { return sweep(dir) }}, err
}

// globbed is a path in which nothing stands for something else.
func globbed(path string) string {
	return strings.NewReplacer("*", "[*]", "?", "[?]", "[", "[[]").Replace(path)
}

func removeFiles(paths []string) error {
	var failed []error
	for _, path := range paths {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// sweep removes temporary files that killed processes left, and names those that stay.
func sweep(folder string) error {
	var failed []error
	for _, path := range state.Sweep(folder) {
		failed = append(failed, fmt.Errorf("%s: another process is writing it, or it cannot be removed", path))
	}
	return errors.Join(failed...)
}

// removeLocks removes locks that are free: their names tell of what was kept. Otherwise locks are never removed,
// since whoever waits for one that is gone and whoever makes it anew would both get in; whoever purges accepts that.
func removeLocks(ctx context.Context, paths []string) error {
	var failed []error
	for _, path := range paths {
		ctx, cancel := context.WithTimeout(ctx, purgePatience)
		unlock, err := state.Lock(ctx, path)
		cancel()
		if err == nil {
			err = removeFiles([]string{path})
			unlock()
			if err != nil { // some systems remove no file that is open
				err = removeFiles([]string{path})
			}
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// removeEmpty takes away the folders in which nothing is left.
func (a *app) removeEmpty() {
	if dir, err := a.holdDir(); err == nil {
		_ = os.Remove(dir)
	}
	if dir, err := a.stateDir(); err == nil {
		for _, folder := range []string{filepath.Join(dir, "sessions"), filepath.Join(dir, "limits"), dir} {
			_ = os.Remove(folder) // one that still holds something stays
		}
	}
}

// sure asks on a terminal; elsewhere --yes has to say so.
func (a *app) sure(yes bool) (bool, error) {
	if yes {
		return true, nil
	}
	if !a.err.TTY || !term.Look(a.Stdin, term.Preferences{}).TTY {
		return false, usagef("ferry config purge --yes removes it", "there is no terminal to ask on, and nothing was removed")
	}
	a.tell("remove all of it? [y/N] ")
	line, err := bufio.NewReader(a.Stdin).ReadString('\n')
	if err != nil && err != io.EOF {
		return false, usagef("", "cannot read the answer: %s", bare(err))
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return true, nil
	}
	a.note("nothing was removed")
	return false, nil
}

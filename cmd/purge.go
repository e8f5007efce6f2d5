package cmd

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"ferry/pkg/audit"
	"ferry/pkg/hold"
	"ferry/pkg/limit"
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
		Short: "Remove all stored data: conversations, limits, usage",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return runConfigPurge(c.Context(), a, o) },
	}
	c.Flags().BoolVar(&o.audit, "audit", false, "also remove the audit log")
	c.Flags().BoolVar(&o.yes, "yes", false, "do not ask for confirmation; required without a terminal")
	return c
}

func runConfigPurge(ctx context.Context, a *app, o purgeOptions) error {
	all, failed, err := a.stored(o)
	if err != nil {
		return err
	}
	rows := [][]string{{"stored", "files", "where"}}
	for _, k := range all {
		if k.Count > 0 {
			rows = append(rows, []string{k.What, strconv.Itoa(k.Count), k.Where})
		}
	}
	nothing := len(rows) == 1 && len(failed) == 0
	if !nothing {
		if err := a.table(term.Table, rows, 3); err != nil {
			return err
		}
		if confirmed, err := a.confirm(o.yes); err != nil || !confirmed {
			return err
		}
	}
	if !nothing || o.yes { // lock files may be left
		for _, k := range all {
			failed = append(failed, k.Remove(ctx))
		}
		a.removeEmpty()
	}
	if err := errors.Join(failed...); err != nil {
		return failedf("", "not removed:\n  %s", indented(err.Error(), 2))
	}
	if nothing {
		a.note("nothing is stored on this machine")
	} else {
		a.note("removed")
	}
	return nil
}

// stored lists everything that ferry keeps, and the folders that cannot be read. An entry without items only has lock
// files. Whatever ferry writes has to be listed here: a test looks for files that remain. Without a HOME a folder has no
// path and is skipped.
func (a *app) stored(o purgeOptions) (all []state.Stored, failed []error, err error) {
	add := func(found state.Stored, err error) {
		if err != nil {
			failed = append(failed, err)
		}
		if found.Remove != nil {
			all = append(all, found)
		}
	}
	files := func(what, dir string, paths []string, err error) {
		remove := func(ctx context.Context) error { return state.Remove(ctx, paths...) }
		add(state.Stored{What: what, Where: dir, Count: countData(paths), Remove: remove}, err)
	}
	if store, err := a.sessions(); err == nil {
		add(store.Stored())
	}
	if dir, err := a.limitsDir(); err == nil {
		paths, err := limit.Files(dir)
		files("limits and usage", dir, paths, err)
	}
	if dir, err := a.modelsDir(); err == nil {
		paths, err := state.List(dir, func(entry fs.DirEntry) bool { return isModelList(entry.Name()) || state.IsTemp(entry.Name()) })
		files("lists of models", dir, paths, err)
	}
	if dir, err := a.holdDir(); err == nil {
		sockets, err := state.List(dir, func(fs.DirEntry) bool { return true })
		add(state.Stored{What: "held connections", Where: dir, Count: countData(sockets), Remove: func(ctx context.Context) error {
			_, _, err := hold.Stop(dir)
			return errors.Join(err, state.Remove(ctx, sockets...))
		}}, err)
	}
	if path, err := a.configPath(); err == nil { // they may contain a key
		for _, dir := range []string{filepath.Dir(path), filepath.Join(filepath.Dir(path), "keys")} {
			paths, err := state.List(dir, func(entry fs.DirEntry) bool { return state.IsTemp(entry.Name()) })
			files("half-written files", dir, paths, err)
		}
	}
	s, err := a.fileSettings()
	if err != nil {
		if o.audit {
			return nil, nil, err // only the configuration has its path
		}
		return all, failed, nil
	}
	if s.values.AuditFile == "" {
		return all, failed, nil
	}
	if logs := audit.Files(s.values.AuditFile); len(logs) > 0 && o.audit {
		files("audit log", logs[0], logs, nil)
	} else if len(logs) > 0 {
		a.note("the audit log stays in %s; --audit removes it too", logs[0])
	}
	return all, failed, nil
}

// countData counts files, without lock files.
func countData(paths []string) int {
	return len(slices.DeleteFunc(slices.Clone(paths), state.IsLock))
}

// removeEmpty removes the folders that are empty.
func (e Env) removeEmpty() {
	if dir, err := e.holdDir(); err == nil {
		_ = os.Remove(dir)
	}
	if dir, err := e.stateDir(); err == nil {
		for _, folder := range []string{filepath.Join(dir, "sessions"), filepath.Join(dir, "limits"), filepath.Join(dir, "models"), dir} {
			_ = os.Remove(folder) // fails if the folder is not empty
		}
	}
}

// confirm asks for confirmation on a terminal. Without a terminal, --yes is required.
func (a *app) confirm(yes bool) (bool, error) {
	if yes {
		return true, nil
	}
	if !a.err.TTY || !term.FactsOf(a.Stdin, false).TTY {
		return false, usagef("ferry config purge --yes removes it", "there is no terminal to ask for confirmation, so nothing was removed")
	}
	a.writeErr("remove all of it? [y/N] ")
	line, err := bufio.NewReader(a.Stdin).ReadString('\n')
	if err != nil && err != io.EOF {
		return false, usagef("", "cannot read the answer: %s", bareError(err))
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return true, nil
	}
	a.note("nothing was removed")
	return false, nil
}

package session

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ferry/pkg/state"
	"ferry/pkg/text"
)

// Info is one line of a list. Members of the JSON object are only ever added.
type Info struct {
	Name    string    `json:"session"`
	Started time.Time `json:"started,omitzero"`
	Used    time.Time `json:"used"`
	Turns   int       `json:"turns"` // messages of both sides in total
	Nodes   string    `json:"nodes"`
	Pending bool      `json:"pending"` // a prompt has no answer
	// Err is the reason why the file cannot be read. Used is then the modification time of the file.
	Err error `json:"-"`
}

// List returns all conversations, the most recently used first. A file that cannot be read is listed with Err. If the
// folder does not exist, the list is empty.
func (s Store) List() ([]Info, error) {
	return s.list(func(info *Info, data []byte) error {
		session, err := decode(data)
		if err != nil {
			return err
		}
		info.Started, info.Used, info.Nodes = session.Started, session.Used, session.Nodes
		info.Turns, info.Pending = len(session.Turns), session.Pending != ""
		return nil
	})
}

// Last returns the name of the most recently used conversation. If there is none, errors.Is(err, ErrNotFound) is true.
// If the most recently written file cannot be read, it returns an error that names the file. Continuing another
// conversation instead would send that conversation's content by mistake.
func (s Store) Last() (string, error) {
	infos, err := s.list(func(info *Info, data []byte) (err error) {
		info.Used, err = lastUse(data)
		return err
	})
	switch {
	case err != nil:
		return "", err
	case len(infos) == 0:
		return "", text.Errorf("--session NAME or --new begins one", "%w to continue", ErrNotFound)
	}
	return infos[0].Name, infos[0].Err
}

// headSize is larger than everything that encode writes up to the end of "used".
const headSize = 512

// lastUse reads "used" without decoding the rest, because a history can be long.
func lastUse(data []byte) (time.Time, error) {
	dec := json.NewDecoder(bytes.NewReader(data[:min(len(data), headSize)]))
	start, err := dec.Token()
	for err == nil && start == json.Delim('{') && dec.More() {
		var key json.Token
		var used time.Time
		var skipped json.RawMessage
		if key, err = dec.Token(); key != "used" {
			err = errors.Join(err, dec.Decode(&skipped))
		} else if err = dec.Decode(&used); err == nil {
			return used, nil
		}
	}
	session, err := decode(data)
	if err != nil {
		return time.Time{}, err
	}
	return session.Used, nil
}

// list reads every conversation file with look and sorts by last use.
func (s Store) list(look func(*Info, []byte) error) ([]Info, error) {
	names, err := s.Names()
	if err != nil {
		return nil, err
	}
	var infos []Info
	for _, name := range names {
		info := Info{Name: name}
		data, err := s.read(name)
		if errors.Is(err, ErrNotFound) {
			continue // removed meanwhile
		}
		if err == nil {
			if err = look(&info, data); err != nil {
				err = s.damaged(name, err)
			}
		}
		if err != nil {
			info = Info{Name: name, Err: err}
			if file, err := os.Lstat(s.path(name)); err == nil {
				info.Used = roundTime(file.ModTime())
			}
		}
		infos = append(infos, info)
	}
	slices.SortStableFunc(infos, func(a, b Info) int { return b.Used.Compare(a.Used) })
	return infos, nil
}

// Names returns the sorted names of all conversations without reading the files.
func (s Store) Names() ([]string, error) {
	named := func(entry fs.DirEntry) bool {
		name, ok := strings.CutSuffix(entry.Name(), fileSuffix)
		return ok && checkName(name) == nil
	}
	files, err := state.List(s.Dir, named)
	if err != nil {
		return nil, unavailable(err)
	}
	var names []string
	for _, file := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(file), fileSuffix))
	}
	return names, nil
}

// Stored describes everything that is stored for conversations, including locks and temporary files.
func (s Store) Stored() (state.Stored, error) {
	names, err := s.Names()
	if err != nil {
		return state.Stored{}, err
	}
	rest, err := state.List(s.Dir, func(entry fs.DirEntry) bool {
		return state.IsTemp(entry.Name()) || state.IsLock(entry.Name()) || isAttached(entry.Name(), "")
	})
	return state.Stored{
		What: "conversations", Where: s.Dir, Count: max(len(names), min(1, len(rest))),
		Remove: func(ctx context.Context) error {
			var failed []error
			for _, name := range names {
				ctx, cancel := context.WithTimeout(ctx, state.RemoveTimeout)
				_, err := s.Remove(ctx, name)
				cancel()
				if !errors.Is(err, ErrNotFound) { // another process removed it first
					failed = append(failed, err)
				}
			}
			return errors.Join(errors.Join(failed...), state.Remove(ctx, rest...))
		},
	}, err
}

// Remove removes conversations and returns the names of the removed ones. It waits until they are not in use. It does
// not read the files, so it can also remove an unreadable one. If one of the names does not exist, it removes none, and
// errors.Is(err, ErrNotFound) is true. It also removes temporary files that killed processes left.
func (s Store) Remove(ctx context.Context, names ...string) ([]string, error) {
	defer state.Sweep(s.Dir)
	for _, name := range names {
		if err := s.find(name); err != nil {
			return nil, err
		}
	}
	return s.removeEach(ctx, names, func(string) (bool, error) { return true, nil })
}

// removeEach locks each conversation and removes it if sure returns true.
func (s Store) removeEach(ctx context.Context, names []string, sure func(name string) (bool, error)) ([]string, error) {
	var removed []string
	var failed []error
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			continue
		}
		gone, err := s.remove(ctx, name, sure)
		switch {
		case errors.Is(err, ErrNotFound): // another process removed it first
		case err != nil:
			failed = append(failed, err)
		case gone:
			removed = append(removed, name)
		}
	}
	return removed, errors.Join(failed...)
}

// find returns an error if the conversation has no file or the name is invalid. It does not read the file.
func (s Store) find(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	_, err := os.Lstat(s.path(name))
	switch err = state.NotDirError(s.path(name), err); {
	case errors.Is(err, fs.ErrNotExist):
		return notFound(name)
	case err != nil:
		return unavailable(err)
	}
	return nil
}

// remove removes one conversation, unless sure returns false.
func (s Store) remove(ctx context.Context, name string, sure func(name string) (bool, error)) (gone bool, err error) {
	if err := s.find(name); err != nil { // before lock, which would create a lock file
		return false, err
	}
	unlock, err := s.lock(ctx, name)
	if err != nil {
		return false, err
	}
	defer unlock()
	if ok, err := sure(name); !ok || err != nil {
		return false, err
	}
	switch err := os.Remove(s.path(name)); {
	case errors.Is(err, fs.ErrNotExist):
		return false, notFound(name)
	case err != nil:
		return false, unavailable(err)
	}
	if err := s.removeAttached(Session{Name: name}); err != nil {
		return true, unavailable(err)
	}
	return true, nil
}

// Prune removes the conversations that were last used more than olderThan before now, and returns their names. It keeps
// files that cannot be read and reports them in the error, which can accompany names. It also removes temporary files
// that killed processes left.
func (s Store) Prune(ctx context.Context, olderThan time.Duration, now time.Time) ([]string, error) {
	defer state.Sweep(s.Dir)
	infos, err := s.List()
	if err != nil {
		return nil, err
	}
	var old []string
	var failed []error
	for _, info := range infos {
		if info.Err != nil {
			failed = append(failed, info.Err)
		} else if now.Sub(info.Used) > olderThan {
			old = append(old, info.Name)
		}
	}
	removed, err := s.removeEach(ctx, old, func(name string) (bool, error) {
		session, err := s.Read(name) // it may have been used during the wait for the lock
		return err == nil && now.Sub(session.Used) > olderThan, err
	})
	return removed, errors.Join(append(failed, err)...)
}

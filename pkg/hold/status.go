package hold

import (
	"cmp"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ferry/pkg/state"
)

// Status is what a holder says of itself.
type Status struct {
	Node, Address string
	PID           int
	Age           time.Duration
	// Requests is how often a connection was lent, and Lent how many are lent now, of Connections that are open.
	Requests, Lent, Connections int
	// Memory is what the process has in memory, in bytes; 0 where the system does not tell.
	Memory int64
	// Left is how long it lives on if nobody comes.
	Left time.Duration
}

// List asks all holders whose sockets are in a folder. One that does not answer, or that is not this user's, is left out.
func List(dir string) ([]Status, error) {
	var all []Status
	err := each(dir, func(_ string, s Status) { all = append(all, s) })
	slices.SortFunc(all, func(s, t Status) int {
		return cmp.Or(strings.Compare(s.Node, t.Node), cmp.Compare(s.PID, t.PID))
	})
	return all, err
}

// Stop ends the holders of some nodes, all where none is named, and gives those that it ended. What is lent is finished
// first; nothing new is lent from the moment that Stop returns.
func Stop(dir string, nodes ...string) ([]Status, error) {
	var told []Status
	err := each(dir, func(path string, s Status) {
		if len(nodes) > 0 && !slices.Contains(nodes, s.Node) {
			return
		}
		conn, err := connect(path)
		if err != nil {
			return
		}
		defer conn.Close()
		if in, err := greeted(conn, conn, frame(frameLeave, "")); err == nil {
			_, _, _ = in.next() // its end is the answer
			told = append(told, s)
		}
	})
	return told, err
}

// each asks every holder in a folder about itself.
func each(dir string, do func(path string, s Status)) error {
	switch err := state.CheckOwn(dir, fs.ModeDir); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		if filepath.Ext(path) != ending {
			continue
		}
		if s, err := tell(path); err == nil {
			do(path, s)
		}
	}
	return nil
}

func tell(path string) (Status, error) {
	var s Status
	conn, err := connect(path)
	if err != nil {
		return s, err
	}
	defer conn.Close()
	in, err := greeted(conn, conn, frame(frameTell, ""))
	if err != nil {
		return s, err
	}
	kind, payload, err := in.next()
	switch {
	case err != nil:
		return s, err
	case kind != frameStatus:
		return s, errGarbage
	}
	return s, json.Unmarshal(payload, &s)
}

package hold

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ferry/pkg/state"
	"ferry/pkg/transport"
)

// Status is what a holder reports about itself.
type Status struct {
	Node, Address string
	PID           int
	Age           time.Duration
	// Requests is the number of forwarded requests, and Lent the number in progress. Connections is all connections,
	// idle ones included.
	Requests, Lent, Connections int
	// Memory is the resident memory of the process in bytes; 0 if the system does not report it.
	Memory int64
	// Left is how long it lives without another request.
	Left time.Duration
}

// List returns the status of all holders whose sockets are in a folder. mute counts the holders that do not answer in
// time. Holders that have ended or that belong to another user are left out.
func List(dir string) (all []Status, mute int, err error) {
	mute, err = forEach(dir, func(_ string, s Status) { all = append(all, s) })
	slices.SortFunc(all, func(s, t Status) int {
		return cmp.Or(strings.Compare(s.Node, t.Node), cmp.Compare(s.PID, t.PID))
	})
	return all, mute, err
}

// Stop ends the holders of the named nodes, or all holders if no node is named. It returns the holders that it ended,
// and in mute the number of holders, of any node, that do not answer. Requests in progress finish first. After Stop
// returns, these holders accept no more requests.
func Stop(dir string, nodes ...string) (stopped []Status, mute int, err error) {
	mute, err = forEach(dir, func(path string, s Status) {
		if len(nodes) > 0 && !slices.Contains(nodes, s.Node) {
			return
		}
		if _, err := sendCommand(context.Background(), path, wantEnd); err == nil {
			stopped = append(stopped, s)
		}
	})
	return stopped, mute, err
}

// forEach calls do with the status of every holder in a folder, and counts the holders that do not answer in time.
func forEach(dir string, do func(path string, s Status)) (mute int, err error) {
	switch err := state.CheckOwn(dir, fs.ModeDir); {
	case errors.Is(err, fs.ErrNotExist):
		return 0, nil
	case err != nil:
		return 0, err
	}
	paths, err := state.List(dir, func(entry fs.DirEntry) bool { return filepath.Ext(entry.Name()) == socketSuffix })
	if err != nil {
		return 0, err
	}
	for _, path := range paths {
		switch s, err := askStatus(context.Background(), path); {
		case err == nil:
			do(path, s)
		case errors.Is(err, context.DeadlineExceeded):
			mute++
		}
	}
	return mute, nil
}

func askStatus(ctx context.Context, path string) (s Status, err error) {
	answer, err := sendCommand(ctx, path, wantStatus)
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(answer, &s)
}

// sendCommand sends a command to the holder behind a socket and returns the answer.
func sendCommand(ctx context.Context, path, want string) ([]byte, error) {
	if want != wantReady { // wantReady waits until there is a connection
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, atLeast(answerTimeout))
		defer cancel()
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://holder/", http.NoBody)
	if err != nil {
		return nil, err
	}
	r.Header.Set(headerName, want)
	rt, err := transport.New(transport.Options{
		Target: r.URL, Cold: true, Dial: func(context.Context, string, string) (net.Conn, error) { return connect(path) },
	})
	if err != nil {
		return nil, err
	}
	resp, err := rt.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("the holder answered %d", resp.StatusCode)
	}
	return answer, err
}

package hold

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"ferry/pkg/state"
)

// startTimeout bounds how long a holder is waited for that is being started, by this process or by another one.
const startTimeout = time.Second

// holder connects to the holder of the settings, and starts one where there is none. Every error means that there is
// none to be had.
func (s Settings) holder(ctx context.Context) (net.Conn, error) {
	path, err := s.path()
	if err != nil {
		return nil, err
	}
	conn, err := connect(path)
	if !absent(err) {
		return conn, err
	}
	return s.start(ctx, path)
}

// start starts a holder. Of several that want the same one, each waits for the first and finds it there.
func (s Settings) start(ctx context.Context, path string) (net.Conn, error) {
	if err := state.MkdirPrivate(s.Dir); err != nil {
		return nil, err
	}
	if err := state.CheckOwn(s.Dir, fs.ModeDir); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, atLeast(startTimeout))
	defer cancel()
	unlock, err := state.Lock(ctx, filepath.Join(s.Dir, "start.lock"))
	if err != nil {
		return nil, err
	}
	defer unlock()
	conn, err := connect(path)
	if !absent(err) {
		return conn, err
	}
	if err := s.Launch.start(s.order(strings.TrimSuffix(filepath.Base(path), ending))); err != nil {
		return nil, err
	}
	return connect(path)
}

// connect connects to a socket once it is sure that socket, folder and the process behind are this user's.
func connect(path string) (net.Conn, error) {
	if err := state.CheckOwn(filepath.Dir(path), fs.ModeDir); err != nil {
		return nil, err
	}
	if err := state.CheckOwn(path, fs.ModeSocket); err != nil {
		return nil, err
	}
	// Not by ctx: its hooks would take this for the node's connection. It takes no time either way: where too many wait
	// already the kernel refuses.
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	if err := checkPeer(conn); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// absent reports whether nobody listens there, nor anybody else's file is in the way: a stale socket refuses.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
}

package hold

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"ferry/pkg/state"
)

// startTimeout bounds the wait for a holder that this process or another one is starting.
const startTimeout = time.Second

// holder connects to the holder for the settings and starts one if there is none. An error means that no holder can be
// used.
func (s Settings) holder(ctx context.Context) (net.Conn, error) {
	path, err := s.path()
	if err != nil {
		return nil, err
	}
	conn, err := connect(path)
	if !isAbsent(err) {
		return conn, err
	}
	return s.start(ctx, path)
}

// start starts a holder. If several processes want the same holder, one starts it and the others wait and then find it.
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
	if !isAbsent(err) {
		return conn, err
	}
	if err := s.Launch.start(s.order(path)); err != nil {
		return nil, err
	}
	return connect(path)
}

// errStart reports that a new holder did not start to listen.
var errStart = errors.New("no holder could be started")

// readyFD is the descriptor on which a holder reports that it listens.
const readyFD = 3

// start starts a holder and waits until it listens.
func (l Launch) start(o order) error {
	input, err := json.Marshal(o)
	if err != nil {
		return err
	}
	ready, tellReady, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ready.Close()
	c := exec.Command(l.Program)
	c.Args = append([]string{"ferry"}, l.Args...)
	c.Env = append([]string{"GODEBUG=clobberfree=1,asyncpreemptoff=1"}, l.Env...)
	c.Stdin, c.ExtraFiles = bytes.NewReader(input), []*os.File{tellReady}
	err = detach(c)
	if err == nil {
		err = c.Start()
	}
	tellReady.Close()
	if err != nil {
		return err
	}
	go func() { _ = c.Wait() }() // reaps the holder if it ends before this process does
	_ = ready.SetReadDeadline(time.Now().Add(atLeast(startTimeout)))
	if n, _ := ready.Read(make([]byte, 1)); n != 1 {
		return errStart
	}
	return nil
}

// connect connects to a socket after it has checked that the folder and the socket belong to this user. It then checks
// the process behind the socket.
func connect(path string) (net.Conn, error) {
	if err := state.CheckOwn(filepath.Dir(path), fs.ModeDir); err != nil {
		return nil, err
	}
	if err := state.CheckOwn(path, fs.ModeSocket); err != nil {
		return nil, err
	}
	// This needs no context: it does not block. If too many connections wait, the kernel refuses this one.
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

// checkPeer fails unless the process on the other side belongs to this user.
func checkPeer(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var user uint32
	var failed error
	if err := raw.Control(func(fd uintptr) { user, failed = peerUser(fd) }); err != nil {
		return err
	}
	if failed != nil {
		return failed
	}
	if own := uint32(os.Geteuid()); user != own {
		return fmt.Errorf("the process behind the socket belongs to user %d", user)
	}
	return nil
}

// isAbsent reports whether err means that no process listens and that no other file is in the way. A stale socket
// refuses a connection.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
}

//go:build !linux && !darwin

package hold

import (
	"errors"
	"os/exec"
)

// Supported reports whether this system has what holders need: sockets with a mode and a known peer.
const Supported = false

var errUnsupported = errors.New("this system cannot hold connections")

func peerUser(uintptr) (uint32, error) { return 0, errUnsupported }

func detach(*exec.Cmd) error { return errUnsupported }

func private(listen func() error) error { return errUnsupported }

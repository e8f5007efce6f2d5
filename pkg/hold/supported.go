//go:build linux || darwin

package hold

// Supported says whether this system has what holders need: sockets with a mode and a known peer.
const Supported = true

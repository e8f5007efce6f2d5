// Package hold owns a connection to a node that outlives the command. A small process, the holder, is a reverse proxy for
// one node on a Unix socket: what was DNS, TCP and TLS for the first call is one round trip for the next. It passes on
// headers, bodies and cuts as they come, has no key of its own, and writes nothing to a disk. Transport is the other
// side, an http.RoundTripper like any other, which asks the node directly where no holder is at hand.
//
// A request goes to a holder in two steps: the header first, and the body when the holder says that it takes it (100
// Continue). Until then nothing can have reached the node, and the direct way is open. After that nothing is sent twice.
//
// The package refuses to trust a socket by its name: folder, socket and the process behind have to be this user's.
package hold

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ferry/pkg/guard"
	"ferry/pkg/transport"
)

// Settings say what is held, and for how long.
type Settings struct {
	// Reach says how to connect to the node. Of two calls in which anything differs that makes a connection what it is
	// (node, target, proxy, TLS and the files it names, pins, Insecure), each has a holder of its own.
	Reach transport.Options
	// Idle is how long a holder lives without being used. The newest call's counts.
	Idle time.Duration
	// Dir is the folder of the sockets, which is made where it is missing.
	Dir string
	// Launch starts a holder.
	Launch Launch
}

// Launch is how a holder is started: a program and arguments that lead to Serve.
type Launch struct {
	Program string
	Args    []string
	// Env is all that the holder sees of the environment, as NAME=VALUE.
	Env []string
}

// order is what a holder is told when it starts, over a pipe: a proxy's address may have a password.
type order struct {
	Path, Node     string // Path is the socket's
	Target, Proxy  string
	TLS            transport.TLS
	Pins           []guard.Pin
	Insecure       bool
	HTTP3          transport.HTTP3
	Resolve        []netip.Addr
	ConnectTimeout time.Duration
	Idle           time.Duration
}

func (s Settings) order(path string) order {
	o := order{
		Path: path, Node: s.Reach.Node, Target: s.Reach.Target.String(), TLS: s.Reach.TLS,
		Pins: s.Reach.Pins, Insecure: s.Reach.Insecure, ConnectTimeout: s.Reach.ConnectTimeout, Idle: s.Idle,
		HTTP3: s.Reach.HTTP3, Resolve: s.Reach.Resolve,
	}
	if s.Reach.Proxy != nil {
		o.Proxy = s.Reach.Proxy.String()
	}
	return o
}

// grace is how much longer than the command a holder tries to connect: the command's own bound is the one that is told.
const grace = 2 * time.Second

// forever is longer than any holder lives.
const forever = math.MaxInt64

// options are the order's way to connect.
func (o order) options() (transport.Options, error) {
	t := transport.Options{
		Node: o.Node, TLS: o.TLS, Pins: o.Pins, Insecure: o.Insecure, HTTP3: o.HTTP3, Resolve: o.Resolve, Race: true,
		Raw: true, Connections: kept, MaxIdle: forever, // the holder itself ends when it is not used
	}
	if o.ConnectTimeout > 0 {
		t.ConnectTimeout = o.ConnectTimeout + grace
	}
	var err error
	if t.Target, err = url.Parse(o.Target); err == nil && o.Proxy != "" {
		t.Proxy, err = url.Parse(o.Proxy)
	}
	if err != nil {
		return t, errors.New("an address that cannot be read")
	}
	return t, nil
}

// name tells holders apart: by all that makes a connection what it is, by what is in the files, and by the program, so
// that a newer one has nothing to do with an older one's. It shows none of it.
func (s Settings) name() (string, error) {
	r := s.Reach
	// The path on the server is the request's; the server is the connection's.
	parts := []string{
		identify(s.Launch.Program), r.Node, r.Target.Scheme, r.Target.Host, s.order("").Proxy, r.TLS.Min, r.TLS.Groups,
		fmt.Sprint(r.Insecure, r.HTTP3, r.Resolve), guard.JoinPins(r.Pins, ","), strings.Join(s.Launch.Env, "\x00"),
	}
	for _, path := range []string{r.TLS.CA, r.TLS.Cert, r.TLS.Key} {
		var content []byte
		if path != "" {
			var err error
			if content, err = os.ReadFile(path); err != nil {
				return "", err
			}
		}
		parts = append(parts, path, fmt.Sprintf("%x", sha256.Sum256(content)))
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", parts)) // quoted, so that no two lists of parts are the same text
	return fmt.Sprintf("%x", sum[:12]), nil
}

// identify tells a program's file from one that has replaced it; "" where there is none.
func identify(program string) string {
	info, err := os.Stat(program)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%s %d %d", program, info.Size(), info.ModTime().UnixNano())
}

const ending = ".sock"

// maxPath is the longest path of a socket: struct sockaddr_un has 104 bytes on some systems, one of them a zero.
const maxPath = 103

// path is the socket's path.
func (s Settings) path() (string, error) {
	name, err := s.name()
	if err != nil {
		return "", err
	}
	path := filepath.Join(s.Dir, name+ending)
	if len(path) > maxPath {
		return "", fmt.Errorf("%s: too long for a socket", path)
	}
	return path, nil
}

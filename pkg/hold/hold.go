// Package hold owns a connection to a node that outlives the command. A small process, the holder, is a reverse proxy
// for one node on a Unix socket: the first call needs DNS, TCP and TLS, the next one only one round trip. The holder
// forwards headers, bodies and cuts unchanged, has no key, and writes nothing to disk. Transport is the client side: an
// http.RoundTripper that sends requests directly to the node if no holder is available.
//
// A request goes to a holder in two steps: first the header, then the body after the holder has accepted it (100
// Continue). Before that nothing can have reached the node, and the command can send the request directly. After that
// nothing is sent twice.
//
// The package refuses to trust a socket by its name: the folder, the socket and the process behind it must belong to
// this user.
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

// Settings describe the connection to hold and for how long.
type Settings struct {
	// Reach says how to connect to the node. Calls share a holder only if all settings of the connection are the same:
	// node, target, proxy, TLS and the files it names, pins, Insecure.
	Reach transport.Options
	// Idle is how long a holder lives without a request. The newest call sets it.
	Idle time.Duration
	// Dir is the folder of the sockets. It is created if it is missing.
	Dir string
	// Launch starts a holder.
	Launch Launch
}

// Launch says how to start a holder: a program and the arguments that make it call Serve.
type Launch struct {
	Program string
	Args    []string
	// Env is the complete environment of the holder, as NAME=VALUE.
	Env []string
}

// order is what a new holder reads from its standard input. It is not passed as arguments because the proxy's address
// may contain a password.
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

// grace is how much longer than the command a holder tries to connect, so that the command's own timeout is the one
// reported.
const grace = 2 * time.Second

// forever is longer than any holder lives.
const forever = math.MaxInt64

// options returns the transport options of the order.
func (o order) options() (transport.Options, error) {
	t := transport.Options{
		Node: o.Node, TLS: o.TLS, Pins: o.Pins, Insecure: o.Insecure, HTTP3: o.HTTP3, Resolve: o.Resolve, Race: true,
		Raw: true, Connections: maxIdleConns, MaxIdle: forever, // the holder itself ends when it is not used
	}
	if o.ConnectTimeout > 0 {
		t.ConnectTimeout = o.ConnectTimeout + grace
	}
	var err error
	if t.Target, err = url.Parse(o.Target); err == nil && o.Proxy != "" {
		t.Proxy, err = url.Parse(o.Proxy)
	}
	if err != nil {
		return t, errors.New("invalid address")
	}
	return t, nil
}

// name returns the name that identifies a holder: a hash of all settings of the connection, of the contents of its
// files, and of the program, so that a new version of the program does not use a holder of an old one.
func (s Settings) name() (string, error) {
	r := s.Reach
	// The path of the URL belongs to the request, the host to the connection.
	parts := []string{
		programID(s.Launch.Program), r.Node, r.Target.Scheme, r.Target.Host, s.order("").Proxy, r.TLS.Min, r.TLS.Groups,
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
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", parts)) // quoted, so that two different lists never give the same text
	return fmt.Sprintf("%x", sum[:12]), nil
}

// programID returns text that changes when the program's file is replaced; "" if there is no file.
func programID(program string) string {
	info, err := os.Stat(program)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%s %d %d", program, info.Size(), info.ModTime().UnixNano())
}

const socketSuffix = ".sock"

// maxPath is the maximum length of a socket's path: struct sockaddr_un has 104 bytes on some systems, including a zero
// byte.
const maxPath = 103

// path returns the socket's path.
func (s Settings) path() (string, error) {
	name, err := s.name()
	if err != nil {
		return "", err
	}
	path := filepath.Join(s.Dir, name+socketSuffix)
	if len(path) > maxPath {
		return "", fmt.Errorf("%s: too long for a socket", path)
	}
	return path, nil
}

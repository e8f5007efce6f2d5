// Package hold owns a connection to a node that outlives the command. A small process, the holder, keeps it open, and
// lends it over a Unix socket to one ferry after the other: what was DNS, TCP and TLS for the first is one round trip
// for the next. The holder carries bytes: it reads no request and no answer, has no key, writes nothing to a disk, and
// forgets what crossed once it has crossed. Transport is the borrower's side, an http.RoundTripper like any other, which
// goes its own way wherever a holder is not at hand.
//
// A connection is lent whole, HTTP/1.1 over TLS, to one borrower at a time; several at once get several connections.
// HTTP/2 is not spoken, for three reasons. Its compression keeps the header of a request, the key among it, in a table
// that lives as long as the connection, in a process that is to have no key, and Go's encoder cannot be told to send a
// field never-indexed. Streams that share one TCP connection wait for each other's lost packets, and lossy paths are
// what ferry is for. And a server's GOAWAY or REFUSED_STREAM would be repeated out of the attempt loop's sight.
//
// The package refuses to trust a socket by its name: folder, socket and the process behind it have to be this user's.
package hold

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
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
	// Idle is how long a holder lives without being used. The newest borrower's counts.
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

// order is what a holder is told when it starts, over a pipe that nobody else can read: a proxy's address may have a
// password.
type order struct {
	Name, Dir, Node string
	Target, Proxy   string
	TLS             transport.TLS
	Pins            []guard.Pin
	Insecure        bool
	ConnectTimeout  time.Duration
	Idle            time.Duration
}

func (s Settings) order(name string) order {
	o := order{
		Name: name, Dir: s.Dir, Node: s.Reach.Node, Target: s.Reach.Target.String(), TLS: s.Reach.TLS,
		Pins: s.Reach.Pins, Insecure: s.Reach.Insecure, ConnectTimeout: s.Reach.ConnectTimeout, Idle: s.Idle,
	}
	if s.Reach.Proxy != nil {
		o.Proxy = s.Reach.Proxy.String()
	}
	return o
}

// grace is what a holder takes longer to give up a connect than whoever waits for it: the borrower's own bound is the
// one that is told, and no second try follows it.
const grace = 2 * time.Second

// options are the order's way to connect.
func (o order) options() (transport.Options, error) {
	t := transport.Options{Node: o.Node, TLS: o.TLS, Pins: o.Pins, Insecure: o.Insecure}
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

// holdable reports whether such a connection can be lent: over plain http a proxy wants other requests.
func (s Settings) holdable() bool { return s.Reach.Target.Scheme == "https" || s.Reach.Proxy == nil }

// name tells holders apart: by all that makes a connection what it is, by what is in the files, and by the program, so
// that a newer one has nothing to do with an older one's. It shows none of it.
func (s Settings) name() (string, error) {
	r := s.Reach
	sum := sha256.New()
	say := func(part string) { // with its length, so that no two lists of parts are the same text
		fmt.Fprintf(sum, "%d:%s", len(part), part)
	}
	proxy := ""
	if r.Proxy != nil {
		proxy = r.Proxy.String()
	}
	// The path on the server is the request's; the server is the connection's.
	for _, part := range []string{
		greeting, identify(s.Launch.Program), r.Node, r.Target.Scheme, r.Target.Host, proxy, r.TLS.Min, strconv.FormatBool(r.Insecure),
		guard.JoinPins(r.Pins, ","), strings.Join(s.Launch.Env, "\x00"),
	} {
		say(part)
	}
	for _, path := range []string{r.TLS.CA, r.TLS.Cert, r.TLS.Key} {
		var content []byte
		if path != "" {
			var err error
			if content, err = os.ReadFile(path); err != nil {
				return "", err
			}
		}
		say(path)
		say(string(content))
	}
	return hex.EncodeToString(sum.Sum(nil)[:12]), nil
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

func socketPath(dir, name string) (string, error) {
	path := filepath.Join(dir, name+ending)
	if len(path) > maxPath {
		return "", fmt.Errorf("%s: too long for a socket", path)
	}
	return path, nil
}

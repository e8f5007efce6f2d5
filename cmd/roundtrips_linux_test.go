package cmd_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestRoundTrips counts, from the packets on a link, how often a command waits for the far end: once each for TCP, TLS
// 1.3 and the request, and no more. On a busy machine an end may send later than it could, which counts as more, so
// the best of several tries counts.
func TestRoundTrips(t *testing.T) {
	skipIfShort(t, "some thirty round trips over a slow link")
	findProgram(t, "nginx")
	if !aloneOnNetwork(t) {
		return
	}
	link := newSlowLink(t, 8, linkDelay, 0)
	l, more := newLinkUser(t, link, startFarNginx(t, link.far)), newNear(t, link, moreNodes(t, link))
	ferry := l.ferry
	batch, answers := filepath.Join(t.TempDir(), "batch.txt"), filepath.Join(t.TempDir(), "answers.jsonl")
	write(t, batch, "one\ntwo\nthree\nfour\n")
	quiet := []string{ferry, "ask", "-q", "--retry-delay", "0s"}
	anew := []string{"sh", "-c", `rm -f ` + answers + `; "$@" && cat ` + answers, "sh"} // a batch itself prints nothing
	var table strings.Builder
	fmt.Fprintf(&table, "%-42s %11s %s\n", "", "round trips", "  bytes out, in")
	for _, c := range []struct {
		lanes  *linkUser
		before func()
		way
	}{
		{l, nil, way{"curl", l.curlArgs, 1, 3}},
		{l, nil, way{"ferry ask", []string{ferry, "ask", "-n", "far", "hi"}, 1, 3}},
		{l, func() { l.stopHolders(t) }, way{"ferry ask --hold, the first", l.heldArgs, 1, 3}},
		{l, nil, way{"ferry ask --hold, the next", l.heldArgs, 0, 1}},
		{more, nil, way{"ferry ask, once 429", append(quiet, "-n", "again", "hi"), 1, 4}},
		{more, nil, way{"ferry ask --batch -c 1, 4 times once 429", append(anew,
			append(quiet, "-n", "again", "-c", "1", "--batch", batch, "--out", answers)...), 1, 10}},
		{more, nil, way{"ferry ask, TLS 1.3 on P-256 alone", append(quiet, "-n", "other", "hi"), 1, 4}},
		{more, nil, way{"ferry ask, TLS 1.2", append(quiet, "-n", "old", "hi"), 1, 4}},
		{more, nil, way{"ferry ask, no TLS", append(quiet, "-n", "plain", "hi"), 1, 2}},
	} {
		saw, one := c.lanes.count(t, c.way, c.before)
		equal(t, c.name+": packets of UDP", saw.others, 0)
		out, in := one.bytes()
		fmt.Fprintf(&table, "%-42s %11d %8d, %d\n", c.name, one.trips(), out, in)
	}
	t.Log("\n" + table.String())
}

// moreNodes returns far nodes that refuse every second request, or that take more or fewer round trips.
func moreNodes(t *testing.T, link *slowLink) (config string) {
	by := newAuthority(t, "more", nil)
	own := []tls.Certificate{by.issueAt(t, link.far.AsSlice())}
	return farConfig(
		farNode{"again", startFarGo(t, link, &tls.Config{Certificates: own}) + "?status=429,200", by.file, "api: messages"},
		farNode{"old", startFarGo(t, link, &tls.Config{Certificates: own, MaxVersion: tls.VersionTLS12}), by.file,
			fmt.Sprintf("api: messages, tls: {ca: %q, min: '1.2'}", by.file)},
		farNode{"other", startFarGo(t, link, &tls.Config{Certificates: own, CurvePreferences: []tls.CurveID{tls.CurveP256}}), by.file, "api: messages"},
		farNode{"plain", startFarGo(t, link, nil), "", "api: messages"},
	)
}

// startFarGo runs the demo node on Go's own server at the far end, and returns its address.
func startFarGo(t *testing.T, link *slowLink, config *tls.Config) (url string) {
	s := serve(t, nil, listeningAt(t, ":0"), withTLS(config), func(s *server) {
		if s.EnableHTTP2 = config != nil; config != nil {
			config.NextProtos = []string{"h2", "http/1.1"}
		}
	})
	scheme, _, _ := strings.Cut(s.URL, ":")
	return scheme + "://" + net.JoinHostPort(link.far.String(), s.port())
}

// bothFamilies are two names of one node, each with an IPv4 address and an IPv6 address. By RFC 6724 the first name is
// tried over IPv6 first, because its IPv6 address is global, and the second over IPv4.
var bothFamilies = []struct {
	name          string
	address       netip.Addr // of the far end; the near end has the address before it
	first, second byte       // IP versions in the order in which they are tried
}{
	{"six-test", netip.MustParseAddr("2001:db8:231::2"), 6, 4},
	{"four-test", netip.MustParseAddr("fd00:231::2"), 4, 6},
}

// TestHappyEyeballs has a name with two addresses, of which one does not answer: the other is tried a third of a
// second later (RFC 8305), and not after the connect timeout. The test counts the kernel's packets, not the time: the
// kernel resends the first packet of an unanswered connection after a second, and six times within that timeout.
func TestHappyEyeballs(t *testing.T) {
	skipIfShort(t, "a third of a second of real time for each dead path")
	if !aloneOnNetwork(t) {
		return
	}
	link := newSlowLink(t, 8, 20*time.Millisecond, 0)
	l := newEyeballs(t, link)
	ferry := l.ferry
	for _, node := range bothFamilies {
		ask := []string{ferry, "ask", "-q", "-n", node.name, "--connect-timeout", "60s", "hi"}
		l.checkFamilies(t, ask, 0, node.first)
		l.checkFamilies(t, ask, node.second, node.first) // the other path is not used
		l.checkFamilies(t, ask, node.first, node.first, node.second)
	}
	t.Run("held", func(t *testing.T) {
		l.checkFamilies(t, []string{ferry, "ask", "-q", "-n", "six-test", "--connect-timeout", "60s", "--hold", "1m", "hi"}, 6, 6, 4)
		l.stopHolders(t)
	})
	t.Run("all dead", func(t *testing.T) {
		link.dead.Store(true)
		took, err := l.timed([]string{ferry, "ask", "-q", "-n", "six-test", "--connect-timeout", "1s", "hi"})
		errorIf(t, err == nil || !strings.Contains(err.Error(), "no connection to six-test:") || took > testTimeout,
			"after %s: %v, want no connection within %s", took, err, testTimeout)
	})
}

// checkFamilies runs an ask while all packets of one IP version are lost, and checks the versions that it tries. If a
// machine is too busy to answer within a third of a second, ferry sometimes tries the other version too.
func (l *linkUser) checkFamilies(t *testing.T, args []string, dead byte, want ...byte) {
	t.Helper()
	for try := 1; ; try++ {
		saw := l.link.capture(func(data []byte) bool { return data[0]>>4 == dead })
		took := l.must(t, args)
		tried, asked := saw.families()
		t.Logf("%s with IPv%d lost: tried over IPv%d, answered in %d ms", args[4], dead, tried, took.Milliseconds())
		switch {
		case !slices.Equal(tried, want) && try < 5:
			continue
		case !slices.Equal(tried, want):
			t.Errorf("%q, with IPv%d lost: tried over IPv%d in each of %d tries, want IPv%d", args, dead, tried, try, want)
		case asked > 4:
			t.Errorf("%q, with IPv%d lost: %d packets asked over IPv%d before the other one was tried", args, dead, asked, want[0])
		}
		return
	}
}

// families returns the IP versions that were tried, and the number of connection packets sent before the second was
// tried.
func (c *capture) families() (tried []byte, asked int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.packets {
		if !p.syn || !p.outward {
			continue
		}
		if !slices.Contains(tried, p.version) {
			tried = append(tried, p.version)
		}
		if len(tried) == 1 {
			asked++
		}
	}
	return tried, asked
}

// newEyeballs returns a user at a link with IPv6, with a separate hosts file and a node at the far end.
func newEyeballs(t *testing.T, link *slowLink) *linkUser {
	by := newAuthority(t, "eyeballs", nil)
	to, err := url.Parse(startFarGo(t, link, &tls.Config{Certificates: []tls.Certificate{by.issueFor(t, bothFamilies[0].name, bothFamilies[1].name)}}))
	check(t, err)
	hosts := ""
	var nodes []farNode
	for _, node := range bothFamilies {
		hosts += fmt.Sprintf("%s %s\n%s %s\n", link.far, node.name, node.address, node.name)
		nodes = append(nodes, farNode{node.name, "https://" + net.JoinHostPort(node.name, to.Port()), by.file, "api: messages"})
		err := giveAddress6("far8", node.address)
		if err == nil {
			err = link.near(func() error { return giveAddress6("near", node.address.Prev()) })
		}
		if errors.Is(err, unix.EAFNOSUPPORT) {
			t.Skipf("skipped, for want of IPv6: %v", err)
		}
		skipUnprivileged(t, err)
		awaitAddress(t, link, net.JoinHostPort(node.address.String(), to.Port()))
	}
	l := newNear(t, link, farConfig(nodes...))
	write(t, filepath.Join(l.dir, "hosts"), hosts)
	skipUnprivileged(t, link.near(func() error { return mountHosts(filepath.Join(l.dir, "hosts")) }))
	return l
}

// awaitAddress waits until the kernel uses the IPv6 addresses, which takes some time.
func awaitAddress(t *testing.T, link *slowLink, address string) {
	eventually(t, address+" can be reached", func() bool {
		// Packets sent before the near end has its own address are never answered.
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		conn, err := link.dial(ctx, "tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// mountHosts mounts a file over /etc/hosts, for this thread and the processes that it starts.
func mountHosts(file string) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return os.NewSyscallError("unshare", err)
	}
	err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	if err == nil {
		err = unix.Mount(file, "/etc/hosts", "", unix.MS_BIND, "")
	}
	return os.NewSyscallError("mount", err)
}

// giveAddress6 gives a device an IPv6 address, in a /64 network.
func giveAddress6(device string, addr netip.Addr) error {
	on, err := net.InterfaceByName(device)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	request := struct { // in6_ifreq
		address [16]byte
		bits    uint32
		device  int32
	}{addr.As16(), 64, int32(on.Index)}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCSIFADDR, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return os.NewSyscallError("ioctl", errno)
	}
	return nil
}

// TestStrayOverSlowLink has a server send a second response some time after each answer, so that it arrives while the
// next request is in transit. The server's system cannot have acknowledged that request yet, so ferry does not use the
// response as its answer: it resends the request on a new connection.
func TestStrayOverSlowLink(t *testing.T) {
	skipIfShort(t, "a dozen round trips over a slow link")
	if !aloneOnNetwork(t) {
		return
	}
	link := newSlowLink(t, 9, linkDelay, 0)
	stray := newPromptNode(t, func(_, _ int64, c *rawConn, prompt string) bool {
		c.send(rawAnswer(prompt))
		time.AfterFunc(linkDelay/2, func() { c.send(rawAnswer("stray")) }) // a quarter of a round trip later
		return true
	}, netip.AddrPortFrom(link.far, 0).String())
	l := newNear(t, link, farConfig(farNode{"far", stray.url, "", "api: complete"}))
	in, out := filepath.Join(l.dir, "in"), filepath.Join(l.dir, "out")
	write(t, in, "one\ntwo\nthree\nfour\n")
	_, err := l.output("ask", "-q", "-n", "far", "-c", "1", "--batch", in, "--out", out)
	check(t, err)
	got := map[string]string{}
	for line := range strings.Lines(read(t, out)) {
		var answer struct{ ID, Text string }
		check(t, json.Unmarshal([]byte(line), &answer))
		got[answer.ID] = answer.Text
	}
	equal(t, "answers", got, map[string]string{"1": answerTo("one"), "2": answerTo("two"), "3": answerTo("three"), "4": answerTo("four")})
}

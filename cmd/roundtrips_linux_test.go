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

// TestRoundTrips counts from the packets on a link how often a command has to wait for the far end: TCP, TLS 1.3 and the
// request once each, and no other time. Where a busy machine has an end speak later than it could, more is counted: the
// best of some tries counts.
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
	anew := []string{"sh", "-c", `rm -f ` + answers + `; "$@" && cat ` + answers, "sh"} // a batch prints nothing by itself
	var table strings.Builder
	fmt.Fprintf(&table, "%-42s %11s %s\n", "", "round trips", "  bytes out, in")
	for _, c := range []struct {
		lanes  *linkUser
		before func()
		way
	}{
		{l, nil, way{"curl", l.curlArgs, 1, 3}},
		{l, nil, way{"ferry ask", l.directArgs, 1, 3}},
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

// moreNodes are far nodes that refuse every second time, or that take more round trips or fewer.
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

// startFarGo runs the demo node on Go's own server at the far end, and gives its address.
func startFarGo(t *testing.T, link *slowLink, config *tls.Config) (url string) {
	s := serve(t, nil, listeningAt(t, ":0"), withTLS(config), func(s *server) {
		if s.EnableHTTP2 = config != nil; config != nil {
			config.NextProtos = []string{"h2", "http/1.1"}
		}
	})
	scheme, _, _ := strings.Cut(s.URL, ":")
	return scheme + "://" + net.JoinHostPort(link.far.String(), s.port())
}

// bothFamilies are two names of one node, each with an IPv4 address and an IPv6 one. RFC 6724 has the first of them tried
// over IPv6 first, since its address there is a global one, and the second over IPv4.
var bothFamilies = []struct {
	name          string
	address       netip.Addr // of the far end; the near end's is the one before it
	first, second byte       // the versions of IP in the order in which they are tried
}{
	{"six-test", netip.MustParseAddr("2001:db8:231::2"), 6, 4},
	{"four-test", netip.MustParseAddr("fd00:231::2"), 4, 6},
}

// TestHappyEyeballs has a name with two addresses, of which one answers nothing: the other one is tried a third of a
// second later (RFC 8305), and not when the connect timeout is over. The kernel's packets count, and not the time: of a
// connection that nobody answers it sends the first again after a second, and six times before that timeout is over.
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
		l.tries(t, ask, 0, node.first)
		l.tries(t, ask, node.second, node.first) // the other path is not used
		l.tries(t, ask, node.first, node.first, node.second)
	}
	t.Run("held", func(t *testing.T) {
		l.tries(t, []string{ferry, "ask", "-q", "-n", "six-test", "--connect-timeout", "60s", "--hold", "1m", "hi"}, 6, 6, 4)
		l.stopHolders(t)
	})
	t.Run("all dead", func(t *testing.T) {
		link.dead.Store(true)
		took, err := l.timed([]string{ferry, "ask", "-q", "-n", "six-test", "--connect-timeout", "1s", "hi"})
		errorIf(t, err == nil || !strings.Contains(err.Error(), "no connection to six-test:") || took > testTimeout,
			"after %s: %v, want no connection within %s", took, err, testTimeout)
	})
}

// tries runs an ask while all packets of one version of IP are lost, and holds it to the versions that it tries. A machine
// that is too busy for an answer within a third of a second has it try the other one too, now and then.
func (l *linkUser) tries(t *testing.T, args []string, dead byte, want ...byte) {
	t.Helper()
	for try := 1; ; try++ {
		saw := l.link.captureWithout(t, dead)
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

// captureWithout begins a capture on a link that loses all packets of that version of IP.
func (l *slowLink) captureWithout(t *testing.T, version byte) *capture {
	c := l.capture(t)
	watch := func(outward bool, data []byte) bool { c.see(outward, data); return data[0]>>4 == version }
	l.watch.Store(&watch)
	return c
}

// families are the versions of IP that were tried, and how many packets asked before the second one was.
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

// newEyeballs is a user at a link with IPv6, with a hosts file of his own and a node at the far end.
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
	skipUnprivileged(t, link.near(func() error { return ownHosts(filepath.Join(l.dir, "hosts")) }))
	return l
}

// awaitAddress waits until the kernel has taken the addresses of IPv6 into use, which it does on its own time.
func awaitAddress(t *testing.T, link *slowLink, address string) {
	eventually(t, address+" can be reached", func() bool {
		// What it sends before the near end has its own address is never answered.
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		conn, err := link.dial(ctx, "tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// ownHosts puts a file over /etc/hosts, for this thread and the processes that it starts.
func ownHosts(file string) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return os.NewSyscallError("unshare", err)
	}
	err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	if err == nil {
		err = unix.Mount(file, "/etc/hosts", "", unix.MS_BIND, "")
	}
	return os.NewSyscallError("mount", err)
}

// giveAddress6 gives a device an address of IPv6, in a net of 64 bits.
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

// TestStrayOverSlowLink has a server send a second response some time behind each answer, so that it arrives while the
// next request is on its way. No system has acknowledged that request then, so the response is not taken for its answer:
// the request goes out once more on a new connection.
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

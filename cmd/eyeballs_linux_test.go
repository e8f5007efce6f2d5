package cmd_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
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

	"ferry/pkg/demo"

	"golang.org/x/sys/unix"
)

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
	long(t, "a third of a second of real time for each dead path")
	ferry := ferryReal(t)
	if !aloneOnNetwork(t) {
		return
	}
	link := newSlowLink(t, 8, 20*time.Millisecond, 0)
	l := &lanes{link: link, ferry: ferry, env: eyeballEnv(t, link)}
	for _, node := range bothFamilies {
		ask := []string{ferry, "ask", "-q", "-n", node.name, "--connect-timeout", "60s", "hi"}
		l.tries(t, ask, 0, node.first)
		l.tries(t, ask, node.second, node.first) // the other path is not used
		l.tries(t, ask, node.first, node.first, node.second)
	}
	t.Run("held", func(t *testing.T) {
		l.tries(t, []string{ferry, "ask", "-q", "-n", "six-test", "--connect-timeout", "60s", "--hold", "1m", "hi"}, 6, 6, 4)
		if out, err := l.output("config", "hold", "stop"); err != nil {
			t.Errorf("config hold stop: %v: %s", err, out)
		}
	})
	t.Run("all dead", func(t *testing.T) {
		link.dead.Store(true)
		took, err := l.timed([]string{ferry, "ask", "-q", "-n", "six-test", "--connect-timeout", "1s", "hi"})
		if err == nil || !strings.Contains(err.Error(), "no connection to six-test:") || took > testTimeout {
			t.Errorf("after %s: %v", took, err)
		}
	})
}

// tries runs an ask while all packets of one version of IP are lost, and holds it to the versions that it tries. A machine
// that is too busy for an answer within a third of a second has it try the other one too, now and then.
func (l *lanes) tries(t *testing.T, args []string, dead byte, want ...byte) {
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
	t.Helper()
	c := l.capture(t)
	watch := func(outward bool, data []byte) bool { c.see(outward, data); return data[0]>>4 == version }
	l.watch.Store(&watch)
	return c
}

// families lists over which versions of IP the near end tried to connect, in the order in which it began, and how many
// packets asked for a connection before the second one was tried.
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

// eyeballEnv gives both ends of a link their addresses of IPv6, runs a node at the far one, and gives the near one a hosts
// file of its own. The result is the environment of a ferry there.
func eyeballEnv(t *testing.T, link *slowLink) (env []string) {
	t.Helper()
	dir := t.TempDir()
	by := newAuthority(t, "eyeballs", nil)
	to, err := url.Parse(startFarGo(t, link, demo.New(demo.Options{}), &tls.Config{Certificates: []tls.Certificate{
		by.issue(t, func(c *x509.Certificate) {
			for _, node := range bothFamilies {
				c.DNSNames = append(c.DNSNames, node.name)
			}
		})}}))
	check(t, err)
	hosts, config := "", "nodes:\n"
	for _, node := range bothFamilies {
		hosts += fmt.Sprintf("%s %s\n%s %s\n", link.far, node.name, node.address, node.name)
		config += fmt.Sprintf("  %s: {url: %q, api: messages, key: \"env:FAR_KEY\", tls: {ca: %q}, proxy: none}\n",
			node.name, "https://"+net.JoinHostPort(node.name, to.Port()), by.file)
		err := giveAddress6("far8", node.address)
		if err == nil {
			err = link.near(func() error { return giveAddress6("near", node.address.Prev()) })
		}
		if errors.Is(err, unix.EAFNOSUPPORT) {
			t.Skipf("skipped, for want of IPv6: %v", err)
		}
		if err != nil {
			unlinked(t, err)
		}
		awaitAddress(t, link, net.JoinHostPort(node.address.String(), to.Port()))
	}
	for name, text := range map[string]string{"hosts": hosts, "config.yaml": config} {
		write(t, filepath.Join(dir, name), text)
	}
	if err := link.near(func() error { return ownHosts(filepath.Join(dir, "hosts")) }); err != nil {
		unlinked(t, err)
	}
	return emptyEnv(t, raceExit+"="+raceAtOnce, "XDG_RUNTIME_DIR="+dir, "FERRY_CONFIG="+filepath.Join(dir, "config.yaml"), "FAR_KEY=canary-key-0008")
}

// awaitAddress waits until the kernel has taken the addresses of IPv6 into use, which it does on its own time.
func awaitAddress(t *testing.T, link *slowLink, address string) {
	t.Helper()
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

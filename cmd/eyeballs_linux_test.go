package cmd_test

import (
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
// second later (RFC 8305), and not when the connect timeout is over.
func TestHappyEyeballs(t *testing.T) {
	if testing.Short() {
		t.Skip("long: a third of a second of real time for each dead path")
	}
	ferry := buildFerry(t)
	if !aloneOnNetwork(t) {
		return
	}
	link := newSlowLink(t, 8, 20*time.Millisecond, 0)
	l := &lanes{link: link, ferry: ferry, env: eyeballEnv(t, link)}
	for _, node := range bothFamilies {
		alive := l.tries(t, node.name, 0, node.first)
		l.tries(t, node.name, node.second, node.first) // nobody looks at the other path
		late := l.tries(t, node.name, node.first, node.first, node.second) - alive
		if late < 200*time.Millisecond || late > 3*time.Second {
			t.Errorf("%s: with IPv%d lost the answer came %s later, want some 300 ms", node.name, node.first, late)
		}
	}
	t.Run("held", func(t *testing.T) {
		saw := link.captureWithout(t, 6)
		took := l.must(t, []string{ferry, "ask", "-q", "-n", "six-test", "--connect-timeout", "20s", "--hold", "1m", "hi"})
		if tried := saw.families(); !slices.Equal(tried, []byte{6, 4}) || took > 5*time.Second {
			t.Errorf("a held ask was answered after %s, over IPv%d", took, tried)
		}
		if out, err := l.output("config", "hold", "stop"); err != nil {
			t.Errorf("config hold stop: %v: %s", err, out)
		}
	})
	t.Run("all dead", func(t *testing.T) {
		link.dead.Store(true)
		took, err := l.timed([]string{ferry, "ask", "-q", "-n", "six-test", "--connect-timeout", "1s", "hi"})
		if err == nil || !strings.Contains(err.Error(), "no connection to six-test:") || took > 10*time.Second {
			t.Errorf("after %s: %v", took, err)
		}
	})
}

// tries asks a node while all packets of one version of IP are lost, holds ferry to the versions that it tries, and gives
// how long the answer took.
func (l *lanes) tries(t *testing.T, node string, dead byte, want ...byte) time.Duration {
	t.Helper()
	saw := l.link.captureWithout(t, dead)
	took := l.must(t, []string{l.ferry, "ask", "-q", "-n", node, "--connect-timeout", "20s", "hi"})
	tried := saw.families()
	t.Logf("%-9s with IPv%d lost: tried over IPv%d, answered in %d ms", node, dead, tried, took.Milliseconds())
	if !slices.Equal(tried, want) {
		t.Errorf("%s, with IPv%d lost: tried over IPv%d, want IPv%d", node, dead, tried, want)
	}
	return took
}

// captureWithout begins a capture on a link that loses all packets of that version of IP.
func (l *slowLink) captureWithout(t *testing.T, version byte) *capture {
	t.Helper()
	c := l.capture(t)
	watch := func(outward bool, data []byte) bool { c.see(outward, data); return data[0]>>4 == version }
	l.watch.Store(&watch)
	return c
}

// families lists over which versions of IP the near end tried to connect, in the order in which it began.
func (c *capture) families() (tried []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.packets {
		if p.syn && p.outward && !slices.Contains(tried, p.version) {
			tried = append(tried, p.version)
		}
	}
	return tried
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
	if err != nil {
		t.Fatal(err)
	}
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
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := link.near(func() error { return ownHosts(filepath.Join(dir, "hosts")) }); err != nil {
		unlinked(t, err)
	}
	return emptyEnv(t, "XDG_RUNTIME_DIR="+dir, "FERRY_CONFIG="+filepath.Join(dir, "config.yaml"), "FAR_KEY=canary-key-0008")
}

// awaitAddress waits until the kernel has taken the addresses of IPv6 into use, which it does on its own time.
func awaitAddress(t *testing.T, link *slowLink, address string) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for tick := time.NewTicker(10 * time.Millisecond); ; <-tick.C {
		conn, err := link.dial(t.Context(), "tcp", address)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not to be reached within 5 s: %v", err)
		}
	}
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

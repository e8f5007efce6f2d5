package cmd_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// ownNetwork is the variable of a test that runs itself again, which says that it has its own network.
const ownNetwork = "FERRY_TEST_OWN_NETWORK"

// aloneOnNetwork runs the test again as a process with its own network, in which it may create devices, and reports
// whether this is that process. The machine's network is not changed, and everything is removed when the process ends.
//
// Not every system allows this, and no package adds it, so this is the only skip that CI accepts. .ci/run shows it.
func aloneOnNetwork(t *testing.T) bool {
	if os.Getenv(ownNetwork) != "" {
		return true
	}
	tun, err := os.OpenFile(tunDevice, os.O_RDWR, 0)
	if err != nil {
		t.Skipf("skipped, for want of a way to make a slow link: %v", err)
	}
	tun.Close()
	plain := &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	asUser := &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}},
		AmbientCaps: []uintptr{unix.CAP_NET_ADMIN, unix.CAP_SYS_ADMIN},
	}
	var out strings.Builder
	again, err := runAgain(t, &out, plain)
	if err != nil {
		again, err = runAgain(t, &out, asUser)
	}
	if err != nil {
		t.Skipf("skipped, for want of the right to make a network namespace: %v", err)
	}
	err = again.Wait()
	t.Logf("in a network of its own:\n%s", out.String())
	switch {
	case err != nil:
		t.Error(err)
	case strings.Contains(out.String(), "--- SKIP: "+t.Name()+" "):
		t.Skip("skipped there; see above for want of what")
	case !strings.Contains(out.String(), "--- PASS: "+t.Name()+" "):
		t.Error("it did not run there")
	}
	return false
}

func runAgain(t *testing.T, out *strings.Builder, how *syscall.SysProcAttr) (*exec.Cmd, error) {
	self, err := os.Executable()
	check(t, err)
	limit := time.Hour
	if deadline, ok := t.Deadline(); ok {
		limit = time.Until(deadline)
	}
	c := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout="+limit.String())
	c.Env = append(os.Environ(), ownNetwork+"=1")
	c.Stdout, c.Stderr, c.SysProcAttr = out, out, how
	return c, c.Start()
}

// slowLink connects this process's network, the far end, with another network, the near end.
type slowLink struct {
	far   netip.Addr
	jobs  chan func()
	space int // file descriptor of the near end's network
	loss  float64
	// dead drops everything.
	dead atomic.Bool
	// watch gets each packet as an end sends it, outward if from the near end. The packet is dropped if watch returns
	// true.
	watch atomic.Pointer[func(outward bool, data []byte) (lost bool)]
}

const tunDevice = "/dev/net/tun"

// newSlowLink creates a link that delays each packet and drops some, each way. number distinguishes links.
func newSlowLink(t *testing.T, number byte, delay time.Duration, loss float64) *slowLink {
	l := &slowLink{jobs: make(chan func())}
	skipUnprivileged(t, deviceUp("lo"))
	go l.work()
	err := l.near(func() (err error) {
		if err = unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return os.NewSyscallError("unshare", err)
		}
		if l.space, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
			return &os.PathError{Op: "open", Path: "/proc/thread-self/ns/net", Err: err}
		}
		return deviceUp("lo")
	})
	skipUnprivileged(t, err)
	t.Cleanup(func() { close(l.jobs); unix.Close(l.space) })
	l.connect(t, "near", number, delay, loss)
	return l
}

// secondLink creates a second link from the same near end to another address of the far end.
func (l *slowLink) secondLink(t *testing.T, number byte, delay time.Duration, loss float64) *slowLink {
	second := &slowLink{jobs: l.jobs, space: l.space}
	second.connect(t, fmt.Sprint("near", number), number, delay, loss)
	return second
}

// connect creates the devices of both ends, and carries packets between them until the test ends.
func (l *slowLink) connect(t *testing.T, device string, number byte, delay time.Duration, loss float64) {
	near := netip.AddrFrom4([4]byte{10, 231, number, 1})
	l.far, l.loss = near.Next(), loss
	farTun, err := newTun(fmt.Sprint("far", number), l.far)
	skipUnprivileged(t, err)
	var nearTun *os.File
	skipUnprivileged(t, l.near(func() (err error) { nearTun, err = newTun(device, near); return err }))
	// Closing the devices ends carry.
	t.Cleanup(func() { farTun.Close(); nearTun.Close() })
	go l.carry(true, nearTun, farTun, delay, loss, rand.New(rand.NewPCG(uint64(number), 1)))
	go l.carry(false, farTun, nearTun, delay, loss, rand.New(rand.NewPCG(uint64(number), 2)))
}

// skipUnprivileged skips the test if a permission is missing, and fails it on any other error.
func skipUnprivileged(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		t.Skipf("skipped, for want of the right to make a slow link: %v", err)
	}
	check(t, err)
}

// work runs the thread at the near end. It is never unlocked, so that no other goroutine runs there.
func (l *slowLink) work() {
	runtime.LockOSThread()
	for job := range l.jobs {
		job()
	}
}

// near runs a function at the near end. Processes that it starts and sockets that it opens are there too.
func (l *slowLink) near(do func() error) error {
	done := make(chan error)
	l.jobs <- func() { done <- do() }
	return <-done
}

// dial connects from the near end, on a separate thread that is not used again.
func (l *slowLink) dial(ctx context.Context, network, address string) (net.Conn, error) {
	type dialled struct {
		conn net.Conn
		err  error
	}
	done := make(chan dialled, 1)
	go func() {
		runtime.LockOSThread()
		if err := unix.Setns(l.space, unix.CLONE_NEWNET); err != nil {
			done <- dialled{err: os.NewSyscallError("setns", err)}
			return
		}
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		done <- dialled{conn, err}
	}()
	d := <-done
	return d.conn, d.err
}

// carry moves packets from one end to the other. The link adds the delay; no test waits here.
func (l *slowLink) carry(outward bool, from, to *os.File, delay time.Duration, loss float64, chance *rand.Rand) {
	type packet struct {
		due  time.Time
		data []byte
	}
	late := make(chan packet, 1<<12)
	defer close(late)
	go func() {
		for p := range late {
			time.Sleep(time.Until(p.due))
			if !l.dead.Load() {
				_, _ = to.Write(p.data) // a packet that cannot be written is lost, as on any link
			}
		}
	}()
	buffer := make([]byte, 1<<16)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		lost := chance.Float64() < loss
		if watch := l.watch.Load(); watch != nil && (*watch)(outward, buffer[:n]) {
			lost = true
		}
		if !lost {
			late <- packet{time.Now().Add(delay), append([]byte(nil), buffer[:n]...)}
		}
	}
}

// newTun creates a device in this thread's network, whose packets this process reads and writes.
func newTun(name string, addr netip.Addr) (*os.File, error) {
	fd, err := unix.Open(tunDevice, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: tunDevice, Err: err}
	}
	request, err := unix.NewIfreq(name)
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err == nil {
		err = setAddress(name, addr)
	}
	if err == nil {
		err = deviceUp(name)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("device %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// setAddress gives a device an address in a /30 network.
func setAddress(device string, addr netip.Addr) error {
	for _, set := range []struct {
		request uint
		value   [4]byte
	}{{unix.SIOCSIFADDR, addr.As4()}, {unix.SIOCSIFNETMASK, [4]byte{255, 255, 255, 252}}} {
		err := onDevice(device, func(fd int, r *unix.Ifreq) error {
			if err := r.SetInet4Addr(set.value[:]); err != nil {
				return err
			}
			return unix.IoctlIfreq(fd, set.request, r)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func deviceUp(device string) error {
	return onDevice(device, func(fd int, r *unix.Ifreq) error {
		if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, r); err != nil {
			return err
		}
		r.SetUint16(r.Uint16() | unix.IFF_UP)
		return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r)
	})
}

func onDevice(device string, do func(fd int, r *unix.Ifreq) error) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq(device)
	if err != nil {
		return err
	}
	return do(fd, request)
}

// capture is the traffic on a slow link. The test carries the packets itself, so it needs no other tool to see them.
type capture struct {
	mu      sync.Mutex
	started time.Time
	packets []packet
	// others counts outward UDP packets; a name lookup would send some.
	others int
}

// packet is a TCP or UDP packet, as an end sent it. The first packet of a QUIC connection counts as its SYN.
type packet struct {
	at            time.Duration
	outward       bool
	version       byte   // IP version
	port          uint16 // the near end's, which identifies the connection
	size, payload int    // with and without the IP and TCP headers
	syn, fin, udp bool
}

// capture starts a capture, which replaces an earlier one. The link drops each packet for which lost returns true; nil
// drops none.
func (l *slowLink) capture(lost func(data []byte) bool) *capture {
	c := &capture{started: time.Now()}
	watch := func(outward bool, data []byte) bool { c.see(outward, data); return lost != nil && lost(data) }
	l.watch.Store(&watch)
	return c
}

func (c *capture) see(outward bool, data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	protocol, rest := ipPayload(data)
	p := packet{at: time.Since(c.started), outward: outward, version: data[0] >> 4, size: len(data), udp: protocol == 17}
	switch {
	case p.udp && len(rest) >= 8:
		p.payload = len(rest) - 8
	case protocol == 6 && len(rest) >= 20 && len(rest) >= int(rest[12]>>4)*4:
		p.payload, p.fin, p.syn = len(rest)-int(rest[12]>>4)*4, rest[13]&1 != 0, rest[13]&2 != 0
	default:
		return
	}
	p.port = binary.BigEndian.Uint16(rest[2:])
	if outward {
		p.port = binary.BigEndian.Uint16(rest)
	}
	if p.udp && outward {
		c.others++
		initial := p.payload > 0 && rest[8]&0xf0 == 0xc0 // RFC 9000 section 17.2.2
		p.syn = initial && !slices.ContainsFunc(c.packets, func(q packet) bool { return q.udp && q.port == p.port })
	}
	c.packets = append(c.packets, p)
}

// ipPayload returns the protocol that an IP packet carries, and its payload.
func ipPayload(data []byte) (protocol byte, rest []byte) {
	switch {
	case len(data) >= 20 && data[0]>>4 == 4 && len(data) >= int(data[0]&15)*4:
		return data[9], data[int(data[0]&15)*4:]
	case len(data) >= 40 && data[0]>>4 == 6: // extension headers do not occur here
		return data[6], data[40:]
	}
	return 0, nil
}

// connection returns the packets of one connection.
func (c *capture) connection(port uint16) *capture {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := &capture{started: c.started, others: c.others}
	for _, p := range c.packets {
		if p.port == port {
			one.packets = append(one.packets, p)
		}
	}
	return one
}

// ports returns the connections on which the near end sent something, and the new ones among them. An older connection
// that it only closes, with TLS's close_notify and a FIN, does not count.
func (c *capture) ports() (spoken, made []uint16) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var closed []uint16
	for _, p := range c.packets {
		if !p.outward {
			continue
		}
		if (p.syn || p.payload > 0) && !slices.Contains(spoken, p.port) {
			spoken = append(spoken, p.port)
		}
		if p.syn && !slices.Contains(made, p.port) {
			made = append(made, p.port)
		}
		if p.fin {
			closed = append(closed, p.port)
		}
	}
	return slices.DeleteFunc(spoken, func(port uint16) bool {
		return slices.Contains(closed, port) && !slices.Contains(made, port)
	}), made
}

// trips counts how often the far end sent something after the near end, until the near end closed. On a link that
// drops nothing and delays for longer than either end takes to respond, these are the round trips until the answer
// arrived. Only payload and SYNs count; a bare TCP acknowledgement waits for nothing, and nothing waits for it. What
// the far end sends before the near end's packet can have reached it answers an earlier packet.
func (c *capture) trips() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	const nothing = -1
	asked := time.Duration(nothing)
	for _, p := range c.packets {
		switch {
		case p.fin && p.outward:
			return n
		case p.payload == 0 && !p.syn:
		case p.outward && asked == nothing:
			asked = p.at
		case !p.outward && asked != nothing && p.at-asked >= linkDelay:
			asked = nothing
			n++
		}
	}
	return n
}

// bytes returns the bytes sent each way, headers included.
func (c *capture) bytes() (out, in int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.packets {
		if p.outward {
			out += p.size
		} else {
			in += p.size
		}
	}
	return out, in
}

// sequence returns in order what the near end (>) and the far end (<) sent, as ">SYN <SYN >320 <900 <80 >90".
func (c *capture) sequence() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	for _, p := range c.packets {
		sign := map[bool]string{true: ">", false: "<"}[p.outward]
		if p.syn {
			b.WriteString(sign + "SYN ")
		} else if p.payload > 0 {
			fmt.Fprint(&b, sign, p.payload, " ")
		}
	}
	return b.String()
}

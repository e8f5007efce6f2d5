package transport

import (
	"context"
	"errors"
	"net"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// TestCancellingTCP cancels a call during the TCP handshake: the listener's queue is full, and the system drops the
// packets.
func TestCancellingTCP(t *testing.T) {
	l := listen(t)
	raw, err := l.(*net.TCPListener).SyscallConn()
	check(t, err)
	check(t, raw.Control(func(fd uintptr) { check(t, syscall.Listen(int(fd), 0)) }))
	full, err := net.Dial("tcp", l.Addr().String())
	check(t, err)
	defer full.Close()
	for name, o := range map[string]Options{
		"node":  {Target: mustURL(t, "http://"+l.Addr().String())},
		"race":  {Target: mustURL(t, "http://"+l.Addr().String()), Race: true},
		"proxy": {Target: mustURL(t, "https://node.test"), Proxy: mustURL(t, "http://"+l.Addr().String())},
	} {
		rt := build(t, o)
		ctx, cancel := context.WithCancelCause(t.Context())
		ended := make(chan error)
		go func() {
			_, err := rt.RoundTrip(request(t, o.Target.String(), body("prompt")).WithContext(ctx))
			ended <- err
		}()
		for stacks := make([]byte, 1<<20); !strings.Contains(string(stacks), "netFD).connect("); runtime.Gosched() {
			runtime.Stack(stacks, true)
		}
		cause := errors.New("the caller's")
		cancel(cause)
		err := <-ended
		errorIf(t, !errors.Is(err, cause) || !Unsent(err),
			"%s: %v, unsent %t; want the cause, unsent", name, err, Unsent(err))
		left := goroutines()
		errorIf(t, left != "", "%s: goes on after its context: %s", name, left)
	}
}

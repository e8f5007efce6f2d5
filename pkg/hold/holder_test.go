package hold

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

func TestTenCallsOneConnection(t *testing.T) {
	r := newRig(t, nil).hold()
	for i := range 10 {
		r.must(words(i))
	}
	r.checkCounts(1, 10)
	if n := r.handshakes.Load(); n != 1 {
		t.Errorf("%d handshakes", n)
	}
	eventually(t, "the last is over", func() bool { return r.status().Lent == 0 })
	if s := r.status(); s.Requests != 10 || s.Connections != 1 || s.Lent != 0 || s.Node != "test" || s.PID != os.Getpid() {
		t.Errorf("%+v", s)
	}
}

func TestFiftyAtOnce(t *testing.T) {
	r := newRig(t, nil).hold()
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() { r.must(words(i)) })
	}
	all.Wait()
	if n := r.requests.Load(); n != 50 {
		t.Errorf("%d requests", n)
	}
	eventually(t, "all are back", func() bool { return r.status().Lent == 0 && r.status().Connections <= maxIdleConns })
	if s := r.status(); s.Requests != 50 || s.Connections > maxIdleConns {
		t.Errorf("%+v", s)
	}
	before := r.connections.Load()
	r.must("one more")
	if r.connections.Load() != before {
		t.Error("none of the connections was kept")
	}
}

// A holder ends when it has not been used for its idle time, and not while it is in use.
func TestIdle(t *testing.T) {
	r := newRig(t, nil).hold()
	r.must("first")
	r.settings.Idle = 3 * time.Minute // the newest call's value is used
	r.advanceInSteps(50 * time.Second)
	r.must("second")
	r.advanceInSteps(170 * time.Second)
	r.must("third")
	if left := r.status().Left; left != 3*time.Minute {
		t.Errorf("%v left, want 3m", left)
	}
	r.advanceInSteps(3 * time.Minute)
	<-r.ended
	if _, err := os.Lstat(r.path()); !os.IsNotExist(err) {
		t.Errorf("the socket: %v, want none", err)
	}
	r.checkCounts(1, 3)
	r.must("fourth, directly") // Launch names no program, so no holder can be started
	r.checkCounts(2, 4)
}

func TestEndsWithoutItsFiles(t *testing.T) {
	for name, change := range map[string]func(*rig){
		"the socket is gone":      func(r *rig) { os.Remove(r.path()) },
		"the program is replaced": func(r *rig) { r.replaced.Store(true) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.settings.Idle = 100_000 * time.Hour // nothing else ends it
			r.hold().must("first")
			change(r)
			r.advanceInSteps(checkInterval + 2*maintainInterval)
			<-r.ended
		})
	}
}

func TestStop(t *testing.T) {
	begun, finish := make(chan bool), make(chan bool)
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("the first half, "))
		w.(http.Flusher).Flush()
		close(begun)
		<-finish
		_, _ = w.Write([]byte("and the second"))
	}).hold()
	answer := make(chan string)
	go func() {
		got, err := r.call("a long one")
		if err != nil {
			got = err.Error()
		}
		answer <- got
	}()
	<-begun
	if told, _, err := Stop(r.settings.Dir, "another"); len(told) != 0 || err != nil {
		t.Errorf("%v %v", told, err)
	}
	all, _, err := List(r.settings.Dir)
	if len(all) != 1 || err != nil || all[0].Lent != 1 {
		t.Fatalf("%+v %v", all, err)
	}
	if told, _, err := Stop(r.settings.Dir, "test"); len(told) != 1 || err != nil {
		t.Errorf("%v %v", told, err)
	}
	if _, err := os.Lstat(r.path()); !os.IsNotExist(err) {
		t.Errorf("it listens still: %v", err)
	}
	close(finish)
	if got := <-answer; got != "the first half, and the second" {
		t.Error(got)
	}
	<-r.ended
	if all, _, err := List(r.settings.Dir); len(all) != 0 || err != nil {
		t.Errorf("%v %v", all, err)
	}
}

// A connection that the server closes is replaced before it is needed: at once the first time, then less and less
// often.
func TestReplacedAheadOfNeed(t *testing.T) {
	r := newRig(t, nil)
	r.settings.Idle = 100_000 * time.Hour
	r.hold().must("first")
	for i, pause := range []time.Duration{0, 5 * time.Second, 10 * time.Second, 20 * time.Second} {
		eventually(t, "a connection waits", func() bool { return r.idleConns() == 1 })
		r.server.CloseClientConnections()
		eventually(t, "it is known", func() bool { return r.idleConns() == 0 || r.connections.Load() == int64(i+2) })
		if pause > 0 {
			r.advanceInSteps(pause - 3*maintainInterval)
			if n := r.connections.Load(); n != int64(i+1) {
				t.Errorf("replacement %d came before %v were over", i+1, pause)
			}
		}
		r.advanceInSteps(3 * maintainInterval)
		eventually(t, "a replacement", func() bool { return r.connections.Load() == int64(i+2) })
	}
	eventually(t, "a connection waits", func() bool { return r.idleConns() == 1 })
	r.must("second")
	r.checkCounts(5, 2)
	r.server.CloseClientConnections() // it has been used since: replaced at once again
	r.advanceInSteps(2 * maintainInterval)
	eventually(t, "a replacement", func() bool { return r.connections.Load() == 6 })
}

func (r *rig) idleConns() int { return r.holder.upstream.Idle() }

// If a server closes after each answer, a connection is still ready for the next request.
func TestConnectionClose(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		_, _ = w.Write([]byte("x"))
	}).hold()
	for range 3 {
		r.must("x")
		r.advanceInSteps(2 * maintainInterval)
		eventually(t, "a connection", func() bool { return r.idleConns() == 1 })
	}
	r.checkCounts(4, 3)
}

// A holder that never had a connection ends early.
func TestNothingToHold(t *testing.T) {
	r := newRig(t, nil).hold()
	r.server.Close()
	if got, err := r.call("hello"); err == nil {
		t.Errorf("%q, want an error", got)
	}
	r.advanceInSteps(2 * maintainInterval)
	<-r.ended
}

// TestMute counts a holder that accepts a connection and does not answer, such as a stopped one, but not one that has
// ended.
func TestMute(t *testing.T) {
	r := newRig(t, nil)
	usualWaits(t)
	must(t, os.MkdirAll(r.settings.Dir, 0o700))
	mute, err := net.Listen("unix", filepath.Join(r.settings.Dir, "mute"+socketSuffix))
	must(t, err)
	must(t, os.Chmod(mute.Addr().String(), 0o600))
	defer mute.Close()
	ended, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(r.settings.Dir, "ended"+socketSuffix), Net: "unix"})
	must(t, err)
	ended.SetUnlinkOnClose(false)
	must(t, os.Chmod(ended.Addr().String(), 0o600))
	must(t, ended.Close())
	if all, mute, err := List(r.settings.Dir); len(all) != 0 || mute != 1 || err != nil {
		t.Errorf("List: %v, %d that do not answer, %v, want none and 1", all, mute, err)
	}
	if told, mute, err := Stop(r.settings.Dir); len(told) != 0 || mute != 1 || err != nil {
		t.Errorf("Stop: %v, %d that do not answer, %v, want none and 1", told, mute, err)
	}
}

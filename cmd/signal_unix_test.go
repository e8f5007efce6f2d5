//go:build unix

package cmd

import (
	"os"
	"os/signal"
	"syscall"
	"testing"
)

// TestCatchAfterEnd checks that a signal is no longer caught when the process is about to die of one: it would be
// lost.
func TestCatchAfterEnd(t *testing.T) {
	kept := make(chan os.Signal, 1)
	signal.Notify(kept, syscall.SIGHUP) // the test survives its own signal
	defer signal.Stop(kept)
	var c signalCatcher
	if caught := c.end(); caught != nil {
		t.Errorf("got %v, want no signal: none came", *caught)
	}
	late, release := c.catch(t.Context())
	defer release()
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	<-kept
	signal.Stop(kept) // waits until all channels have received the signal
	if late.Err() != nil || c.caught.Load() != nil {
		t.Errorf("got %v and %v, want nothing caught after the end", late.Err(), c.caught.Load())
	}
}

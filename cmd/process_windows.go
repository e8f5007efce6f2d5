package cmd

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

func prepareProcess() error { return nil }

// checkFileLimit accepts any number: Windows has no separate limit on the connections of a process.
func checkFileLimit(int) error { return nil }

// endOfInput names the keys that end the input on a terminal.
const endOfInput = "Ctrl-Z on a line of its own, and Enter,"

// reraiseSignal returns the exit code that a shell would show. Windows has no signals to raise.
func reraiseSignal(caught os.Signal) int {
	return 128 + int(caught.(syscall.Signal)) // the only type of signals
}

// isClosedPipe reports whether a write failed because the pipe's reader has gone.
func isClosedPipe(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, windows.ERROR_NO_DATA) || errors.Is(err, windows.ERROR_BROKEN_PIPE)
}

// Now returns the current time by the performance counter: on Windows the clock of package time stands still for up to
// 16 ms.
func (systemClock) Now() time.Time { return preciseClock()() }

var preciseClock = sync.OnceValue(func() func() time.Time {
	kernel := windows.NewLazySystemDLL("kernel32.dll")
	counter, frequency := kernel.NewProc("QueryPerformanceCounter"), kernel.NewProc("QueryPerformanceFrequency")
	ask := func(what *windows.LazyProc) (n int64) {
		what.Call(uintptr(unsafe.Pointer(&n))) // cannot fail since Windows XP
		return n
	}
	start, zero, second := time.Now(), ask(counter), ask(frequency)
	return func() time.Time {
		ticks := ask(counter) - zero
		return start.Add(time.Duration(ticks/second)*time.Second + time.Duration(ticks%second)*time.Second/time.Duration(second))
	}
})

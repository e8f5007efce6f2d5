package main

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// alarm wakes one goroutine. Go's own timers are late by up to a millisecond where nothing else goes on, because they
// wait in whole ones; a timerfd is late by some microseconds.
type alarm struct {
	fd   int
	file *os.File // the same, so that a read of it parks the goroutine and no thread
}

func newAlarm() (alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return alarm{}, os.NewSyscallError("timerfd_create", err)
	}
	return alarm{fd, os.NewFile(uintptr(fd), "timerfd")}, nil
}

// wait returns at due. Where the timer cannot be had it returns at once, and the figures show that.
func (a alarm) wait(due time.Time) {
	left := time.Until(due)
	if left <= 0 {
		return
	}
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(left))}
	if err := unix.TimerfdSettime(a.fd, 0, &spec, nil); err != nil {
		return
	}
	var expirations [8]byte
	a.file.Read(expirations[:])
}

func (a alarm) close() { a.file.Close() }

//go:build !linux

package main

import "time"

// alarm is Go's own timer.
type alarm struct{}

func newAlarm() (alarm, error) { return alarm{}, nil }

func (alarm) wait(due time.Time) { time.Sleep(time.Until(due)) }

func (alarm) close() {}

package config

import "time"

// noHold keeps no connection beyond its command.
const noHold = "off"

func checkHold(s string) *Error {
	if s == noHold {
		return nil
	}
	if d, err := time.ParseDuration(s); err != nil || d < time.Second || d > maxDuration {
		return bad("wants a duration from 1s to 24h, such as 5m (300 to 600 seconds are advised), or off", "")
	}
	return nil
}

// HoldFor is how long a connection to the node is kept without use, 0 for not beyond the command: a flag or variable
// wins, then the node's own, then the file's.
func (v *Values) HoldFor(n Node) time.Duration {
	text := v.ownOr(n.Hold, "hold")
	if text == noHold {
		return 0
	}
	d, _ := time.ParseDuration(text) // checked
	return d
}

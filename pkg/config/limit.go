package config

import (
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"ferry/pkg/text"
)

// The forms of a limit and of a budget. Package limit reads the same ones: this package may not import it, and has its
// own rule so that a mistake is found with its line. A test of cmd holds the two to each other.
const (
	noLimit    = "none"
	wantLimit  = "use a limit such as 50/min or 600/min burst 5, or none"
	wantBurst  = "use a burst from 1 to 10000"
	wantBudget = "use a budget such as 200000 tokens/day, or none"

	maxBurst  = 10_000
	maxBudget = 1_000_000_000_000
	burstWord = " burst "
)

func checkLimit(s string) *Error {
	if s == noLimit {
		return nil
	}
	rate, burst, bursts := strings.Cut(s, burstWord)
	if err := checkRate(rate); err != nil {
		return err
	}
	if bursts {
		return checkBurst(burst)
	}
	return nil
}

func checkRate(s string) *Error {
	if _, _, ok := text.ParseRate(s); !ok {
		return bad(wantLimit, "")
	}
	return nil
}

func checkBurst(s string) *Error {
	if checkNumber(s, maxBurst) != nil {
		return bad(wantBurst, "")
	}
	return nil
}

func checkBudget(s string) *Error {
	if s == noLimit {
		return nil
	}
	fields := strings.Fields(s)
	if len(fields) != 2 || fields[1] != "tokens/day" {
		return bad(wantBudget, "")
	}
	if n, err := strconv.ParseUint(fields[0], 10, 63); err != nil || n < 1 || n > maxBudget {
		return bad("use a whole number of tokens from 1 to "+itoa(maxBudget), "")
	}
	return nil
}

// limitMap reads the long form of a limit, {rate: 50/min, burst: 5}, into the short one.
func limitMap(m *yaml.Node, key string) (string, *Error) {
	var rate, burst string
	fault := each(m, key, func(name string, k, v *yaml.Node) *Error {
		var err *Error
		switch name {
		case "rate":
			if rate, err = scalar(v, kindText); err == nil {
				err = checkRate(rate)
			}
		case "burst":
			if burst, err = scalar(v, kindNumber); err == nil {
				err = checkBurst(burst)
			}
			burst = burstWord + burst
		default:
			return at(k, join(key, name), bad(meant("unknown key", name, []string{"rate", "burst"}), ""))
		}
		if err != nil {
			return at(v, key+"."+name, err)
		}
		return nil
	})
	if fault == nil && rate == "" {
		fault = at(m, key+".rate", bad("is required", ""))
	}
	return rate + burst, fault
}

// noHold keeps no connection beyond its command.
const noHold = "off"

func checkHold(s string) *Error {
	if s == noHold {
		return nil
	}
	if d, err := time.ParseDuration(s); err != nil || d < time.Second || d > maxDuration {
		return bad("use a duration from 1s to 24h, such as 5m (300 to 600 seconds are advised), or off", "")
	}
	return nil
}

// splitLimit takes a limit apart that was checked.
func splitLimit(text string) (rate string, burst int) {
	rate, after, bursts := strings.Cut(text, burstWord)
	if !bursts {
		return rate, 1
	}
	return rate, number(after)
}

package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ferry/pkg/guard"
	"ferry/pkg/retry"
	"ferry/pkg/text"
	"ferry/pkg/wire"
)

const (
	maxDuration = 24 * time.Hour
	maxAttempts = 100
	maxTokens   = 1<<31 - 1

	// The bounds of a log file's size. A file smaller than a few lines would be rotated by each of them.
	leastLog = 256 << 10
	mostLog  = 1 << 30
)

func checkNumber(s string, most int) *Error {
	if n, err := strconv.Atoi(s); err != nil || n < 1 || n > most || s[0] == '+' {
		return bad(fmt.Sprintf("use a whole number from 1 to %d", most), "")
	}
	return nil
}

func checkAttempts(s string) *Error { return checkNumber(s, maxAttempts) }

func checkTokens(s string) *Error { return checkNumber(s, maxTokens) }

// number and duration read what was checked; duration is 0 for off.
func number(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}

func duration(text string) time.Duration {
	d, _ := time.ParseDuration(text)
	return d
}

func checkPolicy(s string) *Error { return checkOneOf(s, retry.Policies()) }

func checkAPI(s string) *Error { return checkOneOf(s, wire.APIs()) }

func checkOneOf[T ~string](s string, known []T) *Error {
	var names []string
	for _, k := range known {
		names = append(names, string(k))
	}
	if slices.Contains(names, s) {
		return nil
	}
	return bad(meant("use one of "+strings.Join(names, ", "), s, names), "")
}

func checkTimeout(s string) *Error {
	if d, err := time.ParseDuration(s); err != nil || d <= 0 || d > maxDuration {
		return bad("use a duration above 0 and at most 24h, such as 90s or 10m", "")
	}
	return nil
}

func checkDelay(s string) *Error {
	if d, err := time.ParseDuration(s); err != nil || d < 0 || d > maxDuration {
		return bad("use a duration from 0s to 24h, such as 2s", "")
	}
	return nil
}

func checkHold(s string) *Error {
	if s == "off" {
		return nil
	}
	if d, err := time.ParseDuration(s); err != nil || d < time.Second || d > maxDuration {
		return bad("use a duration from 1s to 24h, such as 5m (300 to 600 seconds are advised), or off", "")
	}
	return nil
}

func checkBool(s string) *Error {
	if s != "true" && s != "false" {
		return bad("use true or false", "")
	}
	return nil
}

// checkSwitch takes true and false too: older files have them.
func checkSwitch(s string) *Error {
	if s != "on" && s != "off" && s != "true" && s != "false" {
		return bad("use on or off", "")
	}
	return nil
}

func checkTLS(s string) *Error {
	if s != "1.2" && s != "1.3" {
		return bad(`use "1.2" or "1.3"`, "")
	}
	return nil
}

// checkOutput knows no form: each command knows its own.
func checkOutput(s string) *Error {
	if !isWord(s) {
		return bad("use a word, such as text or json", "")
	}
	return nil
}

func checkModel(s string) *Error {
	if err := checkText(s); err != nil {
		return err
	}
	if strings.ContainsAny(s, " \t") {
		return bad("use a model's name, which has no spaces", "")
	}
	return nil
}

// Rate is how many requests may go out in a time, and how many of them at once. The zero Rate is no limit.
type Rate struct {
	Events int
	Per    time.Duration // from a second to a day
	Burst  int           // at least 1
}

const (
	noLimit   = "none"
	burstWord = " burst "

	maxBurst  = 10_000
	maxBudget = 1_000_000_000_000
)

// parseLimit reads none, a rate, or a rate and a burst as in "600/min burst 5".
func parseLimit(s string) (Rate, *Error) {
	if s == noLimit {
		return Rate{}, nil
	}
	events, burst, bursts := strings.Cut(s, burstWord)
	rate, err := parseRate(events)
	if err == nil && bursts {
		err = checkBurst(burst)
		rate.Burst = number(burst)
	}
	return rate, err
}

func parseRate(s string) (Rate, *Error) {
	events, per, ok := text.ParseRate(s)
	if !ok {
		return Rate{}, bad("use a limit such as 50/min or 600/min burst 5, or none", "")
	}
	return Rate{events, per, 1}, nil
}

func checkLimit(s string) *Error {
	_, err := parseLimit(s)
	return err
}

func checkBurst(s string) *Error {
	if checkNumber(s, maxBurst) != nil {
		return bad(fmt.Sprintf("use a burst from 1 to %d", maxBurst), "")
	}
	return nil
}

// parseBudget reads "200000 tokens/day", and none as 0.
func parseBudget(s string) (int64, *Error) {
	if s == noLimit {
		return 0, nil
	}
	fields := strings.Fields(s)
	if len(fields) != 2 || fields[1] != "tokens/day" {
		return 0, bad("use a budget such as 200000 tokens/day, or none", "")
	}
	n, err := strconv.ParseUint(fields[0], 10, 63)
	if err != nil || n < 1 || n > maxBudget {
		return 0, bad(fmt.Sprintf("use a whole number of tokens from 1 to %d", maxBudget), "")
	}
	return int64(n), nil
}

func checkBudget(s string) *Error {
	_, err := parseBudget(s)
	return err
}

func checkContent(s string) *Error {
	if names := []string{"none", "redacted"}; !slices.Contains(names, s) {
		return bad(meant("use none or redacted", s, names), "")
	}
	return nil
}

func checkLogSize(s string) *Error {
	if n := sizeOf(s); n < leastLog || n > mostLog {
		return bad("use a size from 256KiB to 1GiB, such as 10MiB", "")
	}
	return nil
}

// sizeOf reads a size such as 10MiB or 10MB, -1 where it is none.
func sizeOf(s string) int64 {
	for _, unit := range []struct {
		name string
		size int64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}} {
		digits, ok := strings.CutSuffix(s, unit.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSuffix(digits, " "), 10, 31)
		if err != nil {
			return -1
		}
		return int64(n) * unit.size
	}
	return -1
}

func checkFiltered(s string) *Error {
	if places := []string{"prompt", "answer"}; !slices.Contains(places, s) {
		return bad(meant("is not one of prompt, answer", s, places), "")
	}
	return nil
}

// checkWord holds a word to what the filter can look for. It is not repeated in a message.
func checkWord(s string) *Error {
	if err := checkText(s); err != nil {
		return err
	}
	var fault *guard.FilterError
	if _, err := guard.NewFilter("", []string{s}); errors.As(err, &fault) {
		return bad(fault.Reason, "")
	}
	return nil
}

// checkPattern does not repeat a pattern: it may be the very name that is not to be logged.
func checkPattern(s string) *Error {
	if err := checkText(s); err != nil {
		return err
	}
	var fault *guard.PatternError
	if _, err := guard.NewRedactor([]string{s}); errors.As(err, &fault) {
		return bad(fmt.Sprintf("cannot be used: character %d: %s", fault.Column, fault.Reason), fault.Hint())
	}
	return nil
}

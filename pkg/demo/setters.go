package demo

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
)

func delay(field func(*faults) *time.Duration) func(*faults, string) error {
	return func(f *faults, v string) error {
		d, err := time.ParseDuration(v)
		if err != nil || d < 0 || d > maxDelay {
			return fmt.Errorf("want a duration from 0s to %s, such as 800ms", maxDelay)
		}
		*field(f) = d
		return nil
	}
}

func size(limit int64, set func(*faults, int64)) func(*faults, string) error {
	return func(f *faults, v string) error {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < 0 || n > limit {
			return fmt.Errorf("want a whole number from 0 to %d", limit)
		}
		set(f, n)
		return nil
	}
}

func setStatuses(f *faults, v string) error {
	for s := range strings.SplitSeq(v, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 100 || n > 599 {
			return errors.New("want statuses from 100 to 599, such as 429,200")
		}
		if len(f.statuses) == maxStatuses {
			return fmt.Errorf("want at most %d statuses", maxStatuses)
		}
		f.statuses = append(f.statuses, n)
	}
	return nil
}

func setSuccess(f *faults, v string) error {
	p, err := strconv.ParseFloat(v, 64)
	hundredths := math.Round(p * 100)
	// The comparison also refuses NaN and a third decimal, which no window of requests could show.
	if err != nil || !(p >= 0 && p <= 100) || math.Abs(hundredths-p*100) > 1e-6 {
		return errors.New("want a percentage from 0 to 100 with at most two decimals")
	}
	f.success = int(hundredths)
	return nil
}

func setRetryAfter(f *faults, v string) error {
	// A header cannot hold these; net/http would alter them, and the value would no longer be sent as it is.
	if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }) || len(v) > 1024 {
		return errors.New("want at most 1024 bytes without control characters")
	}
	f.retryAfter = &v
	return nil
}

func setRedirectTo(f *faults, v string) error {
	u, err := url.Parse(v)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return errors.New("want an http or https url")
	}
	f.redirectTo = u.String()
	if f.redirect == 0 {
		f.redirect = always
	}
	return nil
}

func setTruncate(f *faults, v string) error {
	return choose(&f.truncate, v, map[string]cutting{"": cut, "clean": cutClean}, "nothing or clean")
}

func setEnvelope(f *faults, v string) error {
	return choose(&f.envelope, v, map[string]enveloping{"": numberStatus, "number": numberStatus, "string": stringStatus},
		"nothing, number or string")
}

func setGzip(f *faults, v string) error {
	return choose(&f.gzip, v, map[string]packing{"": gzipped, "bomb": bomb}, "nothing or bomb")
}

// choose sets one of a few words' meanings.
func choose[T any](to *T, word string, meanings map[string]T, want string) error {
	meaning, ok := meanings[word]
	if !ok {
		return errors.New("want " + want)
	}
	*to = meaning
	return nil
}

func setChunk(f *faults, v string) error {
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 1 || n > maxChunk {
		return fmt.Errorf("want a whole number from 1 to %d", maxChunk)
	}
	f.chunk = n
	return nil
}

func setEchoKey(f *faults, v string) error {
	if v != "" {
		return errors.New("takes no value")
	}
	f.echoKey = true
	return nil
}

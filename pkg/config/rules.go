package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ferry/pkg/guard"
	"ferry/pkg/text"
	"ferry/pkg/wire"
)

func checkOneOf(s, msg string, words ...string) *Error {
	if slices.Contains(words, s) {
		return nil
	}
	return newError(didYouMean(msg, s, words), "")
}

func checkAPI(s string) *Error { return checkNamed(s, wire.APIs()) }

func checkNamed[T ~string](s string, names []T) *Error {
	var words []string
	for _, name := range names {
		words = append(words, string(name))
	}
	return checkOneOf(s, "use one of "+strings.Join(words, ", "), words...)
}

func checkNumber(s string, most int) *Error {
	n, err := strconv.Atoi(s)
	return require(err == nil && n >= 1 && n <= most && s[0] != '+', fmt.Sprintf("use a whole number from 1 to %d", most))
}

func checkTokens(s string) *Error { return checkNumber(s, 1<<31-1) }

func checkDuration(s string, least time.Duration, msg string) *Error {
	d, err := time.ParseDuration(s)
	return require(err == nil && d >= least && d <= 24*time.Hour, msg)
}

func checkTimeout(s string) *Error {
	return checkDuration(s, 1, "use a duration above 0 and at most 24h, such as 90s or 10m")
}

func checkDelay(s string) *Error {
	return checkDuration(s, 0, "use a duration from 0s to 24h, such as 2s")
}

func checkHold(s string) *Error {
	if s == "off" {
		return nil
	}
	return checkDuration(s, time.Second,
		"use a duration from 1s to 24h, such as 5m (300 to 600 seconds are recommended), or off")
}

func checkBool(s string) *Error { return require(s == "true" || s == "false", "use true or false") }

// checkSwitch also accepts true and false, which older files have.
func checkSwitch(s string) *Error {
	return require(s == "on" || s == "off" || s == "true" || s == "false", "use on or off")
}

func checkTLS(s string) *Error { return require(s == "1.2" || s == "1.3", `use "1.2" or "1.3"`) }

// checkGroup is the rule for one of a node's TLS key exchange groups.
func checkGroup(s string) *Error {
	groups := []string{"x25519", "x25519mlkem768", "p256", "p384"}
	return checkOneOf(s, "use "+strings.Join(groups, ", "), groups...)
}

// checkOutput checks only that s is a word: each command has its own output forms.
func checkOutput(s string) *Error { return require(isWord(s), "use a word, such as text or json") }

func checkModel(s string) *Error {
	return cmp.Or(checkText(s), require(!strings.ContainsAny(s, " \t"), "use a model's name, which has no spaces"),
		require(!strings.Contains(s, ","), "use one model"))
}

func checkLimit(s string) *Error {
	_, err := parseLimit(s)
	return err
}

func checkBurst(s string) *Error {
	return require(checkNumber(s, maxBurst) == nil, fmt.Sprintf("use a burst from 1 to %d", maxBurst))
}

func checkBudget(s string) *Error {
	_, err := parseBudget(s)
	return err
}

// checkLogSize refuses sizes so small that a few lines, or even each line, would rotate the file.
func checkLogSize(s string) *Error {
	n := sizeOf(s)
	return require(n >= 256<<10 && n <= 1<<30, "use a size from 256KiB to 1GiB, such as 10MiB")
}

// checkWord requires a word that the filter can search for. The message does not repeat it.
func checkWord(s string) *Error {
	if err := checkText(s); err != nil {
		return err
	}
	var fault *guard.FilterError
	if _, err := guard.NewFilter("", []string{s}); errors.As(err, &fault) {
		return newError(fault.Reason, "")
	}
	return nil
}

// checkPattern does not repeat the pattern in the message: it may be the very name that must not be logged.
func checkPattern(s string) *Error {
	if err := checkText(s); err != nil {
		return err
	}
	var fault *guard.PatternError
	if _, err := guard.NewRedactor([]string{s}); errors.As(err, &fault) {
		return newError(fmt.Sprintf("cannot be used: character %d: %s", fault.Column, fault.Reason), text.Hint(err))
	}
	return nil
}

func checkAuth(s string) *Error {
	if name, ok := strings.CutPrefix(s, "header:"); ok {
		return checkHeaderName(name)
	}
	return require(s == AuthXAPIKey || s == AuthBearer || s == AuthNone, "use x-api-key, bearer, header:NAME or none")
}

// checkZone is the rule for a node's zone, such as cn or eu-west. Messages repeat it.
func checkZone(s string) *Error {
	return cmp.Or(checkText(s), require(isNodeName(s), "use a word such as cn or eu-west"))
}

// checkNodeProxy refuses an empty proxy in a node, which would mean neither "none" nor "the same as for other nodes".
func checkNodeProxy(s string) *Error {
	if s == "" {
		return newError("has no value", "use none, or leave the key out")
	}
	return checkProxy(s)
}

func checkVersion(s string) *Error {
	plain := len(s) <= 40 && containsOnly(s, alphanumeric+"-.")
	return cmp.Or(checkText(s), require(plain, `use a version such as "2023-06-01"`))
}

// checkAlias requires a word as the alias and a model's name as its value.
func checkAlias(name, model string) *Error {
	return cmp.Or(require(isWord(name), "use an alias that is a word"), require(model != "", "has no value"), checkModel(model))
}

func checkPin(s string) *Error {
	_, err := guard.ParsePin(s)
	if err != nil {
		return newError(err.Error(), "ferry config pin NODE shows the pins of a node's chain, ready to paste")
	}
	return nil
}

// checkHeaderName requires a token (RFC 9110 section 5.6.2) and refuses the headers that the user must not set.
func checkHeaderName(name string) *Error {
	if name == "" || len(name) > 128 || !containsOnly(name, alphanumeric+"!#$%&'*+-.^_`|~") {
		return newError("use a header's name: letters, digits and -", "")
	}
	switch strings.ToLower(name) {
	case "host", "content-length", "transfer-encoding", "connection", "keep-alive", "proxy-connection", "te", "trailer",
		"upgrade", "expect":
		return newError("this header frames the request, and only ferry sets it", "")
	case "content-type", "content-encoding", "accept-encoding":
		return newError("this header describes the body, and only ferry sets it", "")
	case "anthropic-version":
		return newError("this header is set by version:", "")
	case "idempotency-key", "x-idempotency-key":
		return newError("this header is refused: a library or gateway may send a request that carries it again, "+
			"past the attempts counted here", "")
	}
	return nil
}

// parseHeader reads one entry of headers. A literal value is public, so it is refused if the header's name indicates a
// secret.
func parseHeader(name, value string) (Header, *Error) {
	if err := checkHeaderName(name); err != nil {
		return Header{}, err
	}
	if isRef(value) {
		return Header{Name: name, Ref: Ref(value)}, checkRef(value)
	}
	switch lower := strings.ToLower(name); {
	case lower == "proxy-authorization", lower == "cookie", isCredentialName(lower):
		return Header{}, newError("a literal key is refused, and not shown", refHint)
	}
	if err := checkText(value); err != nil {
		return Header{}, err
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
		return Header{}, newError("use visible ASCII", "")
	}
	return Header{Name: name, Value: strings.TrimSpace(value)}, nil
}

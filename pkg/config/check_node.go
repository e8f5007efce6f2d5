package config

import (
	"strings"

	"ferry/pkg/guard"
)

func checkRef(s string) *Error {
	_, err := parseRef(s)
	return err
}

func checkAuth(s string) *Error {
	_, err := parseAuth(s)
	return err
}

func parseAuth(s string) (Auth, *Error) {
	switch s {
	case AuthXAPIKey, AuthBearer, AuthNone:
		return Auth{Scheme: s}, nil
	}
	name, ok := strings.CutPrefix(s, "header:")
	if !ok {
		return Auth{}, bad("use x-api-key, bearer, header:NAME or none", "")
	}
	return Auth{AuthHeader, name}, checkHeaderName(name)
}

// checkZone is the rule for where a node is, such as cn or eu-west: it is repeated in messages.
func checkZone(s string) *Error {
	if err := checkText(s); err != nil {
		return err
	}
	if !isNodeName(s) {
		return bad("use a word such as cn or eu-west", "")
	}
	return nil
}

// checkNodeProxy: an empty proxy in a node would say neither "none" nor "as elsewhere".
func checkNodeProxy(s string) *Error {
	if s == "" {
		return bad("has no value", "say none, or leave the key out")
	}
	return checkProxy(s)
}

func checkVersion(s string) *Error {
	if err := checkText(s); err != nil {
		return err
	}
	for i := range len(s) {
		if !isAlnum(s[i]) && s[i] != '-' && s[i] != '.' || len(s) > 40 {
			return bad(`use a version such as "2023-06-01"`, "")
		}
	}
	return nil
}

// checkAlias wants a word for the alias and a model's name for what it stands for.
func checkAlias(name, model string) *Error {
	if !isWord(name) {
		return bad("use an alias that is a word", "")
	}
	if model == "" {
		return bad("has no value", "")
	}
	return checkModel(model)
}

func checkPin(s string) *Error {
	_, err := guard.ParsePin(s)
	if err != nil {
		return bad(err.Error(), "ferry config pin NODE shows the pins of a node's chain, ready to paste")
	}
	return nil
}

// checkHeaderName wants a token (RFC 9110 section 5.6.2) and refuses the headers that are not the user's to set.
func checkHeaderName(name string) *Error {
	if !isToken(name) {
		return bad("use a header's name: letters, digits and -", "")
	}
	switch strings.ToLower(name) {
	case "host", "content-length", "transfer-encoding", "connection", "keep-alive", "proxy-connection", "te", "trailer",
		"upgrade", "expect":
		return bad("this header frames the request, and is ferry's to set", "")
	case "content-type", "content-encoding", "accept-encoding":
		return bad("this header describes the body, and is ferry's to set", "")
	case "anthropic-version":
		return bad("this header is set by version:", "")
	case "idempotency-key", "x-idempotency-key":
		return bad("this header is refused: a library or gateway may send a request that carries it again, "+
			"past the attempts counted here", "")
	}
	return nil
}

func isToken(s string) bool {
	for i := range len(s) {
		if !isAlnum(s[i]) && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(s[i])) {
			return false
		}
	}
	return s != "" && len(s) <= 128
}

// parseHeader reads one entry of headers. A literal is public, so it is refused where the header's name says secret.
func parseHeader(name, value string) (Header, *Error) {
	if err := checkHeaderName(name); err != nil {
		return Header{}, err
	}
	if isRef(value) {
		ref, err := parseRef(value)
		return Header{Name: name, Ref: ref}, err
	}
	switch lower := strings.ToLower(name); lower {
	case "authorization", "proxy-authorization", "x-api-key", "api-key", "cookie":
		return Header{}, bad("a literal key is refused, and not shown", refHint)
	default:
		if isCredentialName(lower) {
			return Header{}, bad("a literal key is refused, and not shown", refHint)
		}
	}
	if err := checkText(value); err != nil {
		return Header{}, err
	}
	for i := range len(value) {
		if value[i] < ' ' || value[i] > '~' {
			return Header{}, bad("use visible ASCII", "")
		}
	}
	return Header{Name: name, Value: strings.TrimSpace(value)}, nil
}

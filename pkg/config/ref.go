package config

import "strings"

const refHint = "a key is named, not written: env:NAME, file:PATH, cmd:COMMAND or keyring:NAME"

// Ref says where a secret is: env:NAME, file:PATH, cmd:COMMAND or keyring:NAME. It is public; the secret is not in it.
// The zero Ref leads nowhere.
type Ref struct{ scheme, rest string }

// parseRef reads a reference. A literal is refused with an *Error that does not repeat it, and so is a reference that
// is malformed, which may be a key in the wrong place.
func parseRef(s string) (Ref, *Error) {
	scheme, rest, _ := strings.Cut(s, ":")
	if !isRef(s) {
		return Ref{}, bad("a literal key is refused, and not shown", refHint)
	}
	if err := checkText(s); err != nil {
		return Ref{}, err
	}
	if strings.TrimSpace(rest) == "" {
		return Ref{}, bad("has nothing after "+scheme+":", refHint)
	}
	if scheme == "env" && !isVariable(rest) {
		return Ref{}, bad("wants a variable's name after env:", refHint)
	}
	if scheme == "cmd" {
		if _, err := splitCommand(rest); err != nil {
			return Ref{}, err
		}
	}
	return Ref{scheme, rest}, nil
}

// isRef holds for what begins as a reference does.
func isRef(s string) bool {
	scheme, _, ok := strings.Cut(s, ":")
	if !ok {
		return false
	}
	switch scheme {
	case "env", "file", "cmd", "keyring":
		return true
	}
	return false
}

func isVariable(s string) bool {
	for i := range len(s) {
		if s[i] != '_' && (!isAlnum(s[i]) || i == 0 && s[i] <= '9') {
			return false
		}
	}
	return s != ""
}

// String is the reference as it is written in the file.
func (r Ref) String() string {
	if r.IsZero() {
		return ""
	}
	return r.scheme + ":" + r.rest
}

// IsZero reports whether there is no reference.
func (r Ref) IsZero() bool { return r.scheme == "" }

package config

import (
	"strings"

	"ferry/pkg/guard"
)

// looksLikeKey is guard's rule for a public setting. It is a net under the rule that the file holds references only: it
// catches a key pasted into a label, a URL or the place of a reference. Pins are hashes of public keys, which may hold
// any letters.
func looksLikeKey(s string) bool {
	return !(strings.HasPrefix(s, "sha256//") && arePins(s)) && guard.LooksLikeKey(s)
}

func arePins(s string) bool {
	for _, item := range splitCommas(s) {
		if _, err := guard.ParsePin(item); err != nil {
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

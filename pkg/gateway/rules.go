package gateway

import (
	"strconv"
	"strings"
)

func itoa(n int) string { return strconv.Itoa(n) }

const wordBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// only holds for text of these bytes alone.
func only(s, allowed string) bool { return strings.Trim(s, allowed) == "" }

func isPlainWord(s string) bool { return s != "" && only(s, wordBytes) }

func isPlainPath(s string) bool { return only(s, wordBytes+"./~") && !strings.Contains(s, "//") }

// isPlainFile holds for what config's rule of paths lets through, and for none.
func isPlainFile(s string) bool { return !strings.ContainsAny(s, "\"'\\$;{}#*?[]`\r\n\x00") }

// isHost holds for a name, not for an address: OpenSSL, as nginx calls it, never finds an address in a certificate.
func isHost(s string) bool {
	return s != "" && only(s, wordBytes+".") && !only(s, "0123456789.")
}

// quoted is a word of nginx's in double quotes. Only values of geo pass here unchecked: nginx expands no variable there.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

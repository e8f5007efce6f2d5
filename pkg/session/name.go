package session

import (
	"crypto/rand"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ferry/pkg/text"
)

// maxName is the most bytes of a name: with what is put around it, it fits every file system.
const maxName = 64

// NewName makes a name that can be read and that no other call makes: the minute, in now's own zone, and six letters or
// digits by chance.
func NewName(now time.Time) string {
	return now.Format("2006-01-02-1504-") + strings.ToLower(rand.Text()[:6])
}

// checkName fails where name cannot name a conversation. It may have letters, digits and marks of every
// script, '-', '_' and '.', at most 64 bytes in all. It begins with neither '.', whose files are hidden, nor '-', which
// would be taken for a flag, nor a mark, and is no device of Windows, so that it names the same thing everywhere.
func checkName(name string) error {
	bad := func(reason string) error {
		hint := fmt.Sprintf("letters, digits, - _ and . make a name, up to %d bytes", maxName)
		return text.Errorf(hint, "%q cannot name a session: %s", name, reason)
	}
	switch {
	case name == "":
		return bad("it is empty")
	case len(name) > maxName:
		return fmt.Errorf("a session's name has at most %d bytes; this one has %d", maxName, len(name))
	case !utf8.ValidString(name):
		return bad("it is not UTF-8")
	case name[0] == '.', name[0] == '-':
		return bad("it begins with " + name[:1])
	case isDevice(name):
		return bad("Windows has a device of that name")
	}
	for i, r := range name {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), strings.ContainsRune("-_.", r), i > 0 && unicode.IsMark(r):
		default:
			return bad(fmt.Sprintf("it has %q", r))
		}
	}
	return nil
}

// isDevice reports whether Windows takes name for a device, whatever follows its first dot.
func isDevice(name string) bool {
	base, _, _ := strings.Cut(strings.ToLower(name), ".")
	switch base {
	case "con", "prn", "aux", "nul":
		return true
	}
	number := strings.TrimPrefix(strings.TrimPrefix(base, "com"), "lpt")
	return number != base && utf8.RuneCountInString(number) == 1 && strings.Contains("0123456789¹²³", number)
}

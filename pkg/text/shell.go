package text

import (
	"fmt"
	"runtime"
	"strings"
)

// SetVariable returns the command that sets an environment variable: for PowerShell on Windows, else for a POSIX shell.
func SetVariable(name, value string) string {
	if runtime.GOOS == "windows" {
		return "$env:" + name + `="` + value + `"`
	}
	return "export " + name + "=" + value
}

// ShellWord quotes a word for a POSIX shell if necessary. If the word has characters that a terminal acts on, it uses
// the $'...' form of bash, zsh and ksh.
func ShellWord(word string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+,./:@%"
	if word != "" && strings.Trim(word, plain) == "" {
		return word
	}
	if Line(word) != word {
		var b strings.Builder
		for _, c := range []byte(word) {
			if c < ' ' || c > '~' || c == '\'' || c == '\\' {
				fmt.Fprintf(&b, `\x%02x`, c)
				continue
			}
			b.WriteByte(c)
		}
		return "$'" + b.String() + "'"
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// ShellWords quotes words and joins them by spaces.
func ShellWords(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = ShellWord(word)
	}
	return strings.Join(quoted, " ")
}

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

// CommandWord quotes a word of a command that a hint shows: for the shells of Windows with double quotes, else like
// ShellWord. A word that contains a double quote cannot be the path of a file on Windows; it is quoted like ShellWord.
func CommandWord(word string) string { return commandWord(word, runtime.GOOS) }

func commandWord(word, system string) string {
	const plain = `abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_+./:\`
	switch {
	case system != "windows" || Line(word) != word || strings.Contains(word, `"`):
		return ShellWord(word)
	case word != "" && strings.Trim(word, plain) == "":
		return word
	}
	return `"` + word + `"`
}

// ShellWords quotes words and joins them by spaces.
func ShellWords(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = ShellWord(word)
	}
	return strings.Join(quoted, " ")
}

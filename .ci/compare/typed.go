package main

import (
	"path/filepath"
	"regexp"
	"strings"
)

// typist writes down what was run as a reader would type it: programs by their names, files without our folder, and
// $NODE for the address that changes with each run.
type typist struct {
	work  string
	whole map[string]string // arguments that stand for something shorter
}

func newTypist(work, ferry string) typist {
	return typist{work: work + string(filepath.Separator), whole: map[string]string{
		ferry:                          "ferry",
		sdkScript:                      `"$(cat ../../.ci/compare/sdk.mjs)"`,
		filepath.Join(work, "loop.sh"): ".ci/compare/loop.sh",
	}}
}

var (
	plainNode  = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)
	secureNode = regexp.MustCompile(`https://127\.0\.0\.1:\d+`)
	needsNone  = regexp.MustCompile(`^(\$NODE)?[A-Za-z0-9_@%+=:,./-]+$|^\$NODE$`)
)

// text is a file's text, or an argument, with our folder and addresses taken out.
func (t typist) text(s string) string {
	s = strings.ReplaceAll(s, t.work, "")
	return plainNode.ReplaceAllLiteralString(secureNode.ReplaceAllLiteralString(s, "$SECURE_NODE"), "$NODE")
}

// argument is one word for a shell.
func (t typist) argument(s string) string {
	if short := t.whole[s]; short != "" {
		return short
	}
	s = t.text(s)
	switch {
	case needsNone.MatchString(s):
		return s
	case strings.Contains(s, "$NODE"):
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "`", "\\`").Replace(s) + `"`
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func (t typist) line(argv ...string) string {
	words := make([]string, len(argv))
	for i, word := range argv {
		words[i] = t.argument(word)
	}
	return strings.Join(words, " ")
}

// command is the line that runs c.
func (t typist) command(c *contestant) string {
	line := t.line(c.argv...)
	if c.dir != "" {
		line = "cd testdata/sdk && " + line
	}
	if c.load == nil {
		return line
	}
	if len(c.load.pin) > 0 {
		line = t.line(c.load.pin...) + " " + line
	}
	if c.load.input != "" {
		line += " <" + targetsFile
	}
	if c.load.after != nil {
		line += " && " + t.line(c.load.after...)
	}
	return line
}

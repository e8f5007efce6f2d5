package cmd

import (
	"strings"

	"ferry/pkg/client"
	"ferry/pkg/wire"
)

// noBlockError is an answer that has no code block, where one was to be extracted.
type noBlockError struct{}

func (noBlockError) Error() string { return "there is no fenced code block in the answer" }

// printBlock prints the first code block of an answer and nothing else. Without one the answer goes to standard error:
// it was paid for.
func (a *app) printBlock(answer wire.Answer) error {
	block, ok := firstBlock(answer.Text)
	if !ok {
		a.keep("the answer", answer.Text)
		return &client.Error{Class: client.NotAnAnswer, Status: 200, Err: noBlockError{}}
	}
	return a.printText(wire.Answer{Text: block}, false)
}

// firstBlock is the content of the first fenced code block of a text (CommonMark section 4.5), false without a whole
// one: a fence of at least three backticks or tildes, closed by one at least as long.
func firstBlock(text string) (string, bool) {
	var block strings.Builder
	fence := ""
	for line := range strings.Lines(text) {
		content := strings.TrimRight(line, "\r\n")
		bare := strings.TrimLeft(content, " ")
		indent := len(content) - len(bare)
		mark := fenceOf(bare)
		switch {
		case fence == "" && mark != "" && indent < 4:
			fence = mark
		case fence == "":
		case mark != "" && indent < 4 && mark[0] == fence[0] && len(mark) >= len(fence) && strings.Trim(bare, mark[:1]+" \t") == "":
			return block.String(), true
		default:
			block.WriteString(line)
		}
	}
	return "", false
}

// fenceOf is the fence that a line begins with, "" without one.
func fenceOf(line string) string {
	for _, mark := range []string{"`", "~"} {
		rest := strings.TrimLeft(line, mark)
		if n := len(line) - len(rest); n >= 3 && (mark == "~" || !strings.Contains(rest, "`")) {
			return line[:n]
		}
	}
	return ""
}

package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"ferry/pkg/client"
	"ferry/pkg/state"
	"ferry/pkg/term"
)

// maxPrompt is the most bytes a prompt may have: the request limit of the messages API.
const maxPrompt = 32 << 20

const (
	// silentPipe is how long a pipe may be silent before ferry says that it waits for it.
	silentPipe = 2 * time.Second
	// deadPipe is the same under -q: nothing may ever come, and a script with -q would wait in silence.
	deadPipe = 30 * time.Second
)

// promptOptions say where a prompt comes from.
type promptOptions struct {
	args    []string
	files   []string
	noStdin bool
}

// readPrompt puts the prompt together: the arguments joined by a space, standard input where it brings something, and
// the files, with a blank line between the parts. Bytes are kept as they are.
func (a *app) readPrompt(ctx context.Context, o promptOptions) (string, error) {
	o.noStdin = o.noStdin || a.get("FERRY_STDIN") == "never"
	var parts []string
	words, explicit := o.args, len(o.args) == 0 && len(o.files) == 0
	if len(words) == 1 && words[0] == "-" {
		words, explicit = nil, true
	}
	if len(words) > 0 {
		text := strings.Join(words, " ")
		if err := checkText([]byte(text), "the arguments"); err != nil {
			return "", err
		}
		parts = append(parts, text)
	}
	if explicit && o.noStdin {
		return "", usagef("give the prompt as arguments or with -f", "no prompt, and standard input is not to be read")
	}
	if explicit || !o.noStdin && a.stdinBrings() {
		text, err := a.readStdin(ctx)
		if err != nil {
			return "", err
		}
		if !explicit && text != "" && sharesStdin(a.Stdin) {
			a.note("all of standard input went into this prompt, and it is a pipe of the shell's own: a loop over it ends here; " +
				"--no-stdin leaves it alone")
		}
		parts = append(parts, text)
	}
	for _, name := range o.files {
		text, err := readPromptFile(ctx, name)
		if err != nil {
			return "", err
		}
		parts = append(parts, text)
	}
	parts = slices.DeleteFunc(parts, func(part string) bool { return part == "" })
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	if size > maxPrompt {
		return "", tooLarge("the prompt")
	}
	prompt := strings.Join(parts, "\n\n")
	if strings.TrimSpace(prompt) == "" {
		return "", usagef(`give it as arguments, as in ferry ask "why is the sky blue?", in a pipe or with -f`,
			"the prompt is empty")
	}
	return prompt, nil
}

// stdinBrings reports whether standard input is there to be added to a prompt without being asked for: a pipe, a socket
// or a file. A file that was already read in part belongs to a loop around ferry (while read … done < file) and is left
// to it.
func (a *app) stdinBrings() bool {
	file, ok := a.Stdin.(*os.File)
	if !ok {
		return a.Stdin != nil
	}
	info, err := file.Stat()
	if err != nil {
		return false // closed
	}
	switch mode := info.Mode(); {
	case mode.IsRegular():
		offset, err := file.Seek(0, io.SeekCurrent)
		return err == nil && offset == 0
	case mode&(os.ModeNamedPipe|os.ModeSocket) != 0:
		return true
	}
	return false
}

// readStdin reads all of standard input. A silent pipe is named after a while; the context ends the reading.
func (a *app) readStdin(ctx context.Context) (string, error) {
	if a.Stdin == nil {
		return "", usagef("give the prompt as arguments or with -f", "no prompt, and standard input is closed")
	}
	if term.Look(a.Stdin, term.Preferences{}).TTY {
		a.note("reading the prompt from the terminal; Ctrl-D on a line of its own ends it")
	}
	if a.CatchQuit != nil {
		a.CatchQuit(&a.sent)
	}
	type reading struct {
		text []byte
		err  error
	}
	var heard atomic.Bool
	if mayBeSilent(a.Stdin) {
		wait, tell := silentPipe, a.note
		if a.quiet {
			wait, tell = deadPipe, func(format string, _ ...any) { a.say("ferry: " + format) }
		}
		notice := time.AfterFunc(wait, func() {
			if !heard.Load() {
				tell("waiting for standard input; --no-stdin leaves it alone")
			}
		})
		defer notice.Stop()
	}
	done := make(chan reading, 1)
	go func() {
		text, err := io.ReadAll(io.LimitReader(&hearing{a.Stdin, &heard}, maxPrompt+1))
		done <- reading{text, err}
	}()
	select {
	case <-ctx.Done():
		return "", promptLate(ctx, "standard input")
	case got := <-done:
		switch {
		case got.err != nil:
			return "", usagef("", "cannot read standard input: %s", bare(got.err))
		case len(got.text) > maxPrompt:
			return "", tooLarge("standard input")
		}
		return string(got.text), checkText(got.text, "standard input")
	}
}

// promptLate is the error of a prompt that did not come in time.
func promptLate(ctx context.Context, where string) error {
	cause := context.Cause(ctx)
	var over *client.DeadlineError
	if errors.As(cause, &over) {
		cause = fmt.Errorf("%s did not end within the timeout of %s", where, over.Timeout)
	}
	return &client.Error{Class: client.Timeout, Err: cause, Unsent: true}
}

// mayBeSilent reports whether a read may wait for another process: a read of a file does not, and a terminal has been named.
func mayBeSilent(stdin io.Reader) bool {
	file, ok := stdin.(*os.File)
	if !ok {
		return true
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0
}

// hearing notes that something came.
type hearing struct {
	from  io.Reader
	heard *atomic.Bool
}

func (h *hearing) Read(p []byte) (int, error) {
	n, err := h.from.Read(p)
	h.heard.Store(true)
	return n, err
}

func readPromptFile(ctx context.Context, name string) (string, error) {
	text, err := readFile(ctx, name, maxPrompt)
	if err != nil {
		return "", err
	}
	if len(text) > maxPrompt {
		return "", tooLarge(name)
	}
	return string(text), checkText(text, name)
}

// readFile reads a file that the user named, and stops one byte past the limit. It may be a FIFO that nothing writes to:
// the context ends the waiting, for its opening too.
func readFile(ctx context.Context, name string, limit int64) ([]byte, error) {
	var text []byte
	done := make(chan error, 1)
	go func() {
		file, err := os.Open(name)
		if err == nil {
			defer file.Close()
			text, err = io.ReadAll(io.LimitReader(file, limit+1))
		}
		done <- err
	}()
	select {
	case <-ctx.Done():
		return nil, promptLate(ctx, name)
	case err := <-done:
		if err != nil {
			return nil, usagef("", "cannot read %s: %s", name, bare(err))
		}
		return text, nil
	}
}

// checkText refuses what is no text, by the offset of the first byte that is not.
func checkText(text []byte, where string) error {
	nul := bytes.IndexByte(text, 0)
	if nul < 0 && utf8.Valid(text) {
		return nil
	}
	bad := invalidAt(text)
	if nul >= 0 && (bad < 0 || nul < bad) {
		return usagef("a prompt is text; is this a binary file?", "%s has a NUL byte at offset %d", where, nul)
	}
	return usagef("a prompt is UTF-8 text; iconv converts other encodings", "%s is not UTF-8 at offset %d", where, bad)
}

// invalidAt is the offset of the first byte that is not UTF-8, -1 without one.
func invalidAt(text []byte) int {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size <= 1 {
			return i
		}
		i += size
	}
	return -1
}

func tooLarge(what string) error {
	return usagef("that is the limit of a request", "%s is over %d MiB", what, maxPrompt>>20)
}

// bare is a file error without the operation and the path in front.
func bare(err error) string { return state.Bare(err).Error() }

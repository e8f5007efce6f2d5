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

const (
	// maxPrompt is the most bytes a prompt may have: the request limit of the messages API.
	maxPrompt      = 32 << 20
	limitOfRequest = "that is the limit of a request"

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
	o.noStdin = o.noStdin || a.Lookup.Get("FERRY_STDIN") == "never"
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
	brings, isPipe := stdinKind(a.Stdin)
	if explicit || !o.noStdin && brings {
		text, err := a.readStdin(ctx, isPipe)
		if err != nil {
			return "", err
		}
		if err := checkText(text, "standard input"); err != nil {
			return "", err
		}
		if !explicit && len(text) > 0 && sharesStdin(a.Stdin) {
			a.note("all of standard input went into this prompt, and it is a pipe of the shell's own: a loop over it ends here; " +
				"--no-stdin leaves it alone")
		}
		parts = append(parts, string(text))
	}
	for _, name := range o.files {
		text, err := readFile(ctx, name, maxPrompt, limitOfRequest)
		if err != nil {
			return "", err
		}
		if err := checkText(text, name); err != nil {
			return "", err
		}
		parts = append(parts, string(text))
	}
	parts = slices.DeleteFunc(parts, func(part string) bool { return part == "" })
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	if size > maxPrompt {
		return "", usagef(limitOfRequest, "the prompt is over %d MiB", maxPrompt>>20)
	}
	prompt := strings.Join(parts, "\n\n")
	if strings.TrimSpace(prompt) == "" {
		return "", usagef(`give it as arguments, as in ferry ask "why is the sky blue?", in a pipe or with -f`,
			"the prompt is empty")
	}
	return prompt, nil
}

// stdinKind reports whether standard input is there to be added to a prompt without being asked for: a pipe, a socket or
// a file; and whether another process writes to it. A file that was already read in part belongs to a loop around ferry
// (while read … done < file) and is left to it. A reader that is no file counts as a pipe.
func stdinKind(stdin io.Reader) (brings, isPipe bool) {
	file, ok := stdin.(*os.File)
	if !ok {
		return stdin != nil, stdin != nil
	}
	info, err := file.Stat()
	switch {
	case err != nil:
		return false, false // closed
	case info.Mode().IsRegular():
		offset, err := file.Seek(0, io.SeekCurrent)
		return err == nil && offset == 0, false
	}
	isPipe = info.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0
	return isPipe, isPipe
}

// readStdin reads all of standard input. A silent pipe is named after a while; the context ends the reading.
func (a *app) readStdin(ctx context.Context, isPipe bool) ([]byte, error) {
	if a.Stdin == nil {
		return nil, usagef("give the prompt as arguments or with -f", "no prompt, and standard input is closed")
	}
	if term.Look(a.Stdin, term.Preferences{}).TTY {
		a.note("reading the prompt from the terminal; %s ends it", endOfInput)
	}
	if a.CatchQuit != nil {
		a.CatchQuit(&a.sent)
	}
	input := &hearing{Reader: a.Stdin}
	if isPipe {
		wait, tell := silentPipe, a.note
		if a.quiet {
			wait, tell = deadPipe, func(format string, _ ...any) { a.say("ferry: " + format) }
		}
		notice := time.AfterFunc(wait, func() {
			if !input.heard.Load() {
				tell("waiting for standard input; --no-stdin leaves it alone")
			}
		})
		defer notice.Stop()
	}
	return readAll(ctx, "standard input", maxPrompt, limitOfRequest, func() (io.ReadCloser, error) { return io.NopCloser(input), nil })
}

// hearing notes that something came.
type hearing struct {
	io.Reader
	heard atomic.Bool
}

func (h *hearing) Read(p []byte) (int, error) {
	n, err := h.Reader.Read(p)
	h.heard.Store(true)
	return n, err
}

// readFile reads a file that the user named, of at most so many bytes.
func readFile(ctx context.Context, name string, most int64, why string) ([]byte, error) {
	return readAll(ctx, name, most, why, func() (io.ReadCloser, error) { return os.Open(name) })
}

// readAll reads at most so many bytes, and says of more why that is the most. The context ends the waiting, for the opening too: it may be a FIFO that no process
// writes to.
func readAll(
	ctx context.Context, what string, most int64, why string, open func() (io.ReadCloser, error),
) ([]byte, error) {
	var read []byte
	done := make(chan error, 1)
	go func() {
		from, err := open()
		if err == nil {
			defer from.Close()
			read, err = io.ReadAll(io.LimitReader(from, most+1))
		}
		done <- err
	}()
	select {
	case <-ctx.Done():
		cause := context.Cause(ctx)
		var over *client.DeadlineError
		if errors.As(cause, &over) {
			cause = fmt.Errorf("%s did not end within the timeout of %s", what, over.Timeout)
		}
		return nil, &client.Error{Class: client.Timeout, Err: cause, Unsent: true}
	case err := <-done:
		switch {
		case err != nil:
			return nil, usagef("", "cannot read %s: %s", what, bare(err))
		case len(read) > int(most):
			return nil, usagef(why, "%s is over %d MiB", what, most>>20)
		}
		return read, nil
	}
}

// checkText refuses what is no text, by the offset of the first byte that is not.
func checkText(given []byte, where string) error {
	if utf8.Valid(given) && bytes.IndexByte(given, 0) < 0 {
		return nil
	}
	if bytes.HasPrefix(given, []byte("\xff\xfe")) || bytes.HasPrefix(given, []byte("\xfe\xff")) {
		return usagef("write it as UTF-8; in PowerShell: … | Set-Content -Encoding utf8 FILE, and for pipes $OutputEncoding = [Text.UTF8Encoding]::new()",
			"%s is UTF-16, as > of Windows PowerShell writes it", where)
	}
	for i, r := range string(given) {
		switch {
		case r == 0:
			return usagef("a prompt is text; is this a binary file?", "%s has a NUL byte at offset %d", where, i)
		case r == utf8.RuneError && !bytes.HasPrefix(given[i:], []byte(string(utf8.RuneError))):
			return usagef("a prompt is UTF-8 text; iconv converts other encodings", "%s is not UTF-8 at offset %d", where, i)
		}
	}
	return nil
}

// bare is a file error without the operation and the path in front.
func bare(err error) string { return state.Bare(err).Error() }

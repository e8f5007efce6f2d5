package cmd

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"ferry/pkg/client"
	"ferry/pkg/state"
	"ferry/pkg/term"
	"ferry/pkg/text"
	"ferry/pkg/wire"
)

const (
	maxPrompt        = wire.MaxRequest
	requestLimitHint = "that is the limit of a request"

	// pipeNoticeAfter is how long a pipe may send nothing before ferry says that it waits for it.
	pipeNoticeAfter = 2 * time.Second
	// quietPipeNoticeAfter is the same with -q: if nothing ever arrives, a script with -q would wait without any
	// message.
	quietPipeNoticeAfter = 30 * time.Second
)

// promptOptions say where a prompt comes from.
type promptOptions struct {
	args    []string
	files   []string
	noStdin bool
	hint    string // advice for an empty prompt, "" for the advice of ask
}

// readPrompt builds the prompt from the arguments, joined by a space, standard input if it is a pipe or a file, and the
// text files, with a blank line between the parts. It does not change bytes. Pictures and documents are returned as
// files.
func (a *app) readPrompt(ctx context.Context, o promptOptions) (string, []*wire.File, error) {
	var parts []string
	words, explicit := o.args, len(o.args) == 0 && len(o.files) == 0
	if len(words) == 1 && words[0] == "-" {
		words, explicit = nil, true
	}
	if len(words) > 0 {
		given := strings.Join(words, " ")
		if err := text.Check([]byte(given), "the arguments"); err != nil {
			return "", nil, err
		}
		parts = append(parts, given)
	}
	if explicit && o.noStdin {
		return "", nil, usagef("give the prompt as arguments or with -f", "no prompt, and reading standard input is turned off")
	}
	brings, isPipe := stdinKind(a.Stdin)
	if explicit || !o.noStdin && brings {
		given, err := a.readStdin(ctx, isPipe)
		if err != nil {
			return "", nil, err
		}
		if err := text.Check(given, "standard input"); err != nil {
			return "", nil, err
		}
		if !explicit && len(given) > 0 && sharesStdin(a.Stdin) {
			a.note("this prompt used all of standard input, which is a pipe of the shell: a loop that reads it ends here; " +
				"--no-stdin does not read it")
		}
		parts = append(parts, string(given))
	}
	var attached client.PromptFiles
	for _, name := range o.files {
		content, err := readFile(ctx, name, maxPrompt, requestLimitHint)
		if err == nil {
			err = attached.Add(name, content)
		}
		if err != nil {
			return "", nil, err
		}
	}
	for _, f := range attached.Files {
		info, err := os.Stat(f.Name)
		f.Again = err == nil && info.Mode().IsRegular()
	}
	if len(o.files) > 0 {
		parts = append(parts, attached.Texts()...)
	}
	parts = slices.DeleteFunc(parts, func(part string) bool { return part == "" })
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	if size > maxPrompt {
		return "", nil, usagef(requestLimitHint, "the prompt is over %d MiB", maxPrompt>>20)
	}
	prompt := strings.Join(parts, "\n\n")
	if strings.TrimSpace(prompt) == "" && len(attached.Files) > 0 {
		name := attached.Files[0].Name
		return "", nil, usagef(`add a prompt, as in ferry ask -f `+text.CommandWord(name)+` "what is in it?"`,
			"there is no prompt for %s", name)
	}
	if strings.TrimSpace(prompt) == "" {
		return "", nil, usagef(cmp.Or(o.hint, `give it as arguments, as in ferry ask "why is the sky blue?", in a pipe or with -f`),
			"the prompt is empty")
	}
	return prompt, attached.Files, nil
}

// stdinKind reports whether standard input is added to a prompt without being asked for (a pipe, a socket or a file),
// and whether another process writes to it. A file that was already partly read belongs to a loop around ferry (while
// read … done < file) and is not read. A reader that is not a file counts as a pipe.
func stdinKind(stdin io.Reader) (isAdded, isPipe bool) {
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

// readStdin reads all of standard input. It says that it waits if a pipe sends nothing for a while. The context ends
// the wait.
func (a *app) readStdin(ctx context.Context, isPipe bool) ([]byte, error) {
	if a.Stdin == nil {
		return nil, usagef("give the prompt as arguments or with -f", "no prompt, and standard input is closed")
	}
	if term.FactsOf(a.Stdin, false).TTY {
		a.note("reading the prompt from the terminal; %s ends it", endOfInput)
	}
	a.BeginCall(&a.sent)
	input := &notingReader{Reader: a.Stdin}
	if isPipe {
		wait, note := pipeNoticeAfter, a.note
		if a.quiet {
			wait, note = quietPipeNoticeAfter, func(format string, _ ...any) { a.writeErrLine("ferry: " + format) }
		}
		notice := time.AfterFunc(wait, func() {
			if !input.read.Load() {
				note("waiting for standard input; --no-stdin does not read it")
			}
		})
		defer notice.Stop()
	}
	return readAll(ctx, "standard input", maxPrompt, requestLimitHint, func() (io.ReadCloser, error) { return io.NopCloser(input), nil })
}

// notingReader records that something was read.
type notingReader struct {
	io.Reader
	read atomic.Bool
}

func (r *notingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.read.Store(true)
	return n, err
}

// readFile reads a file that the user named. Its size in bytes must not exceed maxBytes.
func readFile(ctx context.Context, name string, maxBytes int64, why string) ([]byte, error) {
	if name == "" {
		return nil, usagef("", "the name of a file is empty")
	}
	return readAll(ctx, name, maxBytes, why, func() (io.ReadCloser, error) { return os.Open(name) })
}

// readAll reads at most maxBytes bytes. If there are more, it fails, and why explains the limit. The context also ends
// the wait for open: it may open a FIFO that no process writes to.
func readAll(
	ctx context.Context, what string, maxBytes int64, why string, open func() (io.ReadCloser, error),
) ([]byte, error) {
	var read []byte
	done := make(chan error, 1)
	go func() {
		from, err := open()
		if err == nil {
			defer from.Close()
			var b bytes.Buffer
			if file, ok := from.(*os.File); ok {
				if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
					b.Grow(int(min(info.Size(), maxBytes)) + bytes.MinRead) // avoids copying a file while it is read
				}
			}
			_, err = b.ReadFrom(io.LimitReader(from, maxBytes+1))
			read = b.Bytes()
		}
		done <- err
	}()
	select {
	case <-ctx.Done():
		cause := context.Cause(ctx)
		if over, ok := errors.AsType[*client.DeadlineError](cause); ok {
			cause = fmt.Errorf("%s did not end within the timeout of %s", what, over.Timeout)
		}
		return nil, &client.Error{Class: client.Timeout, Err: cause, Unsent: true}
	case err := <-done:
		switch {
		case err != nil:
			return nil, usagef("", "cannot read %s: %s", what, bareError(err))
		case len(read) > int(maxBytes):
			return nil, usagef(why, "%s is over %d MiB", what, maxBytes>>20)
		}
		return read, nil
	}
}

// bareError returns a file error without its operation and path.
func bareError(err error) string { return state.StripPath(err).Error() }

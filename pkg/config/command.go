package config

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"ferry/pkg/guard"
	"ferry/pkg/state"
	"ferry/pkg/text"

	"github.com/mattn/go-shellwords"
)

const (
	maxCommandOut = 64 << 10
	maxCommandErr = 4 << 10
	// pipeGrace is how long a helper's child processes may keep its output open after it has ended.
	pipeGrace = 500 * time.Millisecond
)

const commandHint = "the words are run as they are, without a shell; put more than that into a script"

// splitCommand splits words as a shell does and refuses everything that needs a shell.
func splitCommand(line string) ([]string, *Error) {
	if expands(line) {
		return nil, newError("cmd: expands no $ and no `", commandHint)
	}
	p := shellwords.NewParser()
	p.ParseEnv, p.ParseBacktick = false, false
	argv, err := p.Parse(line)
	switch {
	case err != nil:
		return nil, newError("cmd: has an open quote or a bracket", commandHint)
	case p.Position >= 0:
		return nil, newError("cmd: takes no ; & | < or >", commandHint)
	case len(argv) == 0 || argv[0] == "":
		return nil, newError("cmd: names no command", commandHint)
	}
	return argv, nil
}

// expands reports whether line has a $ or ` that a shell would expand: outside single quotes and not after a
// backslash.
func expands(line string) bool {
	single, double := false, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\'' && !double:
			single = !single
		case single:
		case c == '\\':
			i++
		case c == '"':
			double = !double
		case c == '$' || c == '`':
			return true
		}
	}
	return false
}

func (k Keys) fromCommand(ctx context.Context, ref Ref, line string) (string, error) {
	argv, fault := splitCommand(line)
	if fault != nil {
		return "", ref.fault(fault.Hint(), "%s", fault.Msg)
	}
	for i, arg := range argv {
		if strings.HasPrefix(arg, "~/") && k.Home != "" {
			argv[i] = filepath.Join(k.Home, arg[2:])
		}
	}
	if strings.ContainsRune(filepath.ToSlash(argv[0]), '/') && !filepath.IsAbs(argv[0]) {
		argv[0] = k.Dir + string(filepath.Separator) + argv[0] // not Join, which turns ./helper in . into a name for PATH
	}
	path, err := FindProgram(argv[0], k.Lookup)
	if err != nil {
		return "", ref.fault("", "cannot be read: the command does not exist or is not a program: %w", err)
	}
	if strings.ContainsRune(filepath.ToSlash(argv[0]), '/') { // not from PATH, which the user controls
		f, err := state.OpenTrusted(path)
		if refused, ok := errors.AsType[*state.Error](err); ok && refused.Err == nil {
			return "", ref.fault(refused.Hint(), "cannot be read: %w", err)
		}
		if err == nil {
			f.Close()
		}
	}
	argv[0] = path
	ctx, cancel := k.bounded(ctx)
	defer cancel()
	stdout, stderr, err := runCommand(ctx, argv)
	if err != nil {
		return "", ref.fault(complaint(stderr, stdout), "cannot be read: %w", err)
	}
	return string(stdout), nil
}

// complaint returns the first line of a helper's standard error, unless it could contain the secret.
func complaint(stderr, stdout []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(stderr)), "\n")
	secret := strings.TrimSpace(string(stdout))
	if line == "" || guard.HideKeys(line) != line || secret != "" && strings.Contains(line, secret) {
		return ""
	}
	return "it said: " + text.Excerpt([]byte(line), 200)
}

// FindProgram returns the path of a program. It looks a bare name up in the absolute folders of PATH, never in the
// current folder. It returns a name with a slash unchanged.
func FindProgram(name string, lookup Lookup) (string, error) {
	if filepath.IsAbs(name) || strings.ContainsRune(filepath.ToSlash(name), '/') {
		return name, checkProgram(name)
	}
	for _, dir := range filepath.SplitList(lookup.Get("PATH")) {
		if path := filepath.Join(dir, name); filepath.IsAbs(dir) && checkProgram(path) == nil {
			return path, nil
		}
	}
	return "", exec.ErrNotFound
}

var errTooLong = errors.New("it printed more than 64 KiB")

// runCommand runs argv without a shell, with an empty standard input. If ctx ends or the output is too long, it kills
// the command's process group. If ctx ends after the command succeeded, the output is valid.
func runCommand(ctx context.Context, argv []string) (stdout, stderr []byte, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	tooLong := false
	out := &bounded{limit: maxCommandOut, over: func() { tooLong = true; cancel(errTooLong) }}
	complaints := &bounded{limit: maxCommandErr, over: func() {}}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = out, complaints
	cmd.WaitDelay = pipeGrace
	ownGroup(cmd)
	err = cmd.Run()
	cause := context.Cause(ctx)
	switch succeeded := cmd.ProcessState != nil && cmd.ProcessState.Success(); {
	case tooLong:
		err = errTooLong
	case succeeded && (cause != nil || errors.Is(err, exec.ErrWaitDelay)):
		err = nil // ctx ended after the command, or a daemon that the command started still has the pipe open
	case cause != nil:
		err = cause
	}
	return out.buf.Bytes(), complaints.buf.Bytes(), state.StripPath(err)
}

// bounded keeps the first limit bytes, and calls over for each write that exceeds them. The buffer is not embedded,
// because its ReadFrom would be used instead of Write.
type bounded struct {
	buf   bytes.Buffer
	limit int
	over  func()
}

func (b *bounded) Write(p []byte) (int, error) {
	room := b.limit - b.buf.Len()
	if len(p) > room {
		b.over()
	}
	b.buf.Write(p[:min(len(p), room)])
	return len(p), nil
}

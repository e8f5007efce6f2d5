package cmd

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"ferry/pkg/client"
	"ferry/pkg/term"
	"ferry/pkg/text"
	"ferry/pkg/wire"
)

// callOutput prints the answer of ask and the end of a stream, whose text streamSink prints. It applies --schema,
// --extract, --strict and --expect.
type callOutput struct {
	*app
	callOptions
	expected *regexp.Regexp
	attempts int  // maximum for one node
	render   bool // style Markdown on a terminal
	keep     bool // the complete text of a stream is needed at its end
	sink     *streamSink
	reading  client.Reading // what the reply must contain
}

// newCallOutput returns the output for the settings and flags.
func newCallOutput(s *settings, o callOptions) (*callOutput, error) {
	o.output = s.values.Output
	out := &callOutput{app: s.app, callOptions: o, attempts: s.values.Retry.Attempts, render: s.values.Render && !o.noRender}
	out.keep = o.expect != "" || o.schema != "" && o.output != "raw"
	if o.expect != "" {
		var err error
		if out.expected, err = regexp.Compile(o.expect); err != nil {
			return nil, usagef("use the syntax of RE2", "--expect: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		}
	}
	if forms := []string{"text", "json", "raw"}; !slices.Contains(forms, o.output) {
		name := strings.TrimPrefix(s.values.Origin("output"), "flag ")
		return nil, invalidValue(name, o.output, "one of "+strings.Join(forms, ", "))
	}
	if o.extract && o.output == "raw" {
		return nil, usagef("leave out one of the two", "--extract prints a block of the answer, and -o raw prints the complete body")
	}
	switch {
	case o.streams:
		out.sink = &streamSink{callOutput: out}
		out.sink.Reset()
	case o.output == "raw":
		out.reading = client.AsBody
	}
	return out, nil
}

// show prints the answer of a call that has ended, or the rest of a stream.
func (s *callOutput) show(call *client.Call, result *client.Result, failed error) error {
	if s.streams {
		return s.showRest(call, result, failed)
	}
	failed = s.check(call, result, failed)
	if s.output == "raw" && result.Complete && s.masker.InPieces(result.Body) {
		result.Complete = false
		failed = &client.Error{Class: client.Output, Node: result.Node, Status: 200, Err: splitKey()}
	}
	var err error
	switch {
	case s.output == "json":
		err = s.printCall(result, failed, "")
	case !result.Complete:
		s.printPartial(result, failed)
	case s.output == "raw":
		err = s.write(result.Body)
	case s.extract:
		err = s.printBlock(result.Answer.Text)
	default:
		err = s.printText(result.Answer.Text, s.render)
	}
	if err != nil { // a conversation still keeps the answer
		return err
	}
	s.noteAnswer(result)
	return failed
}

// showRest prints the part of a stream that was held back, and the end of the call.
func (s *callOutput) showRest(call *client.Call, result *client.Result, failed error) error {
	_, stopped := errors.AsType[signalled](failed)
	if err := s.sink.finish(failed == nil, stopped); err != nil && failed == nil {
		failed = err
	}
	// A failed answer that arrived complete, and not as a stream, keeps its own text.
	if text := s.sink.text(); (failed == nil || text != "") && (stopped || !client.IsBlocked(failed)) {
		result.Answer.Text = text
	}
	failed = s.check(call, result, failed)
	if s.output == "json" {
		if err := s.printCall(result, failed, "end"); err != nil {
			return err
		}
	}
	if failed != nil && s.output != "json" && !s.sink.Shown() {
		s.printPartial(result, failed)
	}
	if !errors.As(failed, new(*outputError)) { // no notes after a failed write
		s.noteAnswer(result)
	}
	return failed
}

// check applies the checks of a complete answer: --schema, --extract, --strict and --expect. If the answer fails
// --schema, Complete becomes false. If it fails another check, Complete stays true.
func (s *callOutput) check(call *client.Call, result *client.Result, failed error) error {
	if s.verbose && len(result.Attempts) > 0 {
		s.writeErrLine("* in all " + text.Latency(result.Latency))
	}
	result.Complete = failed == nil
	if failed != nil {
		return failed
	}
	answer, checked := result.Answer, string(result.Body)
	if s.output != "raw" || s.streams { // the body of a stream is not kept
		checked = answer.Text
	}
	extracted, hasBlock := answer.Text, false
	if s.extract {
		if block, ok := term.FirstBlock(answer.Text); ok {
			extracted, hasBlock = block, true
		}
	}
	if s.output != "raw" && call.Request.Schema != nil {
		if err := client.CheckSchema(call, result, extracted); err != nil {
			result.Complete = false
			return err
		}
	}
	if s.extract && !hasBlock {
		return &client.Error{Class: client.NotAnAnswer, Status: 200, Err: errors.New("there is no fenced code block in the answer")}
	}
	if s.strict && wire.EndingOf(answer.StopReason) != wire.Ended {
		reason := text.Shown(answer.StopReason, text.MaxNamed)
		return &client.Error{Class: client.Stopped, Status: 200, Err: fmt.Errorf("the model stopped early: %s", reason)}
	}
	if s.expected != nil && !s.expected.MatchString(checked) {
		return &exitError{fmt.Errorf("the answer does not match --expect %s", s.expect), exitMissed, false}
	}
	return nil
}

// noteAnswer prints notes about an answer. For a complete answer it also notes the attempts and the ending, even if a
// check failed.
func (s *callOutput) noteAnswer(result *client.Result) {
	answer := result.Answer
	if result.Complete {
		if last := result.Attempts[len(result.Attempts)-1]; last.Number > 1 {
			s.noteAttempts(result.Attempts, last.Number)
		}
		if ending := wire.EndingOf(answer.StopReason); ending != wire.Ended || answer.Empty || answer.NotUTF8 {
			s.noteEnding(answer, ending)
		}
	}
	if s.usage && (result.Complete || answer.Usage != nil) {
		s.showUsage(answer.Usage)
	}
}

// noteAttempts notes how many attempts the answer took; n of them were sent to the node that answered.
func (s *callOutput) noteAttempts(attempts []*client.Attempt, n int) {
	var reasons []string
	for _, at := range attempts[:len(attempts)-1] {
		if !at.StreamOnly { // it has the same number as the next attempt
			reasons = append(reasons, at.Reason())
		}
	}
	s.note("answered on attempt %d of %d, after %s", n, s.attempts, strings.Join(reasons[len(reasons)-(n-1):], ", "))
}

// noteEnding notes how an answer ended if it did not end normally, and whether it is empty or not UTF-8.
func (s *callOutput) noteEnding(answer wire.Answer, ending wire.Ending) {
	reason := text.Shown(answer.StopReason, text.MaxNamed)
	switch {
	case s.output == "raw":
	case ending == wire.Limited:
		s.note("the answer ends at a limit (%s); --max-tokens allows more", reason)
	case ending == wire.Refused:
		s.note("the model declined to answer (%s)", reason)
	case ending == wire.Paused:
		s.note("the model wanted to continue (%s), which ferry does not support", reason)
	case ending == wire.Unknown:
		s.note("the answer ended for a reason that ferry does not know (%s)", reason)
	case answer.Empty:
		s.note("the answer is complete but empty")
	}
	switch {
	case s.output == "raw" || !answer.NotUTF8:
	case s.output == "json":
		s.note("the answer has bytes that are not UTF-8; JSON has U+FFFD in their place, and -o text keeps them")
	default:
		s.note("the answer has bytes that are not UTF-8; they are printed unchanged")
	}
}

// outputError reports that the answer could not be written to standard output. The request is not retried: the answer
// was paid for, and a retry does not empty a full disk.
type outputError struct{ err error }

func (e *outputError) Error() string { return "cannot write to standard output: " + bareError(e.err) }
func (e *outputError) Unwrap() error { return e.err }

// writeChunk is how many bytes of an answer are prepared and written at once.
const writeChunk = 1 << 20

// write writes text to standard output, at most 1 MiB in one call.
func (a *app) write(text []byte) error {
	if a.stopWait.Load() != nil {
		a.hideWait()
	}
	for piece := range slices.Chunk(text, writeChunk) {
		if _, err := a.out.Write(piece); err != nil {
			return &outputError{err}
		}
	}
	return nil
}

// printText prints a complete answer, ending in exactly one newline. On a terminal it makes the text safe, and styles
// it if render is set. An answer of at most 1 MiB is one write.
func (s *callOutput) printText(answer string, render bool) error {
	rest := strings.TrimRight(answer, "\n")
	var visible text.VisibleStream
	markdown := term.Markdown{Plain: !render || s.out.Plain}
	for more := true; more; {
		out := []byte(rest[:min(len(rest), writeChunk)])
		rest = rest[len(out):]
		more = rest != ""
		if s.out.TTY {
			out = visible.Append(nil, out)
			if !more {
				out = visible.Flush(out)
			}
			out = markdown.Append(nil, out)
			if !more {
				out = markdown.Flush(out)
			}
		}
		if !more {
			out = append(out, '\n')
		}
		if err := s.write(out); err != nil {
			return err
		}
	}
	return nil
}

// printBlock prints only the first code block of an answer. If there is none, it prints the answer on standard error,
// because it was paid for.
func (s *callOutput) printBlock(answer string) error {
	block, ok := term.FirstBlock(answer)
	if !ok {
		s.printKept("the answer", answer)
		return nil
	}
	return s.printText(block, false)
}

// printPartial prints the received part of an answer on standard error, because it was paid for.
func (s *callOutput) printPartial(result *client.Result, failed error) {
	if len(result.Attempts) == 0 || result.Attempts[len(result.Attempts)-1].HTTPStatus != http.StatusOK {
		return
	}
	partial := result.Answer.Text
	var e *client.Error
	if partial == "" && errors.As(failed, &e) && (e.Class == client.Truncated || e.Class == client.Timeout) {
		partial = string(result.Body)
	}
	if partial != "" {
		s.printKept("the received part of the answer", partial)
	}
}

// printKept prints text that was paid for on standard error.
func (s *callOutput) printKept(what, partial string) {
	s.writeErrLine("ferry: " + s.translate(what+":") + "\n" + text.Shown(s.masker.String(strings.TrimRight(partial, "\n")), text.MaxShown))
}

// printJSON prints an object on one line of standard output.
func (a *app) printJSON(object any) error {
	return a.write(text.SafeJSON(a.masker.Bytes(text.EncodeLine(object))))
}

// printCall prints a call's object if at least one attempt was made. The text in it is already masked and may be long.
func (s *callOutput) printCall(result *client.Result, failed error, kind string) error {
	if len(result.Attempts) == 0 {
		return nil
	}
	object := result.Describe(failed, s.redacted)
	if object.Error != nil {
		class, _ := outcome(failed)
		object.Error.Class = client.Class(class)
	}
	answer := object.Text
	object.Type, object.Text = kind, ""
	for piece := range text.JSONLine(s.masker.Bytes(text.EncodeLine(object)), answer) {
		if err := s.write(piece); err != nil {
			return err
		}
	}
	return nil
}

package cmd

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"ferry/pkg/client"
	"ferry/pkg/term"
	"ferry/pkg/text"
	"ferry/pkg/wire"
)

// outputStage is the stage of ask and stream that shows the answer and holds it to --expect and --strict.
type outputStage struct {
	*app
	callOptions
	expected *regexp.Regexp
	attempts int  // at most, of one node
	render   bool // Markdown is styled on a terminal
	keep     bool // the whole text of a stream is wanted at its end
	next     client.Doer
}

func newOutputStage(s *settings, o callOptions) (*outputStage, error) {
	o.output = s.values.Output
	stage := &outputStage{app: s.app, callOptions: o, attempts: s.values.Retry.Attempts, render: s.values.Render && !o.noRender}
	stage.keep = o.expect != "" || o.extras.schema != "" && o.output != "raw"
	if o.expect != "" {
		var err error
		if stage.expected, err = regexp.Compile(o.expect); err != nil {
			return nil, usagef("the syntax is that of RE2", "--expect: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		}
	}
	return stage, choice("output", o.output, "text", "json", "raw")
}

// before puts the stage before the next one.
func (s *outputStage) before(next client.Doer) client.Doer {
	s.next = next
	return s
}

func (s *outputStage) Do(ctx context.Context, call *client.Call) (*client.Result, error) {
	do := s.ask
	if s.streams {
		do = s.stream
	}
	result, err := do(ctx, call)
	result.Complete = err == nil || isWhole(err)
	return result, err
}

// ask shows an answer once it is whole.
func (s *outputStage) ask(ctx context.Context, call *client.Call) (*client.Result, error) {
	result, failed := s.next.Do(ctx, call)
	s.noteTotal(result)
	if failed == nil {
		failed = s.check(call, result)
	}
	if s.output == "raw" && (failed == nil || isWhole(failed)) && s.masker.InPieces(result.Body) {
		failed = &client.Error{Class: client.Output, Node: result.Node, Status: 200, Err: splitKeyError{}}
	}
	if err := s.show(result, failed); err != nil {
		return result, err
	}
	if failed == nil {
		s.noteAnswer(result)
	}
	return result, failed
}

// show prints what there is to print on standard output: a whole answer, in JSON whatever the outcome.
func (s *outputStage) show(result *client.Result, failed error) error {
	whole := failed == nil || isWhole(failed)
	switch {
	case s.output == "json":
		if len(result.Attempts) == 0 {
			return nil
		}
		return s.printCall(s.describe(result, failed))
	case whole && s.output == "raw":
		return s.write(result.Body)
	case whole && s.extract:
		return s.printBlock(result.Answer)
	case whole:
		return s.printText(result.Answer, s.render)
	}
	s.keepPartial(result, failed)
	return nil
}

// stream shows the answer as it comes.
func (s *outputStage) stream(ctx context.Context, call *client.Call) (*client.Result, error) {
	sink := s.newSink()
	streamed := *call
	streamed.Sink = sink
	result, failed := s.next.Do(ctx, &streamed)
	var signal signalled
	stopped := errors.As(failed, &signal)
	if err := sink.finish(failed == nil, stopped); err != nil && failed == nil {
		failed = err
	}
	text := sink.text()
	// Without text from the sink, what a failed answer has is kept: it came whole, and not as a stream.
	if (failed == nil || text != "") && (stopped || !client.IsBlocked(failed)) {
		result.Answer.Text = text
	}
	s.noteTotal(result)
	if failed == nil {
		failed = s.check(call, result)
	}
	if s.output == "json" && len(result.Attempts) > 0 {
		end := s.describe(result, failed)
		end.Type = "end"
		if err := s.printCall(end); err != nil {
			return result, err
		}
	}
	switch {
	case failed == nil:
		s.noteAnswer(result)
	case s.output != "json" && !sink.Shown():
		s.keepPartial(result, failed)
	}
	return result, failed
}

// stoppedError is an answer that --strict does not accept.
type stoppedError struct{ reason string }

func (e *stoppedError) Error() string { return "the model stopped early: " + e.reason }

// check applies the checks that a whole answer can still miss.
func (s *outputStage) check(call *client.Call, result *client.Result) error {
	answer := result.Answer
	if s.output != "raw" {
		text := answer.Text
		if s.extract {
			if block, ok := term.FirstBlock(text); ok {
				text = block
			}
		}
		if err := client.CheckSchema(call, result, text); err != nil {
			return err
		}
	}
	if s.strict && answer.Ending() != wire.Ended {
		return &client.Error{Class: client.Stopped, Status: 200, Err: &stoppedError{text.Shown(answer.StopReason, text.MostNamed)}}
	}
	text := answer.Text
	if s.output == "raw" {
		text = string(result.Body)
	}
	if s.expected != nil && !s.expected.MatchString(text) {
		return &missedError{fmt.Sprintf("the answer does not match --expect %s", s.expect)}
	}
	return nil
}

// noteTotal says for -v how long the call took.
func (s *outputStage) noteTotal(result *client.Result) {
	if s.verbose && len(result.Attempts) > 0 {
		s.say("* in all " + text.Latency(result.Latency))
	}
}

// isWhole reports whether the answer came whole and only a check of the user's missed.
func isWhole(failed error) bool {
	var missed *missedError
	var stopped *stoppedError
	return errors.As(failed, &missed) || errors.As(failed, &stopped)
}

// noteAnswer says what a reader of a whole answer should know.
func (s *outputStage) noteAnswer(result *client.Result) {
	all := len(result.Attempts)
	if n := result.Attempts[all-1].Number; n > 1 { // of the node that answered
		reasons := make([]string, n-1)
		for i, at := range result.Attempts[all-n : all-1] {
			reasons[i] = at.Reason()
		}
		s.note("answered on attempt %d of %d, after %s", n, s.attempts, strings.Join(reasons, ", "))
	}
	if s.output != "raw" {
		s.noteEnding(result.Answer)
	}
	if s.usage {
		s.showUsage(result.Answer.Usage)
	}
}

// noteEnding says how an answer ended that did not just end.
func (s *outputStage) noteEnding(answer wire.Answer) {
	reason := text.Shown(answer.StopReason, text.MostNamed)
	switch answer.Ending() {
	case wire.Limited:
		s.note("the answer ends at a limit (%s); --max-tokens allows more", reason)
	case wire.Refused:
		s.note("the model declined to answer (%s)", reason)
	case wire.Paused:
		s.note("the model wanted to go on (%s), which ferry does not do", reason)
	case wire.Unknown:
		s.note("the answer ended for a reason that ferry does not know (%s)", reason)
	case wire.Ended, wire.Failed:
		if answer.Empty {
			s.note("the answer is whole and empty")
		}
	}
	switch {
	case answer.NotUTF8 && s.output == "json":
		s.note("the answer has bytes that are not UTF-8; JSON has U+FFFD in their place, and -o text keeps them")
	case answer.NotUTF8:
		s.note("the answer has bytes that are not UTF-8; they are kept as they came")
	}
}

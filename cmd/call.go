package cmd

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"ferry/pkg/client"
	"ferry/pkg/config"
	"ferry/pkg/wire"

	"github.com/spf13/cobra"
)

// callOptions are the flags of ask and stream.
type callOptions struct {
	crossing crossingOptions
	prompt   promptOptions
	output   string
	expect   string
	system   string
	usage    bool
	verbose  bool
	quiet    bool
	dryRun   bool
	strict   bool
	streams  bool
	thinking bool
	extract  bool
	noRender bool
	render   bool
	keep     bool // the text is wanted for the audit log
	holds    bool // a single call, whose connection the next one may want
	talk     talkOptions
	extras   extraOptions
}

// keepsText reports whether somebody wants the whole text of a stream in the end.
func (o callOptions) keepsText() bool { return o.expect != "" || o.keep || o.talk.wanted() }

// addCallFlags declares the flags that ask and stream share.
func addCallFlags(c *cobra.Command, a *app, o *callOptions) {
	f := c.Flags()
	f.SortFlags = false
	addCrossingFlags(c, a, &o.crossing)
	addSettingFlags(f, "output", "render")
	f.Lookup("render").NoOptDefVal, f.Lookup("render").Hidden = "on", true // the default is on
	f.BoolVar(&o.noRender, "no-render", false, "do not style Markdown on a terminal")
	f.StringVarP(&o.system, "system", "s", "", "the system prompt, as `TEXT`")
	f.StringArrayVarP(&o.prompt.files, "file", "f", nil, "add this `FILE` to the prompt; may be repeated")
	f.BoolVar(&o.prompt.noStdin, "no-stdin", false, "never read standard input (also FERRY_STDIN=never)")
	addTalkFlags(f, &o.talk)
	addExtraFlags(f, &o.extras)
	f.StringVar(&o.expect, "expect", "", "exit 5 unless the answer matches this `REGEX`")
	f.BoolVar(&o.strict, "strict", false, "exit 1 unless the answer came to its own end: no limit, refusal, pause or tool call")
	f.BoolVar(&o.dryRun, "dry-run", false, "print the request and a curl line instead of sending it")
	f.BoolVarP(&o.usage, "usage", "u", false, "print the tokens used, on standard error")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "show attempts, phases and headers, on standard error")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print no notes, only errors")
	c.MarkFlagsMutuallyExclusive("verbose", "quiet")
}

// runCall is the whole of ask and stream: prompt, node, call, answer.
func runCall(c *cobra.Command, a *app, o callOptions, args []string) error {
	o.prompt.args = args
	o.crossing.flags = changedSettings(c.Flags())
	o.holds = true
	a.quiet = o.quiet
	if err := a.canPrint(); err != nil {
		return err
	}
	settings, err := a.settings(o.crossing)
	if err != nil {
		return err
	}
	expect, err := compileExpect(o.expect)
	if err != nil {
		return err
	}
	if o.output, err = outputForm(settings, "text", "json", "raw"); err != nil {
		return err
	}
	started := a.Clock.Now()
	a.timeWrites(settings.values.Timeout())
	ctx, cancel := context.WithTimeoutCause(c.Context(), settings.values.Timeout(),
		&client.DeadlineError{Timeout: settings.values.Timeout()})
	defer cancel()
	o.prompt.noStdin = o.prompt.noStdin || a.get("FERRY_STDIN") == "never"
	conversation, err := a.openTalk(ctx, settings, o.talk)
	if err != nil {
		return err
	}
	defer conversation.close()
	cross, err := a.compose(ctx, settings, conversation, o)
	if err != nil {
		return err
	}
	defer cross.close()
	if o.dryRun {
		return a.dryRun(cross)
	}
	cross.client.Since = started
	if cross.audit != nil {
		o.keep = cross.audit.content
		var release func()
		ctx, release = a.Catch(ctx) // a signal kills after the call is in the log
		defer release()
	}
	a.watch(cross, o.verbose)
	o.render = settings.values.Render() && !o.noRender
	return a.converse(ctx, cross, conversation, o, expect)
}

// compose works out the request: the prompt, the node it goes to, and what goes with it.
func (a *app) compose(ctx context.Context, s *settings, conversation *talk, o callOptions) (*crossing, error) {
	prompt, err := a.promptOf(ctx, conversation, o)
	if err != nil {
		return nil, err
	}
	names, err := conversation.nodes(s)
	if err != nil {
		return nil, err
	}
	filter, err := a.loadFilter(s)
	if err == nil {
		err = filter.checkPrompt(prompt, o.system, conversation)
	}
	if err != nil {
		return nil, a.stop(ctx, s, names[0], conversation, err, o)
	}
	order, err := a.order(s, names)
	if err != nil {
		return nil, err
	}
	cross, err := a.prepare(ctx, s, order.nodes[0], o)
	if err != nil {
		return nil, err
	}
	cross.order, cross.filter, cross.audit = order, filter, a.auditing(s)
	conversation.join(cross)
	cross.request.Prompt, cross.request.System, cross.request.Stream = prompt, o.system, o.streams
	if err := o.extras.apply(ctx, &cross.request); err != nil {
		return nil, err
	}
	if err := filter.checkExtras(cross.request); err != nil {
		return nil, a.stop(ctx, s, names[0], conversation, err, o)
	}
	a.laterNodes(s, cross, conversation, o)
	if conversation == nil && len(names) == 1 {
		return cross, nil // the call finds out by itself what the API does not have
	}
	// A prompt that cannot be sent at all is not to wait in the conversation for an answer, nor to be found out halfway.
	return cross, order.suits(s, cross.request)
}

func (a *app) promptOf(ctx context.Context, conversation *talk, o callOptions) (string, error) {
	if o.talk.resend {
		if len(o.prompt.args)+len(o.prompt.files) > 0 {
			return "", usagef("", "--resend sends the prompt that is kept; leave the other away")
		}
		return conversation.pending()
	}
	return a.readPrompt(ctx, o.prompt)
}

// converse makes the call as a part of its conversation, if it has one: the prompt is kept before it is sent, and the
// answer when it is whole.
func (a *app) converse(ctx context.Context, cross *crossing, conversation *talk, o callOptions, expect *regexp.Regexp) error {
	// What a request that a signal stops may have used is charged first, and a turn that it waits for is given back.
	if cross.tab != nil || cross.turns != nil || len(cross.order.nodes) > 1 {
		var release func()
		ctx, release = a.Catch(ctx)
		defer release()
	}
	var err error
	if cross.held, err = cross.hold(ctx, cross.request); err != nil {
		return err
	}
	if err := conversation.asks(cross.request.Prompt, config.JoinNodes(cross.order.names)); err != nil {
		a.settle(cross) // nothing was used
		return err
	}
	call := a.ask
	if o.streams {
		call = a.stream
	}
	result, failed := call(ctx, cross, o, expect)
	if failed == nil || isWhole(failed) {
		conversation.answers(cross, result)
	}
	a.settle(cross)
	a.record(ctx, cross, conversation, result, failed)
	return failed
}

func compileExpect(pattern string) (*regexp.Regexp, error) {
	if pattern == "" {
		return nil, nil
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, usagef("the syntax is that of RE2", "--expect: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return re, nil
}

// watch shows a call as it goes.
func (a *app) watch(cross *crossing, verbose bool) {
	cross.client.OnWait = a.wait
	if !verbose {
		return
	}
	if p, err := cross.node.Prepare(cross.request); err == nil {
		a.showProxy(cross)
		a.showRequest(p)
	}
	cross.client.OnAttempt = func(at *client.Attempt) { a.showAttempt(at, cross.client.Rule.Attempts) }
}

// stoppedError is an answer that --strict does not accept.
type stoppedError struct{ reason string }

func (e *stoppedError) Error() string { return "the model stopped early: " + e.reason }

// judge applies the checks that a whole answer can still miss.
func (a *app) judge(result *client.Result, o callOptions, expect *regexp.Regexp) error {
	answer := result.Answer
	if o.strict && answer.Ending() != wire.Ended {
		return &client.Error{Class: client.Stopped, Status: 200, Err: &stoppedError{answer.StopReason}}
	}
	text := answer.Text
	if o.output == "raw" {
		text = string(result.Body)
	}
	if expect != nil && !expect.MatchString(text) {
		return &missedError{fmt.Sprintf("the answer does not match --expect %s", o.expect)}
	}
	return nil
}

// report says for -v how long the call took.
func (a *app) report(result *client.Result, o callOptions) {
	if o.verbose && len(result.Attempts) > 0 {
		a.say("* in all " + spell(result.Latency))
	}
}

// isWhole reports whether the answer came whole and only a check of the user's missed.
func isWhole(failed error) bool {
	var missed *missedError
	var stopped *stoppedError
	return errors.As(failed, &missed) || errors.As(failed, &stopped)
}

// afterwards says what a reader of a whole answer should know.
func (a *app) afterwards(cross *crossing, result *client.Result, o callOptions) {
	all := len(result.Attempts)
	if n := result.Attempts[all-1].Number; n > 1 { // of the node that answered
		reasons := make([]string, n-1)
		for i, at := range result.Attempts[all-n : all-1] {
			reasons[i] = at.Reason()
		}
		a.note("answered on attempt %d of %d, after %s", n, cross.client.Rule.Attempts, strings.Join(reasons, ", "))
	}
	if o.output != "raw" {
		a.noteEnding(result.Answer, o.output)
	}
	if o.usage {
		a.showUsage(result.Answer.Usage)
	}
}

// noteEnding says how an answer ended that did not just end.
func (a *app) noteEnding(answer wire.Answer, form string) {
	switch answer.Ending() {
	case wire.Limited:
		a.note("the answer ends at a limit (%s); --max-tokens allows more", answer.StopReason)
	case wire.Refused:
		a.note("the model declined to answer (%s)", answer.StopReason)
	case wire.Paused:
		a.note("the model wanted to go on (%s), which ferry does not do", answer.StopReason)
	case wire.Unknown:
		a.note("the answer ended for a reason that ferry does not know (%s)", answer.StopReason)
	case wire.Ended, wire.Failed:
		if answer.Empty {
			a.note("the answer is whole and empty")
		}
	}
	switch {
	case answer.NotUTF8 && form == "json":
		a.note("the answer has bytes that are not UTF-8; JSON has U+FFFD in their place, and -o text keeps them")
	case answer.NotUTF8:
		a.note("the answer has bytes that are not UTF-8; they are kept as they came")
	}
}

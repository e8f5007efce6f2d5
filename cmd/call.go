package cmd

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"ferry/pkg/client"
	"ferry/pkg/config"
	"ferry/pkg/limit"
	"ferry/pkg/text"
	"ferry/pkg/wire"

	"github.com/spf13/cobra"
)

// callOptions are the flags of ask and stream.
type callOptions struct {
	node         nodeOptions
	prompt       promptOptions
	output       string
	expect       string
	system       string
	usage        bool
	verbose      bool
	quiet        bool
	dryRun       bool
	strict       bool
	streams      bool
	thinking     bool
	extract      bool
	noRender     bool
	render       bool
	keep         bool // the text is wanted for the audit log
	conversation conversationOptions
	extras       extraOptions
}

// keepsText reports whether the whole text of a stream is needed at its end.
func (o callOptions) keepsText() bool {
	return o.expect != "" || o.keep || o.conversation.wanted() || o.extras.schema != "" && o.output != "raw"
}

// addCallFlags declares the flags that ask and stream share.
func addCallFlags(c *cobra.Command, a *app, o *callOptions) {
	f := c.Flags()
	f.SortFlags = false
	addNodeFlags(c, a, &o.node)
	addSettingFlags(f, &o.node, "output", "render")
	f.Lookup("render").NoOptDefVal, f.Lookup("render").Hidden = "on", true // the default is on
	f.BoolVar(&o.noRender, "no-render", false, "do not style Markdown on a terminal")
	f.StringVarP(&o.system, "system", "s", "", "the system prompt, as `TEXT`")
	f.StringArrayVarP(&o.prompt.files, "file", "f", nil, "add this `FILE` to the prompt; may be repeated")
	f.BoolVar(&o.prompt.noStdin, "no-stdin", false, "never read standard input (also FERRY_STDIN=never)")
	addConversationFlags(f, &o.conversation)
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
	a.quiet = o.quiet
	if err := a.canPrint(); err != nil {
		return err
	}
	settings, err := a.settings(o.node)
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
	timeout := settings.values.Timeout
	a.timeWrites(timeout)
	ctx, cancel := context.WithTimeoutCause(c.Context(), timeout, &client.DeadlineError{Timeout: timeout})
	defer cancel()
	o.prompt.noStdin = o.prompt.noStdin || a.get("FERRY_STDIN") == "never"
	conversation, err := a.openConversation(ctx, settings, o.conversation)
	if err != nil {
		return err
	}
	if conversation != nil {
		defer conversation.Handle.Close()
	}
	request, err := a.request(ctx, conversation, o)
	if err != nil {
		return err
	}
	order, err := a.callOrder(settings, conversation, request, o)
	if err != nil {
		return err
	}
	defer order.close()
	filter, err := a.loadFilter(settings, o)
	if err != nil {
		return err
	}
	call := &client.Call{Request: request, Timeout: timeout, Deadline: started.Add(timeout)}
	if o.output == "raw" && !o.streams {
		call.Reading = client.AsBody
	}
	if conversation != nil {
		call.Token = conversation.Handle.Session().Token
	}
	if o.dryRun {
		return a.dryRun(ctx, order, filter, call)
	}
	if settings.values.AuditFile != "" || o.streams || order.guarded(settings) {
		// A signal kills after the call is in the log, is charged, and what came is shown.
		var release func()
		ctx, release = a.Catch(ctx)
		defer release()
	}
	result, err := client.Chain(a.stages(settings, order, filter, conversation, call, o, expect)).Do(ctx, call)
	var spent *limit.SpentError
	if len(result.Attempts) == 0 && errors.As(err, &spent) {
		return text.WithHint(err, text.Hint(err)+"; nothing was sent")
	}
	return err
}

// stages are the stages of ask and stream.
func (a *app) stages(
	s *settings, order *nodeOrder, filter *client.Filter, conversation *client.Conversation, call *client.Call,
	o callOptions, expected *regexp.Regexp,
) client.Stages {
	stages := client.Stages{
		Env: a.clientEnv(), Failover: &order.Failover, Filter: filter, Conversation: conversation,
		Audit: a.auditLog(s, conversation),
	}
	if o.verbose {
		order.onReady = a.showProxy
		stages.OnRequest, stages.OnAttempt = a.showRequest, a.showAttempt
	}
	if conversation != nil {
		conversation.Nodes = config.JoinNodes(order.names)
		conversation.Ready = func(ctx context.Context) error {
			e, err := order.first(ctx)
			if err == nil && e.Budget != nil {
				err = e.Budget.Check(ctx, call.To(&e.Endpoint))
			}
			return err
		}
	}
	o.keep = stages.Audit != nil && stages.Audit.Content
	o.render = s.values.Render && !o.noRender
	stages.Output = func(next client.Doer) client.Doer {
		return &outputStage{app: a, callOptions: o, expected: expected, attempts: s.values.Retry.Attempts, next: next}
	}
	return stages
}

// request puts together what is asked: the prompt, with the earlier turns of the conversation, and what goes with it.
func (a *app) request(ctx context.Context, conversation *client.Conversation, o callOptions) (wire.Request, error) {
	var request wire.Request
	prompt, err := a.promptOf(ctx, conversation, o)
	if err != nil {
		return request, err
	}
	request.Prompt, request.System, request.Stream = prompt, o.system, o.streams
	if conversation != nil {
		request.Turns = conversation.Turns()
	}
	return request, o.extras.apply(ctx, &request)
}

func (a *app) promptOf(ctx context.Context, conversation *client.Conversation, o callOptions) (string, error) {
	if o.conversation.resend {
		if len(o.prompt.args)+len(o.prompt.files) > 0 {
			return "", usagef("", "--resend sends the prompt that is kept; leave the other away")
		}
		return pendingPrompt(conversation)
	}
	return a.readPrompt(ctx, o.prompt)
}

// callOrder finds the nodes of a call. A prompt that one of several nodes cannot be sent is refused now, and so is one
// that would wait in a conversation for an answer; a single call finds out by itself what the API does not have.
func (a *app) callOrder(
	s *settings, conversation *client.Conversation, request wire.Request, o callOptions,
) (*nodeOrder, error) {
	names, err := conversationNodes(s, conversation)
	if err != nil {
		return nil, err
	}
	options := endpointOptions{unread: o.dryRun, holds: true}
	if o.streams { // of a whole answer the transport has a bound of its own
		options.most = maxStream
	}
	order, err := a.order(s, names, options)
	if err != nil || conversation == nil && len(names) == 1 {
		return order, err
	}
	return order, order.suits(s, request)
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

package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"ferry/pkg/audit"
	"ferry/pkg/client"
	"ferry/pkg/guard"
	"ferry/pkg/limit"
	"ferry/pkg/state"
	"ferry/pkg/text"
	"ferry/pkg/wire"

	"github.com/spf13/cobra"
)

// checkHTTP3 rejects a value of --http3 that is a separate word: it would be the first word of the prompt.
func (a *app) checkHTTP3(prompt []string) error {
	at := slices.Index(a.args, "--http3") + 1
	if at == 0 || len(prompt) == 0 || at == len(a.args) || a.args[at] != prompt[0] ||
		!slices.Contains([]string{"true", "false", "only"}, prompt[0]) {
		return nil
	}
	return usagef("--http3="+prompt[0], "--http3 takes its value after =: here %q would be the prompt", prompt[0])
}

// runCall runs ask and stream: it reads the prompt, selects the nodes, makes the call and prints the answer.
func runCall(c *cobra.Command, a *app, o callOptions, args []string) error {
	a.quiet, o.prompt.args = o.quiet, args
	if a.closed != nil {
		return a.closed
	}
	s, err := a.settings(o.node)
	if err != nil {
		return err
	}
	output, err := newCallOutput(s, o)
	if err != nil {
		return err
	}
	timeout := s.values.Timeout
	call := &client.Call{Timeout: timeout, Deadline: a.Clock.Now().Add(timeout), Reading: output.reading}
	if o.streams {
		call.Sink = output.sink
	}
	timeWrites(timeout, &a.out, &a.err)
	ctx, cancel := context.WithTimeoutCause(c.Context(), timeout, &client.DeadlineError{Timeout: timeout})
	defer cancel()
	var conversation *client.Conversation
	if o.conversation != (conversationOptions{}) {
		if conversation, err = s.openConversation(ctx, o.conversation); err != nil {
			return err
		}
		defer conversation.Handle.Close()
		call.Token = conversation.Handle.Session().Token
	}
	if call.Request, err = a.request(ctx, conversation, o); err != nil {
		return err
	}
	names := s.values.Nodes
	if conversation != nil {
		if names, err = s.resume(conversation); err != nil {
			return err
		}
	}
	order, err := s.order(ctx, names, endpointOptions{keyUnread: o.dryRun, streams: o.streams, holds: true})
	if err == nil && (conversation != nil || len(names) > 1) {
		err = order.checkRequest(call.Request) // a call to one node reports what the API lacks by itself
	}
	if err != nil {
		return err
	}
	defer order.close()
	stages, err := s.stages(output.callOptions, conversation)
	if err != nil {
		return err
	}
	if stages.Filter != nil {
		order.prepareFilter(stages.Filter, call.Request.AllFiles())
	}
	if o.dryRun {
		return order.dryRun(ctx, stages.Filter, call)
	}
	order.Fastest = s.values.Fastest && conversation == nil // a conversation stays with its node
	stages.Failover = &order.Failover
	stages.Output = output.show
	output.keep = output.keep || conversation != nil || stages.Audit != nil && stages.Audit.Content
	if o.verbose {
		order.onEndpoint, order.OnReady = a.showProxy, a.showConnected
		stages.OnRequest, stages.OnAttempt = a.showRequest, a.showAttempt
	}
	if s.values.AuditFile != "" || o.streams || order.catchSignals || output.output == "json" {
		// A signal kills the process only after the call is logged and charged and the received text is shown.
		var release func()
		ctx, release = a.Catch(ctx)
		defer release()
		endWrites(ctx, &a.out, &a.err)
	}
	if a.err.TTY && !a.quiet {
		ctx, cancel = order.showCall(ctx, &stages)
		defer cancel()
	}
	if result, err := client.Chain(stages).Do(ctx, call); err != nil {
		return withCost(result, err)
	}
	return nil
}

// withCost adds to the error of a call that was stopped or not sent what it may cost.
func withCost(result *client.Result, err error) error {
	var spent *limit.SpentError
	var stopped signalled
	switch {
	case len(result.Attempts) == 0 && errors.As(err, &spent):
		return text.WithHint(err, text.Hint(err)+"; nothing was sent")
	case errors.As(err, &stopped):
		return text.WithHint(err, mayBeBilled(result.Attempts))
	}
	return err
}

// mayBeBilled describes what a stopped call may cost.
func mayBeBilled(attempts []*client.Attempt) string {
	sent, ambiguous := 0, 0
	for _, at := range attempts {
		if at.Sent {
			sent++
		}
		if at.Ambiguous {
			ambiguous++
		}
	}
	switch {
	case sent == 0:
		return "nothing was sent"
	case ambiguous == 0:
		return "the requests sent were refused, which costs no tokens"
	case ambiguous == 1:
		return "a request was sent, which may have been carried out and billed"
	}
	return fmt.Sprintf("%d requests were sent, which may have been carried out and billed", ambiguous)
}

// request builds the request: the prompt with its files, the earlier turns of the conversation, and the schema.
func (a *app) request(ctx context.Context, conversation *client.Conversation, o callOptions) (wire.Request, error) {
	request := o.request
	request.Stream = o.streams
	if o.node.given["http3"] == "true" {
		if err := a.checkHTTP3(o.prompt.args); err != nil {
			return request, err
		}
	}
	var err error
	switch {
	case !o.conversation.resend:
		request.Prompt, request.Files, err = a.readPrompt(ctx, o.prompt)
	case len(o.prompt.args)+len(o.prompt.files) > 0:
		err = usagef("", "--resend sends the saved prompt; leave out the new one")
	default:
		request.Prompt, request.Files, err = pendingPrompt(conversation)
	}
	if err != nil {
		return request, err
	}
	if conversation != nil {
		if request.Turns, err = conversation.Turns(); err != nil {
			return request, err
		}
	}
	if o.schema != "" {
		request.Schema, err = readSchema(ctx, o.schema)
	}
	return request, err
}

// maxSchema is the maximum size of a schema file in bytes.
const maxSchema = 1 << 20

func readSchema(ctx context.Context, name string) (json.RawMessage, error) {
	schema, err := readFile(ctx, name, maxSchema, "")
	if err != nil {
		return nil, err
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(schema, &object) != nil || object == nil {
		return nil, usagef("a schema is a JSON object", "%s is not a JSON schema", name)
	}
	return schema, nil
}

// dryRun prints the request that would be sent and a curl line that sends it. It reads no key: the line names the
// source of the key.
func (order *nodeOrder) dryRun(ctx context.Context, filter *client.Filter, call *client.Call) error {
	if err := filter.CheckRequest(call.Request); err != nil {
		return err
	}
	e, err := order.first(ctx)
	if err != nil {
		return err
	}
	if err := e.options.CheckPlainHTTP(); err != nil {
		return &client.Error{Class: client.PlainHTTP, Node: e.Name, Err: err, Unsent: true}
	}
	about := order.comment()
	if e.demo != nil {
		e.URL.Host = demoAddress // where curl reaches it when ferry demo runs
		about += "# this node runs inside ferry; `ferry demo` starts one that curl can reach\n"
	}
	p, err := e.Prepare(call.To(&e.Endpoint))
	if err != nil {
		return &client.Error{Class: client.Usage, Node: e.Name, Err: err}
	}
	var b strings.Builder
	for i := range p.Body {
		p.Body[i].JSON = text.SafeJSON(p.Body[i].JSON) // the same JSON without terminal control characters
	}
	fmt.Fprintf(&b, "%s %s\n", p.Method, text.Line(p.URL.String()))
	for _, f := range p.Header {
		fmt.Fprintf(&b, "%s: %s\n", text.Line(f.Name), text.Line(f.Public()))
	}
	fmt.Fprintf(&b, "\n%s\n\n%s%s\n", p.Body.Display(), about, p.Curl(e.options, call.Timeout, order.settings.file.Dir()))
	return order.settings.write(order.settings.masker.Bytes([]byte(b.String())))
}

// comment names the remaining nodes, for a dry run; "" if there is only one node.
func (order *nodeOrder) comment() string {
	if len(order.nodes) < 2 {
		return ""
	}
	remaining, stop := order.remaining(), ""
	names := mapSlice(remaining, func(node *orderedNode) string { return node.Name })
	if len(names) == 0 {
		names = []string{"no other"}
	}
	if len(remaining)+1 < len(order.nodes) {
		stop = fmt.Sprintf("; not %s, which is in another zone (--across)", order.nodes[len(remaining)+1].Name)
	}
	return fmt.Sprintf("# if %s fails: %s%s\n", order.nodes[0].Name, strings.Join(names, ", then "), stop)
}

// stages returns the stages that the settings enable.
func (s *settings) stages(o callOptions, conversation *client.Conversation) (client.Stages, error) {
	stages := client.Stages{Env: s.clientEnv(), Conversation: conversation}
	var err error
	if s.values.FiltersPrompts || s.values.FiltersAnswers {
		stages.Filter, err = s.loadFilter(o)
	}
	if s.values.AuditFile != "" && !s.noStore {
		stages.Audit = s.auditLog(conversation)
	}
	return stages, err
}

// loadFilter reads the lists of blocked words. It reads them at each use, because they may change. Without a usable
// list nothing is sent, even if only answers are checked.
func (s *settings) loadFilter(o callOptions) (*client.Filter, error) {
	f := &client.Filter{
		Prompts: s.values.FiltersPrompts, Answers: s.values.FiltersAnswers,
		Raw: o.output == "raw", Thinking: o.thinking || o.output != "text",
	}
	if path := s.values.FilterFile; path != "" {
		source, err := state.OpenTrusted(path)
		var fault *state.Error
		switch {
		case errors.As(err, &fault) && fault.Err != nil:
			return nil, &guard.FilterError{List: path, Reason: "cannot be opened: " + state.StripPath(fault.Err).Error(), Err: fault.Err}
		case err != nil:
			return nil, err
		}
		defer source.Close()
		list, err := guard.LoadFilter(path, source)
		if err != nil {
			return nil, err
		}
		f.Lists = append(f.Lists, list)
	}
	if words := s.values.FilterWords; len(words) > 0 {
		list, err := guard.NewFilter("filter.words in "+filepath.Base(s.file.Path), words)
		if err != nil {
			return nil, err
		}
		f.Lists = append(f.Lists, list)
	}
	return f, nil
}

// auditLog returns the log that the settings name. It opens nothing yet.
func (s *settings) auditLog(conversation *client.Conversation) *client.AuditLog {
	log := &client.AuditLog{
		Log:     audit.Log{Path: s.values.AuditFile, MaxSize: s.values.AuditMaxSize, Redact: s.redacted},
		Content: s.values.AuditsContent,
		Clock:   s.Clock,
		Outcome: outcome,
		OnError: func(err error) { s.writeErrLine("ferry: this call is not in the audit log: " + err.Error()) },
	}
	if conversation != nil {
		log.Session = audit.SessionID(conversation.Handle.Session().Name)
	}
	return log
}

// outcome returns the class of a failure, "" for none, and the exit code that a shell sees, also after a signal, for the
// audit log and JSON.
func outcome(failed error) (class string, exit int) {
	var e *client.Error
	var coded *exitError
	var output *outputError
	switch {
	case errors.As(failed, &e):
		class = string(e.Class)
	case errors.As(failed, &coded) && coded.code == exitMissed:
		class = "missed"
	case errors.As(failed, &output):
		class = string(client.Output)
	}
	exit, _ = exitCode(failed)
	if stopped, ok := errors.AsType[signalled](failed); ok {
		exit = 128 + int(stopped.Signal.(syscall.Signal)) // the only type of signals
	}
	return class, exit
}

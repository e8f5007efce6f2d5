package cmd

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"ferry/pkg/client"
	"ferry/pkg/config"
	"ferry/pkg/transport"
	"ferry/pkg/wire"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// batchOptions are the flags of ask that ask many prompts.
type batchOptions struct {
	in, out     string
	concurrency int
	again       bool
	maxFailures int
	tokenCap    int64
}

const (
	batchConcurrency = 8
	batchMaxFailures = 100
)

func addBatchFlags(f *pflag.FlagSet, o *batchOptions) {
	f.StringVar(&o.in, "batch", "", "ask every line of `IN`, - for standard input: a text, or an object with a prompt")
	f.StringVar(&o.out, "out", "", "of --batch: the `FILE` that gets a line for each answer; the same command goes on with it")
	f.IntVarP(&o.concurrency, "concurrency", "c", batchConcurrency, "of --batch: the most prompts in flight, `N`")
	f.BoolVar(&o.again, "again", false, "of --batch: ask those again that were in flight when an earlier run ended")
	f.IntVar(&o.maxFailures, "max-failures", batchMaxFailures, "of --batch: stop after `N` failures in a row; 0 never stops")
	f.Int64Var(&o.tokenCap, "max-tokens-total", 0, "of --batch: stop before the run could be billed more than `N` tokens")
}

// batchWanted reports whether the call is a batch, and refuses flags that have no meaning beside or without one.
func batchWanted(f *pflag.FlagSet) (bool, error) {
	wanted := f.Changed("batch")
	if !wanted {
		for _, flag := range []string{"out", "concurrency", "again", "max-failures", "max-tokens-total"} {
			if f.Changed(flag) {
				return false, usagef("ferry ask --batch IN.jsonl --out OUT.jsonl", "--%s is a flag of --batch", flag)
			}
		}
		return false, nil
	}
	for _, flag := range []string{"file", "session", "continue", "new", "resend", "output", "expect", "strict", "extract",
		"render", "no-render", "verbose", "hold"} {
		if f.Changed(flag) {
			return true, usagef("", "--%s has no meaning with --batch", flag)
		}
	}
	return true, nil
}

// check looks at the flags that need nothing but themselves.
func (o batchOptions) check(f *pflag.FlagSet, args []string) error {
	switch {
	case len(args) > 0:
		return usagef("leave the prompt away, or --batch", "--batch takes its prompts from a file, and there is one as an argument")
	case o.in == "":
		return usagef("- is standard input", "--batch wants a file")
	case o.out == "":
		return usagef("such as --out answers.jsonl", "--batch needs --out, so that the same command can go on where it was")
	case o.out == "-":
		return usagef("such as --out answers.jsonl", "--out wants a file: what went to standard output could not be gone on with")
	case o.concurrency < 1 || o.concurrency > 10_000:
		return usagef("", "--concurrency wants a whole number from 1 to 10000")
	case o.maxFailures < 0:
		return usagef("", "--max-failures wants a whole number, 0 for no bound")
	case o.tokenCap < 0 || f.Changed("max-tokens-total") && o.tokenCap == 0:
		return usagef("", "--max-tokens-total wants a whole number of tokens above 0")
	}
	return enoughFiles(o.concurrency)
}

// batchCall is a batch that is ready to be run.
type batchCall struct {
	*batchOptions
	app *app
	// nodes are in the order of failover; cross is the crossing to the first.
	nodes  []*batchNode
	cross  *crossing
	across bool
	filter *contentFilter
	// blocked writes down an item that the filter stopped.
	blocked func(ctx context.Context, err error)
	batch   *client.Batch
	// sending ends with the first signal.
	sending context.Context

	mu      sync.Mutex
	reached []*crossing
}

// batchNode is a node that is prepared when its turn comes, once.
type batchNode struct {
	config config.Node
	reach  func() (*crossing, error)
}

// runBatch asks every line of a file.
func runBatch(c *cobra.Command, a *app, o callOptions, b batchOptions, args []string) error {
	a.quiet = o.quiet
	if err := b.check(c.Flags(), args); err != nil {
		return err
	}
	o.crossing.flags = changedSettings(c.Flags())
	settings, err := a.settings(o.crossing)
	if err != nil {
		return err
	}
	call := &batchCall{batchOptions: &b, app: a}
	if err := a.batchCrossing(c.Context(), settings, call, o); err != nil {
		return err
	}
	defer call.close()
	in, done, err := a.batchInput(b, o.prompt.noStdin)
	if err != nil {
		return err
	}
	defer done()
	call.batch, err = client.OpenBatch(client.BatchFiles{
		In: in, InName: b.inName(), Out: b.out, Settings: call.settings(), Again: b.again, Price: call.price, Look: o.dryRun,
	})
	if err != nil {
		return batchUsage(err)
	}
	defer call.batch.Close()
	if o.dryRun {
		return a.write([]byte(a.describeBatch(call)))
	}
	return a.carryOut(c.Context(), call)
}

// batchUsage is an error before anything was sent.
func batchUsage(err error) error {
	return usagef(hintOf(err), "%s", err)
}

func (o batchOptions) inName() string {
	if o.in == "-" {
		return "standard input"
	}
	return o.in
}

// batchInput opens the input. What can be read only once is put into a private file beside OUT: that disk has to hold
// the answers too.
func (a *app) batchInput(o batchOptions, noStdin bool) (*os.File, func(), error) {
	var from io.Reader
	if o.in == "-" {
		if from = a.Stdin; noStdin || from == nil {
			return nil, nil, usagef("name a file", "--batch -: standard input is closed or not to be read")
		}
	} else {
		file, err := os.Open(o.in)
		if err != nil {
			return nil, nil, usagef("", "cannot read %s: %s", o.in, bare(err))
		}
		info, err := file.Stat()
		switch {
		case err == nil && info.Mode().IsRegular():
			return file, func() { file.Close() }, nil
		case err == nil && info.IsDir():
			file.Close()
			return nil, nil, usagef("", "cannot read %s: it is a folder", o.in)
		}
		defer file.Close()
		from = file
	}
	file, done, err := client.Spool(from, filepath.Dir(o.out))
	if err != nil {
		return nil, nil, usagef("", "cannot keep %s beside %s: %s", o.inName(), o.out, bare(err))
	}
	return file, done, nil
}

// batchCrossing prepares the first node, and says how those behind it are reached.
func (a *app) batchCrossing(ctx context.Context, s *settings, call *batchCall, o callOptions) error {
	names := s.values.Nodes()
	order, err := a.order(s, names)
	if err != nil {
		return err
	}
	if call.filter, err = a.loadFilter(s); err == nil {
		err = call.filter.checkPrompt("", o.system, nil)
	}
	if err != nil {
		return err
	}
	call.across = order.across
	call.blocked = func(ctx context.Context, err error) { a.recordBlocked(ctx, s, names[0], nil, err) }
	for i, node := range order.nodes {
		call.nodes = append(call.nodes, &batchNode{config: node, reach: sync.OnceValues(func() (*crossing, error) {
			return a.batchNode(ctx, s, call, node, len(names)-1-i, o)
		})})
	}
	cross, err := call.nodes[0].reach()
	if err != nil {
		return err
	}
	call.cross = cross
	if err = call.filter.checkExtras(cross.request); err == nil {
		sample := cross.request
		sample.Prompt = "x"
		err = order.suits(s, sample)
	}
	if err != nil {
		cross.close()
	}
	return err
}

// batchNode prepares a node when its turn comes, with as many kept connections as there are prompts in flight.
func (a *app) batchNode(ctx context.Context, s *settings, call *batchCall, node config.Node, behind int, o callOptions) (*crossing, error) {
	cross, err := a.prepare(ctx, s, node, o)
	if err != nil {
		return nil, err
	}
	cross.audit = a.auditing(s)
	cross.client.Behind = behind
	cross.client.OnWait = func(ctx context.Context, p client.Pause) error {
		return waitSending(ctx, call.sending, p, a.Clock.Sleep)
	}
	cross.request.System = o.system
	cross.options.Connections = call.concurrency
	rt, err := transport.New(cross.options)
	if err == nil {
		cross.client.Transport = rt
		err = o.extras.apply(ctx, &cross.request)
	}
	if err != nil {
		cross.close()
		return nil, err
	}
	call.mu.Lock()
	defer call.mu.Unlock()
	call.reached = append(call.reached, cross)
	return cross, nil
}

// close ends the crossings to all nodes that had a turn.
func (call *batchCall) close() {
	call.mu.Lock()
	defer call.mu.Unlock()
	for _, cross := range call.reached {
		cross.close()
	}
}

// settings are what all requests have in common and OUT's lines do not say, by the names of their flags.
func (call *batchCall) settings() map[string]string {
	r := call.cross.request
	return map[string]string{
		"--model": r.Model, "--max-tokens": fmt.Sprint(r.MaxTokens), "--system": r.System, "--api": string(call.cross.node.API),
		"--temperature": spellNumber(r.Temperature), "--top-p": spellNumber(r.TopP), "--stop": fmt.Sprintf("%q", r.Stop),
		"--schema": string(r.Schema), "--param": fmt.Sprintf("%q", r.Params),
	}
}

func spellNumber(n *float64) string {
	if n == nil {
		return ""
	}
	return fmt.Sprint(*n)
}

// request is an item's, as a node is to get it.
func (n *batchNode) request(cross *crossing, item client.Item) wire.Request {
	r := cross.request
	r.Prompt = item.Prompt
	if item.System != nil {
		r.System = *item.System
	}
	if item.Model != "" {
		r.Model = item.Model
		for _, alias := range n.config.Aliases {
			if alias.Name == item.Model {
				r.Model = alias.Model
			}
		}
	}
	if item.MaxTokens > 0 {
		r.MaxTokens = item.MaxTokens
	}
	return r
}

// price guesses what an item takes.
func (call *batchCall) price(item client.Item) (input, output int64) {
	r := call.nodes[0].request(call.cross, item)
	return estimateInput(r), int64(r.MaxTokens)
}

// ask is the one place where an item is asked: held to the filter, charged to the budget and written into the audit log
// as a call of its own would be, and handed over as one would be.
func (call *batchCall) ask(ctx context.Context, item client.Item) (asked client.Asked) {
	defer func() {
		if value := recover(); value != nil { // the item may have been carried out
			result := &client.Result{Attempts: []*client.Attempt{{Ambiguous: true}}}
			asked = client.Asked{Result: result, Err: call.app.crashed(value), Final: true}
		}
	}()
	last := *call.cross
	last.request = call.nodes[0].request(call.cross, item)
	asked.Result = &client.Result{}
	if err := call.filter.checkPrompt(item.Prompt, last.request.System, nil); err != nil {
		call.blocked(ctx, err)
		asked.Err = &client.Error{Class: client.Blocked, Node: last.node.Name, Err: err}
		return asked
	}
	legs := make([]client.Leg, len(call.nodes))
	for i, node := range call.nodes {
		legs[i] = client.Leg{Node: node.config.Name, Zone: node.config.Zone, Ask: func(ctx context.Context) (*client.Result, error) {
			cross, err := node.reach()
			if err != nil {
				return nil, err
			}
			last = *cross
			last.request = node.request(cross, item)
			return call.app.askHeld(ctx, &last)
		}}
	}
	result, err := client.Failover{Across: call.across}.Ask(ctx, legs)
	asked.Node, asked.Model = last.node.Name, last.request.Model
	if result == nil { // the first node could not be asked: no other would be
		asked.Err, asked.Final = err, true
		return asked
	}
	asked.Result = result
	asked.Err = call.filter.hold(&last, result, err, false)
	if result.Answer.NotUTF8 {
		call.app.note("line %d: the answer has bytes that are not UTF-8; %s has U+FFFD in their place", item.Line, call.out)
	}
	call.app.record(ctx, &last, nil, result, asked.Err)
	return asked
}

// askHeld asks a node whose budget, if it has one, allows it, and charges what that used.
func (a *app) askHeld(ctx context.Context, c *crossing) (*client.Result, error) {
	var err error
	if c.held, err = c.hold(ctx, c.request); err != nil {
		return nil, err
	}
	defer a.settle(c)
	return charged(c, func(c *crossing) (*client.Result, error) {
		return c.client.Ask(ctx, c.node, c.request, client.AsAnswer)
	})
}

// affords refuses a batch of which the budget would let nothing out.
func (call *batchCall) affords(ctx context.Context, plan client.Plan) error {
	if plan.ToSend == 0 {
		return nil
	}
	held, err := call.cross.hold(ctx, call.cross.request)
	if err != nil {
		return err
	}
	return call.cross.spend(held, call.cross.request, &client.Result{})
}

// carryOut runs the batch and says what came of it. The first signal ends the sending, the second kills.
func (a *app) carryOut(ctx context.Context, call *batchCall) error {
	plan := call.batch.Plan()
	if err := call.affords(ctx, plan); err != nil {
		return err
	}
	a.sayFaults(call, plan)
	a.note("%s", call.estimate(plan))
	sizeMemory(0)
	boundMemory()
	caught, release := a.Catch(ctx)
	defer release()
	call.sending = caught
	stop := a.showBatch(call)
	tally, err := call.batch.Run(ctx, client.BatchRun{
		Ask: call.ask, Workers: min(call.concurrency, max(1, plan.ToSend)), MaxFailures: call.maxFailures,
		MaxTokens: call.tokenCap, Attempts: call.cross.client.Rule.Attempts, Stop: caught.Done(),
		Untaken: func(line []byte) { a.tell(a.masker.String(string(line))) },
	})
	stop()
	return a.concludeBatch(call, plan, tally, err, caught.Err() != nil)
}

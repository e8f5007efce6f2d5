package cmd

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"ferry/pkg/client"
	"ferry/pkg/text"
	"ferry/pkg/wire"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// check looks at the flags that need nothing but themselves.
func (o batchOptions) check(f *pflag.FlagSet, args []string) error {
	for _, flag := range []string{"file", "session", "continue", "new", "resend", "output", "expect", "strict", "extract",
		"render", "no-render", "verbose", "hold"} {
		if f.Changed(flag) {
			return usagef("", "--%s has no meaning with --batch", flag)
		}
	}
	switch {
	case len(args) > 0:
		return usagef("leave the prompt away, or --batch", "--batch takes its prompts from a file, and there is one as an argument")
	case o.in == "":
		return usagef("- is standard input", "--batch needs a file")
	case o.out == "":
		return usagef("such as --out answers.jsonl", "--batch needs --out, so that the same command can go on where it was")
	case o.out == "-":
		return usagef("such as --out answers.jsonl", "--out needs a file: what went to standard output could not be gone on with")
	case o.concurrency < 1 || o.concurrency > 10_000:
		return invalid("concurrency", o.concurrency, "a whole number from 1 to 10000")
	case o.maxFailures < 0:
		return invalid("max-failures", o.maxFailures, "a whole number, 0 for no bound")
	case o.tokenCap < 0 || f.Changed("max-tokens-total") && o.tokenCap == 0:
		return invalid("max-tokens-total", o.tokenCap, "a whole number of tokens above 0")
	}
	return enoughFiles(o.concurrency)
}

// batchCall is a batch that is ready to be run.
type batchCall struct {
	*batchOptions
	app   *app
	order *nodeOrder
	// first is the endpoint that is asked first, and request what all items have in common.
	first   *endpoint
	request wire.Request
	timeout time.Duration
	chain   client.Doer
	batch   *client.Batch
	// sending ends with the first signal.
	sending context.Context
}

// runBatch asks every line of a file.
func runBatch(c *cobra.Command, a *app, o callOptions, b batchOptions, args []string) error {
	a.quiet = o.quiet
	if err := b.check(c.Flags(), args); err != nil {
		return err
	}
	settings, err := a.settings(o.node)
	if err != nil {
		return err
	}
	call := &batchCall{batchOptions: &b, app: a, timeout: settings.values.Timeout}
	if err := call.prepare(c.Context(), settings, o); err != nil {
		return err
	}
	defer call.order.close()
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

// prepare readies the first node and the chain that every item goes through.
func (call *batchCall) prepare(ctx context.Context, s *settings, o callOptions) error {
	a := call.app
	call.request.System = o.system
	if err := o.extras.apply(ctx, &call.request); err != nil {
		return err
	}
	stages, err := s.stages(o, nil)
	if err != nil {
		return err
	}
	if err := stages.Filter.CheckRequest(call.request); err != nil {
		return err
	}
	options := endpointOptions{unread: o.dryRun, connections: call.concurrency}
	if call.order, err = s.order(s.values.Nodes, options); err != nil {
		return err
	}
	sample := call.request
	sample.Prompt = "x"
	if call.first, err = call.order.first(ctx); err == nil {
		err = call.order.suits(sample)
	}
	if err != nil {
		call.order.close()
		return err
	}
	stages.Wait = func(ctx context.Context, p client.Pause) error {
		return waitSending(ctx, call.sending, p, a.Clock.Sleep)
	}
	call.order.OnHandover, call.order.OnSkip = nil, nil // those of single items are not told
	stages.Failover, stages.Output = &call.order.Failover, client.HoldToSchema
	call.chain = &recovering{a, client.Chain(stages)}
	return nil
}

// recovering makes an error of a panic in a worker: the item may have been carried out.
type recovering struct {
	app  *app
	next client.Doer
}

func (r *recovering) Do(ctx context.Context, call *client.Call) (result *client.Result, err error) {
	defer func() {
		if value := recover(); value != nil {
			result, err = &client.Result{Attempts: []*client.Attempt{{Ambiguous: true}}}, r.app.crashed(value)
		}
	}()
	return r.next.Do(ctx, call)
}

// item is the call of an item.
func (call *batchCall) item(item client.Item) *client.Call {
	r := call.request
	r.Prompt, r.Model, r.MaxTokens = item.Prompt, item.Model, item.MaxTokens
	if item.System != nil {
		r.System = *item.System
	}
	return &client.Call{Request: r, Timeout: call.timeout, Deadline: call.app.Clock.Now().Add(call.timeout)}
}

// batchUsage is an error before anything was sent.
func batchUsage(err error) error {
	return usagef(text.Hint(err), "%s", err)
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
			if err := o.refuseInput(file); err != nil {
				file.Close()
				return nil, nil, err
			}
			return file, func() { file.Close() }, nil
		case err == nil && info.IsDir():
			file.Close()
			return nil, nil, usagef("", "cannot read %s: it is a folder", o.in)
		}
		defer file.Close()
		from = file
	}
	if err := o.refuseInput(from); err != nil {
		return nil, nil, err
	}
	file, done, err := client.Spool(from, filepath.Dir(o.out))
	if err != nil {
		return nil, nil, usagef("", "cannot keep %s beside %s: %s", o.inName(), o.out, bare(err))
	}
	return file, done, nil
}

// refuseInput fails where the input is a file that the batch writes: it would be lost.
func (o batchOptions) refuseInput(in io.Reader) error {
	file, ok := in.(*os.File)
	if !ok {
		return nil
	}
	input, err := file.Stat()
	if err != nil {
		return usagef("", "cannot read %s: %s", o.inName(), bare(err))
	}
	for _, path := range client.BatchPaths(o.out) {
		if written, err := os.Stat(path); err == nil && os.SameFile(input, written) {
			return usagef("take another --out", "--batch and --out: the batch writes %s, which is its input", path)
		}
	}
	return nil
}

// settings are what all requests have in common and OUT's lines do not say, by the names of their flags.
func (call *batchCall) settings() map[string]string {
	r, e := call.request, call.first
	return map[string]string{
		"--model": e.Model, "--max-tokens": fmt.Sprint(e.MaxTokens), "--system": r.System, "--api": string(e.API),
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

// price guesses what an item takes.
func (call *batchCall) price(item client.Item) (input, output int64) {
	r := call.item(item).To(&call.first.Endpoint).Request
	return client.EstimateInput(r), int64(r.MaxTokens)
}

// affords refuses a batch of which the budget would let nothing out.
func (call *batchCall) affords(ctx context.Context, plan client.Plan) error {
	if plan.ToSend == 0 || call.first.Budget == nil {
		return nil
	}
	return call.first.Budget.Check(ctx, call.item(client.Item{}).To(&call.first.Endpoint))
}

// carryOut runs the batch and reports the result. The first signal ends the sending, the second kills.
func (a *app) carryOut(ctx context.Context, call *batchCall) error {
	plan := call.batch.Plan()
	if err := call.affords(ctx, plan); err != nil {
		return err
	}
	a.sayFaults(call, plan)
	a.note("%s", call.estimate(plan))
	debug.SetGCPercent(400) // see sizeMemory
	caught, release := a.Catch(ctx)
	defer release()
	call.sending = caught
	stop := a.showBatch(call)
	tally, err := call.batch.Run(ctx, client.BatchRun{
		Chain: call.chain, Call: call.item, Workers: min(call.concurrency, max(1, plan.ToSend)), MaxFailures: call.maxFailures,
		MaxTokens: call.tokenCap, Attempts: call.first.Rule.Attempts, Sending: caught,
		NotUTF8: func(line int) {
			a.note("line %d: the answer has bytes that are not UTF-8; %s has U+FFFD in their place", line, call.out)
		},
		Untaken: func(line []byte) { a.tell(a.masker.String(string(line))) },
	})
	stop()
	return a.concludeBatch(call, plan, tally, err, caught.Err() != nil)
}

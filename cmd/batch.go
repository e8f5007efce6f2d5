package cmd

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"time"

	"ferry/pkg/client"
	"ferry/pkg/term"
	"ferry/pkg/text"
	"ferry/pkg/wire"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// batchOptions are the flags of ask for a batch.
type batchOptions struct {
	inFile, outFile string
	shard           client.Shard
	merge           bool
	concurrency     int
	again           bool
	maxFailures     int
	tokenCap        int64
}

// batchFlags are the flags that need --batch.
var batchFlags = []string{"out", "concurrency", "again", "max-failures", "max-tokens-total", "shard", "merge"}

// check validates what can be checked before the settings and the files are read.
func (o batchOptions) check(f *pflag.FlagSet, args []string) error {
	for _, flag := range []string{"file", "session", "continue", "new", "resend", "output", "expect", "strict", "extract",
		"render", "no-render", "usage", "verbose", "hold"} {
		if f.Changed(flag) {
			return usagef("", "--%s has no meaning with --batch", flag)
		}
	}
	switch {
	case len(args) > 0:
		return usagef("leave out the prompt or --batch", "--batch reads prompts from a file, but a prompt was also given as an argument")
	case o.inFile == "":
		return usagef("- is standard input", "--batch needs a file")
	case o.outFile == "":
		return usagef("such as --out answers.jsonl", "--batch needs --out, so that the same command can resume")
	case o.outFile == "-":
		return usagef("such as --out answers.jsonl", "--out needs a file: a batch on standard output cannot be resumed")
	case o.concurrency < 1 || o.concurrency > 10_000:
		return invalid("concurrency", o.concurrency, "a whole number from 1 to 10000")
	case o.maxFailures < 0:
		return invalid("max-failures", o.maxFailures, "a whole number, 0 for no limit")
	case o.tokenCap < 0 || f.Changed("max-tokens-total") && o.tokenCap == 0:
		return invalid("max-tokens-total", o.tokenCap, "a whole number of tokens above 0")
	}
	return checkFileLimit(o.concurrency)
}

// batchCall is a batch that is ready to run.
type batchCall struct {
	*app
	batchOptions
	inName string
	// first is the first endpoint of the failover order.
	first  *endpoint
	batch  *client.Batch
	plan   client.Plan
	pauses pauses
}

// runBatch sends every line of a file as a prompt.
func runBatch(c *cobra.Command, a *app, o callOptions, b batchOptions, args []string) error {
	a.quiet = o.quiet
	if b.merge {
		return runMerge(c.Flags(), a, o, b, args)
	}
	if err := b.check(c.Flags(), args); err != nil {
		return err
	}
	s, err := a.settings(o.node)
	if err != nil {
		return err
	}
	common := &client.BatchRequest{Request: o.request, Timeout: s.values.Timeout, Clock: a.Clock}
	if o.schema != "" {
		if common.Schema, err = readSchema(c.Context(), o.schema); err != nil {
			return err
		}
	}
	stages, err := s.stages(o, nil)
	if err != nil {
		return err
	}
	order, err := s.order(c.Context(), s.values.Nodes, endpointOptions{keyUnread: o.dryRun, connections: b.concurrency})
	if err != nil {
		return err
	}
	defer order.close()
	if stages.Filter != nil {
		order.prepareFilter(stages.Filter, nil)
	}
	if err := stages.Filter.CheckRequest(common.Request); err != nil {
		return err
	}
	order.OnFailover, order.OnSkip = nil, nil // a batch does not report them item by item
	stages.Failover, stages.Output = &order.Failover, client.CheckBatchSchema
	call := &batchCall{app: a, batchOptions: b}
	if call.first, err = order.first(c.Context()); err != nil {
		return err
	}
	common.Endpoint, common.Others = &call.first.Endpoint, order.remainingEndpoints()
	if err := order.checkRequest(common.Call(client.Item{Prompt: "x"}).Request); err != nil {
		return err
	}
	in, err := a.openBatchInput(b.inFile, b.outFile, o.prompt.noStdin)
	if err != nil {
		return err
	}
	defer in.Close()
	call.inName = in.Name
	if b.inFile != "-" {
		common.Dir = filepath.Dir(b.inFile)
	}
	if call.batch, err = client.OpenBatch(client.BatchFiles{
		In: in, Out: b.outFile, Request: common, Shard: b.shard, Resend: b.again, ReadOnly: o.dryRun,
	}); err != nil {
		return err
	}
	defer call.batch.Close()
	call.plan = call.batch.Plan
	if call.plan.Files > 0 {
		with := common.Call(client.Item{Prompt: "x"}).Request
		with.Files = []*wire.File{{Name: "x", Type: "image/png"}} // every API that accepts files accepts this type
		if err := order.checkRequest(with); err != nil {
			return err
		}
	}
	if o.dryRun {
		return a.write([]byte(call.describe()))
	}
	return call.run(c.Context(), common, stages)
}

// openBatchInput opens the input of a batch. Standard input, or a file that is not regular, is copied to the folder of
// out.
func (a *app) openBatchInput(path, out string, noStdin bool) (*client.BatchInput, error) {
	if path == "-" && (a.Stdin == nil || noStdin) {
		return nil, usagef("name a file", "--batch -: standard input is closed, or reading it is turned off")
	}
	return client.OpenBatchInput(path, out, a.Stdin)
}

// run sends the batch and reports the result. The first signal stops the sending, the second kills the process.
func (b *batchCall) run(ctx context.Context, common *client.BatchRequest, stages client.Stages) error {
	if budget := b.first.Budget; b.plan.ToSend > 0 && budget != nil { // fail now if the budget would allow no request
		if err := budget.Check(ctx, common.Call(client.Item{}).To(common.Endpoint)); err != nil {
			return err
		}
	}
	b.reportFaults()
	if b.plan.ToSend > 0 {
		b.note("%s", b.estimate())
	}
	if stages.Filter != nil && stages.Filter.Prompts && b.plan.Files > 0 {
		b.note("the filter checks text, but not the content of pictures and PDFs")
	}
	debug.SetGCPercent(400) // the memory of a request is garbage at once, so few collections are enough
	caught, release := b.Catch(ctx)
	defer release()
	stages.Wait = func(ctx context.Context, p client.Pause) error { return b.pauses.wait(ctx, caught, p, b.Clock.Sleep) }
	stop := b.showProgress()
	tally, err := b.batch.Run(ctx, client.BatchRun{
		Chain: &recovering{b.app, client.Chain(stages)}, Workers: min(b.concurrency, max(1, b.plan.ToSend)),
		MaxFailures: b.maxFailures, MaxTokens: b.tokenCap, Sending: caught, Wait: stages.Wait,
		NotUTF8: func(line int) {
			b.note("line %d: the answer has bytes that are not UTF-8; %s has U+FFFD in their place", line, b.outFile)
		},
		Unwritten: func(line []byte) { b.writeErr(b.masker.String(string(line))) },
		Redact:    b.redacted,
	})
	stop()
	return b.reportResult(tally, err, caught.Err() != nil)
}

// recovering turns a panic in a worker into an error. The item may have been carried out.
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

// estimate describes what a batch will send.
func (b *batchCall) estimate() string {
	p, attempts := b.plan, b.first.Rule.Attempts
	out := ""
	if b.shard != (client.Shard{}) {
		out = "shard " + b.shard.String() + ": "
	}
	if p.ToSend == 0 {
		return out + fmt.Sprintf("nothing to send; %d of %d are done", p.Done, p.Items)
	}
	out += fmt.Sprintf("%s to %s, %d in flight: about %s in and at most %d out", text.Count(p.ToSend, "request"),
		b.first.Name, min(b.concurrency, p.ToSend), text.Count(int(p.Input), "token"), p.Output)
	return out + joinParts("",
		part{attempts > 1, fmt.Sprintf(", up to %d attempts each", attempts)},
		part{true, fmt.Sprintf(", at most about %s in all", text.Count(int(p.All), "token"))},
		part{b.tokenCap > 0 && b.tokenCap < p.All, fmt.Sprintf("; --max-tokens-total stops the run before %d", b.tokenCap)},
		part{p.Done > 0, fmt.Sprintf("; %d of %d are done", p.Done, p.Items)},
	)
}

// maxShownFaults is how many malformed lines are reported one by one; OUT.failed has all of them.
const maxShownFaults = 10

// describe returns what --dry-run prints.
func (b *batchCall) describe() string {
	p, n := b.plan, b.first
	out := fmt.Sprintf("%s  %s  %s  %s\n", n.Name, shownURL(n.URL), n.API, n.Model)
	for _, fault := range p.Faults[:min(len(p.Faults), maxShownFaults)] {
		out += b.inName + ": " + fault.Error() + "\n"
	}
	if p.Malformed > 0 {
		out += text.Count(p.Malformed, "malformed line") + " would not be sent\n"
	}
	if p.Ambiguous.Count > 0 {
		out += inFlight(p.Ambiguous).Error() + "\n"
	}
	return b.safe(out) + b.estimate() + "\n"
}

// reportFaults reports what cannot be sent, and what an earlier run left open. Errors are printed with -q too.
func (b *batchCall) reportFaults() {
	p := b.plan
	for _, fault := range p.Faults[:min(len(p.Faults), maxShownFaults)] {
		b.printError(fmt.Errorf("%s: %w", b.inName, fault))
	}
	if len(p.Faults) > maxShownFaults {
		b.printError(fmt.Errorf("%s: and %d more malformed lines", b.inName, p.Malformed-maxShownFaults))
	}
	switch {
	case p.Ambiguous.Count == 0:
	case b.again:
		b.note("sending again: %s", inFlight(p.Ambiguous))
	default:
		b.printError(inFlight(p.Ambiguous))
	}
}

// inFlight returns an error that names the items that were in flight when an earlier run ended.
func inFlight(items client.Names) error {
	return unanswered("ambiguous, in flight when a run ended", items)
}

// unanswered returns an error that names the items that were sent and have no answer.
func unanswered(what string, items client.Names) error {
	out := what + ": " + items.String()
	if items.Count > len(items.First) {
		out += ", in OUT.failed"
	}
	return text.Errorf("they may have been answered and billed; --again sends them again", "%s", out)
}

// reportResult reports the result of a run. The exit code is 0 if OUT has an answer to every line of its shard
// and the run ended without an error.
func (b *batchCall) reportResult(t client.Tally, why error, caught bool) error {
	if why != nil {
		b.printError(why)
	}
	p := b.plan
	left := p.Ambiguous.Count // an older item counts once; with --again as an item of this run
	if b.again {
		left = 0
	}
	if t.Ambiguous.Count > 0 {
		b.printError(unanswered("may have been carried out, and have no answer in OUT", t.Ambiguous))
	}
	unsent := p.ToSend - t.Answered - t.Failed
	sum := joinParts(", ",
		part{true, fmt.Sprintf("%d of %d answered", p.Done+t.Answered, p.Items+p.Malformed)},
		part{t.Failed > 0, fmt.Sprintf("%d failed", t.Failed)},
		part{left > 0, fmt.Sprintf("%d left in flight by an earlier run", left)},
		part{p.Malformed > 0, fmt.Sprintf("%d malformed", p.Malformed)},
		part{unsent > 0, fmt.Sprintf("%d not sent", unsent)},
	)
	if t.Failed+left+p.Malformed+unsent == 0 && why == nil {
		b.note("%s in %s; tokens of this run: %d in, %d out", sum, b.outFile, t.Input, t.Output)
		return nil
	}
	if caught {
		sum += ", stopped"
	}
	if t.FirstFailure != "" && why == nil {
		sum += "; the first failure: " + t.FirstFailure
	}
	hint := joinParts("; ",
		part{t.Failed-t.Unwritten+left+p.Malformed > 0, b.outFile + ".failed lists them with the reasons"},
		part{t.Unwritten > 0, "answers that could not be written are above"},
		part{unsent+t.Failed-t.Ambiguous.Count > 0, "the same command sends the items without an answer"},
	)
	return failedf(hint, "%s", sum)
}

// showProgress shows the progress of a batch until stop is called.
func (b *batchCall) showProgress() (stop func()) {
	total, started := b.plan.ToSend, b.Clock.Now()
	progress := func() (done int, line string) {
		t, since := b.batch.Progress(), b.Clock.Now().Sub(started)
		done = t.Answered + t.Failed
		rest := time.Duration(float64(since) / float64(max(1, done)) * float64(total-done))
		status := b.pauses.status(done > 0, since)
		return done, joinParts("  ",
			part{true, fmt.Sprintf("%d/%d", done, total)},
			part{since > 0, fmt.Sprintf("%.3g/s", float64(done)/since.Seconds())},
			part{true, fmt.Sprintf("%d failed", t.Failed)},
			part{done > 0 && done < total, rest.Round(time.Second).String() + " left"},
			part{status != "", status},
		)
	}
	return b.startDisplay(
		0,
		func() []string {
			done, line := progress()
			return []string{term.Bar(done, total, barWidth) + "  " + b.translate(line)}
		},
		func() {
			_, line := progress()
			b.note("%s", line)
		},
	)
}

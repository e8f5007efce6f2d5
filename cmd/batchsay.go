package cmd

import (
	"fmt"
	"strings"
	"time"

	"ferry/pkg/client"
	"ferry/pkg/term"
	"ferry/pkg/text"
)

// shownFaults is how many malformed lines are said one by one; OUT.failed has all of them.
const shownFaults = 10

// estimate says what a batch will send, before it does.
func (call *batchCall) estimate(p client.Plan) string {
	attempts := int64(call.first.Rule.Attempts)
	text := fmt.Sprintf("%s to %s, %d in flight: about %d tokens in and at most %d out", text.Count(p.ToSend, "request"),
		call.first.Name, call.concurrency, p.Input, p.Output)
	if attempts > 1 {
		text += fmt.Sprintf(", up to %d attempts each", attempts)
	}
	most := (p.Input + p.Output) * attempts
	if call.tokenCap > 0 {
		most = min(most, call.tokenCap)
	}
	text += fmt.Sprintf(", at most about %d tokens in all", most)
	if p.Done > 0 {
		text += fmt.Sprintf("; %d of %d are done", p.Done, p.Items)
	}
	return text
}

// describeBatch is what --dry-run prints.
func (a *app) describeBatch(call *batchCall) string {
	p := call.batch.Plan()
	n := call.first
	out := fmt.Sprintf("%s  %s  %s  %s\n", n.Name, shownURL(n.URL), n.API, call.first.Model)
	for i, fault := range p.Faults {
		if i == shownFaults {
			break
		}
		out += call.inName() + ": " + fault.Error() + "\n"
	}
	if p.Malformed > 0 {
		out += text.Count(p.Malformed, "malformed line") + " would not be sent\n"
	}
	if p.Ambiguous > 0 {
		out += inFlight(p.Ambiguous, p.InFlight) + "\n"
	}
	return a.safe(out) + call.estimate(p) + "\n"
}

// sayFaults says what cannot be sent, and what an earlier run left open. Errors are said under -q too.
func (a *app) sayFaults(call *batchCall, p client.Plan) {
	for i, fault := range p.Faults {
		if i == shownFaults {
			a.complain(fmt.Errorf("%s: and %d more malformed lines", call.inName(), p.Malformed-i))
			break
		}
		a.complain(fmt.Errorf("%s: %w", call.inName(), fault))
	}
	if p.Ambiguous == 0 {
		return
	}
	text := inFlight(p.Ambiguous, p.InFlight)
	if call.again {
		a.note("asking again: %s", text)
		return
	}
	a.complain(&ambiguousError{text})
}

// ambiguousError names items that may have been carried out.
type ambiguousError struct{ text string }

func (e *ambiguousError) Error() string { return e.text }

// Hint tells what to do about it.
func (e *ambiguousError) Hint() string {
	return "they may have been answered and billed; --again asks them again"
}

// inFlight names the items that were sent and have no answer.
func inFlight(count int, ids []string) string {
	text := fmt.Sprintf("ambiguous, in flight when a run ended: %s", strings.Join(ids, ", "))
	if more := count - len(ids); more > 0 {
		text += fmt.Sprintf(" and %d more, in OUT.failed", more)
	}
	return text
}

// batchError says that a batch is not all done.
type batchError struct{ text, hint string }

func (e *batchError) Error() string { return e.text }

// Hint tells what to do about it.
func (e *batchError) Hint() string { return e.hint }

// concludeBatch sums up a run: exit code 0 when OUT has an answer to every line.
func (a *app) concludeBatch(call *batchCall, p client.Plan, t client.Tally, why error, caught bool) error {
	if why != nil {
		a.complain(why)
	}
	left := p.Ambiguous // asked again or not, an older one is counted once
	if call.again {
		left = 0
	}
	if t.Ambiguous > 0 {
		a.complain(&ambiguousError{inFlight(t.Ambiguous, t.InFlight)})
	}
	unsent := p.ToSend - t.Answered - t.Failed
	sum := fmt.Sprintf("%d of %d answered", p.Done+t.Answered, p.Items+p.Malformed)
	for _, part := range []struct {
		count int
		what  string
	}{{t.Failed, "failed"}, {left, "left in flight by an earlier run"}, {p.Malformed, "malformed"}, {unsent, "not sent"}} {
		if part.count > 0 {
			sum += fmt.Sprintf(", %d %s", part.count, part.what)
		}
	}
	if t.Failed+left+p.Malformed+unsent == 0 && why == nil {
		a.note("%s in %s; tokens of this run: %d in, %d out", sum, call.out, t.Input, t.Output)
		return nil
	}
	if caught {
		sum += ", stopped"
	}
	if t.FirstFailure != "" && why == nil {
		sum += "; the first failure: " + t.FirstFailure
	}
	a.complain(&batchError{sum, call.next(t.Failed+left+p.Malformed, unsent+t.Failed-t.Ambiguous)})
	return silent(exitFailed)
}

// next says where to look and what to do.
func (call *batchCall) next(reported, open int) string {
	var hints []string
	if reported > 0 {
		hints = append(hints, call.out+".failed says which and why")
	}
	if open > 0 {
		hints = append(hints, "the same command asks what is not answered")
	}
	return strings.Join(hints, "; ")
}

// showBatch shows how far a batch is until stop is called.
func (a *app) showBatch(call *batchCall) (stop func()) {
	total := call.batch.Plan().ToSend
	started := a.Clock.Now()
	far := func(left string) string {
		t := call.batch.Progress()
		done, since := t.Answered+t.Failed, a.Clock.Now().Sub(started)
		text := fmt.Sprintf("%d/%d", done, total)
		if since > 0 {
			text += fmt.Sprintf("  %.3g/s", float64(done)/since.Seconds())
		}
		text += fmt.Sprintf("  %d failed", t.Failed)
		if done > 0 && done < total {
			rest := time.Duration(float64(since) / float64(done) * float64(total-done))
			text += "  " + rest.Round(time.Second).String() + left
		}
		return text
	}
	return a.showing(
		func() []string {
			t := call.batch.Progress()
			return []string{term.Bar(t.Answered+t.Failed, total, barWidth) + "  " + far(" left")}
		},
		func() { a.note("%s", far(" left")) },
	)
}

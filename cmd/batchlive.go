package cmd

import (
	"fmt"
	"time"

	"ferry/pkg/term"
)

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

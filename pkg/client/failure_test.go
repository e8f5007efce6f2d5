package client

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"ferry/pkg/retry"
	"ferry/pkg/wire"
)

// TestFailureInAnswer checks that a failure inside an HTTP 200 is handled by its own status if no text was shown, in
// ask and stream, and that the script policy ignores headers.
func TestFailureInAnswer(t *testing.T) {
	const s = time.Second
	whole := body(`{"choices":[{"message":{"content":"hello"},"finish_reason":"stop"}]}`)
	failing := body(`{"choices":[{"message":{"content":"hal"},"finish_reason":"error","error":{"code":502,"message":"m"}}]}`)
	unnamed := body(`{"choices":[{"message":{"content":"hal"},"finish_reason":"network_error"}]}`)
	hal := `data: {"choices":[{"delta":{"content":"hal"}}]}` + "\n\n"
	bad := `data: {"choices":[{"delta":{},"finish_reason":"error","error":{"code":502,"message":"m"}}]}` + "\n\n"
	busy := func(fields ...string) reply { return status(429, fields...) }
	for _, test := range []struct {
		name    string
		policy  retry.Policy
		streams bool
		first   reply
		waits   []time.Duration
		status  int // of the failure, 0 if there is an answer
		words   string
	}{
		{"a number, ask", retry.Script, false, failing, []time.Duration{s}, 0, "hello"},
		{"a number, ask, by Retry-After", retry.RetryAfter, false, failing, []time.Duration{s}, 0, "hello"},
		{"no number, ask", retry.Script, false, unnamed, nil, 500, "hal"},
		{"no number, ask, by Retry-After", retry.RetryAfter, false, unnamed, []time.Duration{s}, 0, "hello"},
		{"before text", retry.Script, true, events(bad), []time.Duration{s}, 0, "hello"},
		{"behind text", retry.Script, true, events(hal, bad), nil, 502, "hal"},
		{"behind text, by backoff", retry.Backoff, true, events(hal, bad), nil, 502, "hal"},
		{"a whole body that failed, streamed", retry.Script, true, failing, []time.Duration{s}, 0, "hello"},
		{"milliseconds", retry.RetryAfter, false, busy("Retry-After", "9", "Retry-After-Ms", "1500"), []time.Duration{1500 * time.Millisecond}, 0, "hello"},
		{"milliseconds are not the script's", retry.Script, false, busy("Retry-After-Ms", "1500"), []time.Duration{2 * s}, 0, "hello"},
		{"a fraction", retry.Backoff, false, busy("Retry-After", "2.5"), []time.Duration{2500 * time.Millisecond}, 0, "hello"},
		{"x-should-retry", retry.RetryAfter, false, busy("X-Should-Retry", "false"), nil, 429, ""},
		{"x-should-retry is not the script's", retry.Script, false, busy("X-Should-Retry", "false"), []time.Duration{2 * s}, 0, "hello"},
		{"a used-up account", retry.Backoff, false, body(`{"error":{"code":"1113","message":"m"}}`), nil, 500, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			trial := newTrial(t, serve(t, test.first, whole).URL)
			trial.API, trial.request.Model, trial.Rule.Policy = wire.Chat, "m", test.policy
			sink := &listener{}
			result, err := trial.do(t.Context(), sinkIf(test.streams, sink), AsAnswer)
			var failed *Error
			got := 0
			if errors.As(err, &failed) {
				got = failed.Status
			}
			if words := result.Answer.Text + sink.words.String(); got != test.status || words != test.words {
				t.Errorf("status %d, %q, want %d, %q: %v", got, words, test.status, test.words, err)
			}
			if !slices.Equal(trial.clock.waits, test.waits) {
				t.Errorf("waited %v, want %v", trial.clock.waits, test.waits)
			}
			if last := result.last(); err != nil && last.Ambiguous != strings.HasPrefix(test.words, "hal") {
				t.Errorf("ambiguous is %t of an answer of which %q came", last.Ambiguous, test.words)
			}
		})
	}
}

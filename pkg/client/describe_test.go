package client

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"ferry/pkg/text"
	"ferry/pkg/wire"
)

// TestDescribe checks the output of -o json for a complete call, for one that failed only a check, and for a failed
// one.
func TestDescribe(t *testing.T) {
	attempt := &Attempt{Node: "n", Number: 2, Status: 429, Class: RateLimited, RequestID: "req SECRET", Latency: 1500 * time.Microsecond}
	answered := func(complete bool) *Result {
		return &Result{Node: "n", API: wire.Messages, Model: "asked", Complete: complete, Latency: time.Second,
			Answer: wire.Answer{Model: "answered", Text: "SECRET words"}, Attempts: []*Attempt{attempt}}
	}
	long := &Result{Answer: wire.Answer{Text: strings.Repeat("x", 2*text.MaxShown)}, Body: []byte(strings.Repeat("y", text.MaxQuoted+1))}
	apiError := &Error{Class: RateLimited, Status: 429, Err: &wire.APIError{Status: 429, Code: "slow"}}
	redact := func(s string) string { return strings.ReplaceAll(s, "SECRET", "***") }
	for _, test := range []struct {
		name   string
		result *Result
		failed error
		want   []string
	}{
		{"whole", answered(true), nil, []string{
			`"complete":true,"node":"n","api":"messages","model":"answered"`, `"text":"SECRET words"`, `"latency_ms":1000,`,
			`"request_id":"req ***","latency_ms":1.5,`, `"error":null`,
		}},
		{"a check missed", answered(true), errors.New("no SECRET match"), []string{
			`"complete":true`, `"error":{"class":"","status":0,"type":"","message":"no *** match","gave_up":false}`,
		}},
		{"failed", answered(false), apiError, []string{
			`"complete":false`, `"text":"*** words"`, `"error":{"class":"429","status":429,"type":"slow",`,
		}},
		{"a long body", long, apiError, []string{`"body":"yyy`, `…`, `"attempts":[]`}},
		{"over failover", answered(false), &FailoverError{Last: apiError, Before: []*Error{{Class: Reset, GaveUp: true, Err: errors.New("x")}}},
			[]string{`"gave_up":true`}},
	} {
		got := must(json.Marshal(test.result.Describe(test.failed, redact)))(t)
		for _, want := range test.want {
			errorIf(t, !strings.Contains(string(got), want), "%s: got %s, want %s in it", test.name, got, want)
		}
	}
}

package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"ferry/pkg/guard"
)

// Entry is what is kept of a call. Its fields are only ever added to.
type Entry struct {
	Time time.Time
	// Node, API and Model say who was asked; RequestID is the server's name for the last request.
	Node, API, Model, RequestID string
	// Status is the effective status of the last reply, 0 without one. Class is the kind of failure, "" without one.
	Status int
	Class  string
	// Attempts is how many requests were sent, 0 for a prompt that was blocked; Waits are those between them.
	Attempts int
	Waits    []time.Duration
	Latency  time.Duration
	// Input and Output are the tokens that the server reported, nil where it reported none.
	Input, Output *int
	// Exit is ferry's exit code.
	Exit int
	// Session says which calls belong together; see SessionID.
	Session string
	// Ambiguous says that a request may have been carried out, and billed, though no answer came.
	Ambiguous bool
	// Reconnects is how many of the requests were sent once more on a new connection, because a kept one was closed before any
	// byte of an answer. Attempts does not count them.
	Reconnects int
	// Prompt and Answer are what was said, where the log is to have it.
	Prompt, Answer string
}

// SessionID names a conversation without its name, which may tell something of its owner: the beginning of the name's
// SHA-256. It is "" for none.
func SessionID(name string) string {
	if name == "" {
		return ""
	}
	sum := sha256.Sum256([]byte("ferry session " + name))
	return hex.EncodeToString(sum[:6])
}

const (
	// stamp is RFC 3339 in UTC with milliseconds.
	stamp = "2006-01-02T15:04:05.000Z"
	// mostField is the most bytes of a name in a line, and mostContent of a prompt or an answer. With JSON's escapes, six
	// bytes for one at worst, a line stays under 128 KiB.
	mostField   = 256
	mostContent = 8 << 10
	// mostRead is how much of a text is looked at for what is to be redacted. The cut comes after that, or it could leave
	// half a number that nothing recognises.
	mostRead = 1 << 20
)

// lineJSON is the form of a line.
type lineJSON struct {
	Time       string    `json:"time"`
	Node       string    `json:"node"`
	API        string    `json:"api"`
	Model      string    `json:"model"`
	RequestID  string    `json:"request_id"`
	Status     int       `json:"status"`
	Class      string    `json:"class"`
	Attempts   int       `json:"attempts"`
	WaitsMS    []float64 `json:"waits_ms"`
	LatencyMS  float64   `json:"latency_ms"`
	TokensIn   *int      `json:"tokens_in"`
	TokensOut  *int      `json:"tokens_out"`
	Exit       int       `json:"exit"`
	Session    string    `json:"session,omitempty"`
	Ambiguous  bool      `json:"ambiguous"`
	Reconnects int       `json:"reconnects,omitempty"`
	Prompt     string    `json:"prompt,omitempty"`
	Answer     string    `json:"answer,omitempty"`
}

// line encodes the entry. All text goes through redact: a server chooses its request ids, and a name can be anything.
func (e Entry) line(redact func(string) string) []byte {
	if redact == nil {
		redact = new(guard.Redactor).String
	}
	field := func(s string) string { return cut(redact(cut(s, mostRead)), mostField) }
	content := func(s string) string { return cut(redact(cut(s, mostRead)), mostContent) }
	out := lineJSON{
		Time: e.Time.UTC().Format(stamp), Node: field(e.Node), API: field(e.API), Model: field(e.Model),
		RequestID: field(e.RequestID), Status: e.Status, Class: field(e.Class), Attempts: e.Attempts,
		WaitsMS: []float64{}, LatencyMS: millis(e.Latency), TokensIn: e.Input, TokensOut: e.Output, Exit: e.Exit,
		Session: e.Session, Ambiguous: e.Ambiguous, Reconnects: e.Reconnects, Prompt: content(e.Prompt), Answer: content(e.Answer),
	}
	for _, d := range e.Waits {
		out.WaitsMS = append(out.WaitsMS, millis(d))
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(out); err != nil {
		panic(err) // strings, numbers and their lists always encode
	}
	return b.Bytes()
}

// cut keeps at most so many bytes, whole characters, and marks what is gone.
func cut(s string, most int) string {
	const more = "…"
	if len(s) <= most {
		return s
	}
	end := most - len(more)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return strings.ToValidUTF8(s[:end], "\ufffd") + more
}

func millis(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}

package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"ferry/pkg/guard"
	"ferry/pkg/text"
)

// Entry is what is kept of a call. Its fields are only ever added to.
type Entry struct {
	Time Time `json:"time"`
	// Node, API and Model say who was asked; RequestID is the server's name for the last request.
	Node      string `json:"node"`
	API       string `json:"api"`
	Model     string `json:"model"`
	RequestID string `json:"request_id"`
	// Status is the effective status of the last reply, 0 without one. Class is the kind of failure, "" without one.
	Status int    `json:"status"`
	Class  string `json:"class"`
	// Attempts is how many requests were sent, 0 for a prompt that was blocked; Waits are those between them.
	Attempts int      `json:"attempts"`
	Waits    []Millis `json:"waits_ms"`
	Latency  Millis   `json:"latency_ms"`
	// Input and Output are the tokens that the server reported, nil where it reported none.
	Input  *int `json:"tokens_in"`
	Output *int `json:"tokens_out"`
	// Exit is ferry's exit code.
	Exit int `json:"exit"`
	// Session says which calls belong together; see SessionID.
	Session string `json:"session,omitempty"`
	// Ambiguous says that a request may have been carried out, and billed, though no answer came.
	Ambiguous bool `json:"ambiguous"`
	// Reconnects is how many of the requests were sent once more on a new connection, because a kept one was closed before any
	// byte of an answer. Attempts does not count them.
	Reconnects int `json:"reconnects,omitempty"`
	// Files are the pictures and documents that went with the prompt.
	Files []File `json:"files,omitempty"`
	// Prompt and Answer are what was said, where the log is to have it.
	Prompt string `json:"prompt,omitempty"`
	Answer string `json:"answer,omitempty"`
}

// File is what is kept of a file: its media type and its size, and its name only where the log is to have what was said.
type File struct {
	Name  string `json:"name,omitempty"`
	Type  string `json:"type"`
	Bytes int    `json:"bytes"`
}

// Time is written as RFC 3339 in UTC with milliseconds.
type Time struct{ time.Time }

// MarshalJSON writes the time.
func (t Time) MarshalJSON() ([]byte, error) {
	return []byte(t.UTC().Format(`"2006-01-02T15:04:05.000Z"`)), nil
}

// Millis is written as a number of milliseconds, exact to a microsecond.
type Millis time.Duration

// MarshalJSON writes the duration.
func (m Millis) MarshalJSON() ([]byte, error) {
	return json.Marshal(float64(time.Duration(m).Round(time.Microsecond)) / float64(time.Millisecond))
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
	// mostField is the most bytes of a name in a line, and mostContent of a prompt or an answer. With JSON's escapes, six
	// bytes for one at worst, a line stays under 128 KiB.
	mostField   = 256
	mostContent = 8 << 10
	// mostRead is how much of a text is looked at for what is to be redacted. The cut comes after that, or it could leave
	// half a number that nothing recognises.
	mostRead = 1 << 20
)

// line encodes the entry. All text goes through redact: a server chooses its request ids, and a name can be anything.
func (e Entry) line(redact func(string) string) []byte {
	if redact == nil {
		redact = new(guard.Redactor).String
	}
	for _, s := range []*string{&e.Node, &e.API, &e.Model, &e.RequestID, &e.Class} {
		*s = cut(redact(cut(*s, mostRead)), mostField)
	}
	for _, s := range []*string{&e.Prompt, &e.Answer} {
		*s = cut(redact(cut(*s, mostRead)), mostContent)
	}
	for i := range e.Files {
		e.Files[i].Name = cut(redact(cut(e.Files[i].Name, mostRead)), mostField)
	}
	if e.Waits == nil {
		e.Waits = []Millis{}
	}
	return text.EncodeLine(e)
}

// cut keeps at most so many bytes, whole characters, and marks what is gone.
func cut(s string, most int) string {
	const more = "…"
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(string(text.WholeRunes([]byte(s[:most-len(more)]))), "\ufffd") + more
}

package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"ferry/pkg/text"
)

// Entry is the record of a call. New versions may add fields, but never change or remove one.
type Entry struct {
	Time Time `json:"time"`
	// Node, API and Model describe where the last request went; RequestID is the server's ID of that request.
	Node      string `json:"node"`
	API       string `json:"api"`
	Model     string `json:"model"`
	RequestID string `json:"request_id"`
	// Status is the effective status of the last reply, 0 if there was none. Class is the kind of failure, "" after a
	// success.
	Status int    `json:"status"`
	Class  string `json:"class"`
	// Attempts is the number of requests sent, 0 for a blocked prompt. Waits are the waits between them.
	Attempts int      `json:"attempts"`
	Waits    []Millis `json:"waits_ms"`
	Latency  Millis   `json:"latency_ms"`
	// Input and Output are the tokens that the server reported, nil if it reported none.
	Input  *int `json:"tokens_in"`
	Output *int `json:"tokens_out"`
	// Exit is ferry's exit code.
	Exit int `json:"exit"`
	// Session identifies the calls of one conversation; see SessionID.
	Session string `json:"session,omitempty"`
	// Ambiguous says that a request may have been carried out and billed although no answer arrived.
	Ambiguous bool `json:"ambiguous"`
	// Reconnects is the number of requests that were sent again on a new connection because a reused one was closed
	// before any byte of an answer. Attempts does not count them.
	Reconnects int `json:"reconnects,omitempty"`
	// Files are the images and documents sent with the prompt.
	Files []File `json:"files,omitempty"`
	// Prompt and Answer are set only if the log includes content.
	Prompt string `json:"prompt,omitempty"`
	Answer string `json:"answer,omitempty"`
}

// File is the record of a file: media type and size. Name is set only if the log includes content.
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

// SessionID identifies a conversation without revealing its name, which may be private: the first 12 hex digits of a
// SHA-256 of the name. It returns "" for an empty name.
func SessionID(name string) string {
	if name == "" {
		return ""
	}
	sum := sha256.Sum256([]byte("ferry session " + name))
	return hex.EncodeToString(sum[:6])
}

const (
	// maxField is the maximum size of a name in bytes, maxContent of a prompt or an answer. A JSON escape takes at
	// most six bytes for one, so a line stays under 128 KiB.
	maxField   = 256
	maxContent = 8 << 10
	// maxRead is how many bytes of text are redacted. Text is shortened to its final size after that: a cut before it
	// could leave half of a number, which no pattern recognises.
	maxRead = 1 << 20
)

// line encodes the entry. It redacts all text: the server chooses the request IDs, and a name can be anything.
func (e Entry) line(redact func(string) string) []byte {
	for _, s := range []*string{&e.Node, &e.API, &e.Model, &e.RequestID, &e.Class} {
		*s = cut(redact(cut(*s, maxRead)), maxField)
	}
	for _, s := range []*string{&e.Prompt, &e.Answer} {
		*s = cut(redact(cut(*s, maxRead)), maxContent)
	}
	for i := range e.Files {
		e.Files[i].Name = cut(redact(cut(e.Files[i].Name, maxRead)), maxField)
	}
	if e.Waits == nil {
		e.Waits = []Millis{}
	}
	return text.EncodeLine(e)
}

// cut shortens s to at most limit bytes, at a character boundary, and marks the cut with "…".
func cut(s string, limit int) string {
	const more = "…"
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(text.WholeRunes(s[:limit-len(more)]), "\ufffd") + more
}

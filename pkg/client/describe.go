package client

import (
	"cmp"
	"errors"

	"ferry/pkg/audit"
	"ferry/pkg/text"
	"ferry/pkg/wire"
)

// The JSON form of a call. New versions may add fields, but never change or remove one.
type (
	// Description is a call as printed by -o json.
	Description struct {
		Type       string               `json:"type,omitempty"` // "end" in the last line of a stream
		Schema     int                  `json:"schema"`
		Complete   bool                 `json:"complete"`
		Node       string               `json:"node"`
		API        wire.API             `json:"api"`
		Model      string               `json:"model"`
		ID         string               `json:"id"`
		RequestID  string               `json:"request_id"`
		Text       string               `json:"text"`
		StopReason string               `json:"stop_reason"`
		Usage      *wire.Usage          `json:"usage"`
		LatencyMS  audit.Millis         `json:"latency_ms"`
		Attempts   []attemptDescription `json:"attempts"`
		Error      *errorDescription    `json:"error"`
		Files      []audit.File         `json:"files,omitempty"` // sent with the prompt
	}
	attemptDescription struct {
		Node        string            `json:"node"`
		Attempt     int               `json:"attempt"`
		Status      int               `json:"status"`
		Class       Class             `json:"class"`
		RequestID   string            `json:"request_id"`
		LatencyMS   audit.Millis      `json:"latency_ms"`
		WaitMS      audit.Millis      `json:"wait_ms"`
		LimitedMS   audit.Millis      `json:"limited_ms"` // wait for the rate limit before the attempt
		Ambiguous   bool              `json:"ambiguous"`
		Held        bool              `json:"held"`                  // over a connection that outlives the call
		Reconnected bool              `json:"reconnected,omitempty"` // sent once more, on a new connection
		HTTP3       bool              `json:"http3,omitempty"`
		Handshakes  int               `json:"handshakes,omitempty"` // number of raced handshakes, if more than one
		Phases      phasesDescription `json:"phases_ms"`
	}
	phasesDescription struct {
		DNS      audit.Millis `json:"dns"`
		Connect  audit.Millis `json:"connect"`
		TLS      audit.Millis `json:"tls"`
		Wait     audit.Millis `json:"wait"`
		Transfer audit.Millis `json:"transfer"`
	}
	errorDescription struct {
		Class   Class  `json:"class"`
		Status  int    `json:"status"`
		Type    string `json:"type"`
		Message string `json:"message"`
		GaveUp  bool   `json:"gave_up"`
		Body    string `json:"body,omitempty"` // what the server sent instead, if it is long
	}
)

const descriptionSchema = 1

// Describe returns a call in its JSON form. An incomplete answer is passed through redact and shortened. The error and
// the request IDs are passed through redact too.
func (r *Result) Describe(failed error, redact func(string) string) *Description {
	d := &Description{
		Schema: descriptionSchema, Complete: r.Complete, Node: r.Node, API: r.API, Model: cmp.Or(r.Answer.Model, r.Model),
		ID: r.Answer.ID, Text: r.Answer.Text, StopReason: r.Answer.StopReason, Usage: r.Answer.Usage,
		LatencyMS: audit.Millis(r.Latency), Attempts: []attemptDescription{},
	}
	for _, f := range r.Files {
		d.Files = append(d.Files, audit.File{Name: f.Name, Type: f.Type, Bytes: len(f.Data)})
	}
	for _, at := range r.Attempts {
		d.RequestID = redact(at.RequestID)
		one := attemptDescription{
			Node: at.Node, Attempt: at.Number, Status: at.Status, Class: at.Class, RequestID: d.RequestID,
			LatencyMS: audit.Millis(at.Latency), WaitMS: audit.Millis(at.Wait), LimitedMS: audit.Millis(at.Limited),
			Ambiguous: at.Ambiguous, Held: at.Held, Reconnected: at.Reconnected, HTTP3: at.HTTP3,
			Phases: phasesDescription{
				audit.Millis(at.Phases.DNS), audit.Millis(at.Phases.Connect), audit.Millis(at.Phases.TLS),
				audit.Millis(at.Phases.Wait), audit.Millis(at.Phases.Transfer),
			},
		}
		if at.Handshakes > 1 {
			one.Handshakes = at.Handshakes
		}
		d.Attempts = append(d.Attempts, one)
	}
	if !d.Complete {
		d.Text = redact(d.Text)
		if len(d.Text) > text.MaxShown {
			d.Text = text.Shown(d.Text, text.MaxShown)
		}
	}
	if failed == nil {
		return d
	}
	d.Error = &errorDescription{Message: redact(failed.Error())}
	if e, ok := errors.AsType[*Error](failed); ok {
		d.Error.Class, d.Error.Status, d.Error.GaveUp = e.Class, e.Status, e.GaveUp
	}
	if over, ok := errors.AsType[*FailoverError](failed); ok {
		d.Error.GaveUp = over.GaveUp()
	}
	var apiErr *wire.APIError
	var none *wire.NotAnswerError
	isAPIError := errors.As(failed, &apiErr)
	if isAPIError {
		d.Error.Type = redact(cmp.Or(apiErr.Type, apiErr.Code))
	}
	if (isAPIError || errors.As(failed, &none)) && len(r.Body) > text.MaxQuoted { // an excerpt does not contain all of it
		d.Error.Body = redact(text.ShownOf(string(r.Body[:min(len(r.Body), 2*text.MaxShown)]), text.MaxShown, len(r.Body)))
	}
	return d
}

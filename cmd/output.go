package cmd

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"

	"ferry/pkg/client"
	"ferry/pkg/term"
	"ferry/pkg/text"
	"ferry/pkg/wire"
)

// outputError says that standard output did not take the answer. The request is not sent again: the answer was paid
// for, and a full disk does not get emptier.
type outputError struct{ err error }

func (e *outputError) Error() string { return "cannot write to standard output: " + bare(e.err) }
func (e *outputError) Unwrap() error { return e.err }

// write hands standard output everything, at most a MiB in one call.
func (a *app) write(text []byte) error {
	for piece := range slices.Chunk(text, onePiece) {
		if _, err := a.out.Write(piece); err != nil {
			return &outputError{err}
		}
	}
	return nil
}

// onePiece is how much of an answer is made fit for its reader and written at once, in bytes.
const onePiece = 1 << 20

// printText prints a whole answer: the model's words, ending in exactly one newline; on a terminal made safe, and styled
// where that is wanted. An answer of at most a MiB is one write.
func (a *app) printText(answer wire.Answer, render bool) error {
	rest := strings.TrimRight(answer.Text, "\n")
	var visible text.VisibleStream
	markdown := a.markdown(render)
	for more := true; more; {
		part := rest[:min(len(rest), onePiece)]
		rest = rest[len(part):]
		more = rest != ""
		out := []byte(part)
		if a.out.TTY {
			out = visible.Append(nil, out)
			if !more {
				out = visible.Flush(out)
			}
			out = markdown.Append(nil, out)
		}
		if !more {
			if a.out.TTY {
				out = markdown.Flush(out)
			}
			out = append(out, '\n')
		}
		if err := a.write(out); err != nil {
			return err
		}
	}
	return nil
}

// printBlock prints the first code block of an answer and nothing else. Without one the answer goes to standard error:
// it was paid for.
func (a *app) printBlock(answer wire.Answer) error {
	block, ok := term.FirstBlock(answer.Text)
	if !ok {
		a.keep("the answer", answer.Text)
		return &client.Error{Class: client.NotAnAnswer, Status: 200, Err: errors.New("there is no fenced code block in the answer")}
	}
	return a.printText(wire.Answer{Text: block}, false)
}

// markdown styles an answer on standard output.
func (a *app) markdown(render bool) term.Markdown {
	return term.Markdown{Plain: !render || a.out.Plain}
}

// keepPartial prints the received part of an answer on standard error: it was paid for.
func (a *app) keepPartial(result *client.Result, failed error) {
	if len(result.Attempts) == 0 || result.Attempts[len(result.Attempts)-1].HTTPStatus != http.StatusOK {
		return
	}
	text := result.Answer.Text
	var e *client.Error
	if text == "" && errors.As(failed, &e) && (e.Class == client.Truncated || e.Class == client.Timeout) {
		text = string(result.Body)
	}
	if text != "" {
		a.keep("what came of the answer", text)
	}
}

// keep puts a text that was paid for on standard error.
func (a *app) keep(what, partial string) {
	a.say("ferry: " + what + ":\n" + text.Shown(a.masker.String(strings.TrimRight(partial, "\n")), text.MostShown))
}

// longBody is what a server sent instead of an answer, bounded, where an excerpt of it does not have it all.
func longBody(result *client.Result, failed error) string {
	var apiErr *wire.APIError
	var none *wire.NotAnswerError
	if !errors.As(failed, &apiErr) && !errors.As(failed, &none) || len(result.Body) <= text.MostQuoted {
		return ""
	}
	return text.ShownOf(string(result.Body[:min(len(result.Body), 2*text.MostShown)]), text.MostShown, len(result.Body))
}

// The JSON that -o json prints. Its fields are only ever added to.
type (
	callJSON struct {
		Type       string        `json:"type,omitempty"` // "end" in the last line of a stream
		Schema     int           `json:"schema"`
		Complete   bool          `json:"complete"`
		Node       string        `json:"node"`
		API        wire.API      `json:"api"`
		Model      string        `json:"model"`
		ID         string        `json:"id"`
		RequestID  string        `json:"request_id"`
		Text       string        `json:"text"`
		StopReason string        `json:"stop_reason"`
		Usage      *wire.Usage   `json:"usage"`
		LatencyMS  float64       `json:"latency_ms"`
		Attempts   []attemptJSON `json:"attempts"`
		Error      *errorJSON    `json:"error"`
	}
	attemptJSON struct {
		Node        string     `json:"node"`
		Attempt     int        `json:"attempt"`
		Status      int        `json:"status"`
		Class       string     `json:"class"`
		RequestID   string     `json:"request_id"`
		LatencyMS   float64    `json:"latency_ms"`
		WaitMS      float64    `json:"wait_ms"`
		LimitedMS   float64    `json:"limited_ms"` // before the attempt, for the limit
		Ambiguous   bool       `json:"ambiguous"`
		Held        bool       `json:"held"`                  // over a connection that outlives the call
		Reconnected bool       `json:"reconnected,omitempty"` // sent once more, on a new connection
		Phases      phasesJSON `json:"phases_ms"`
	}
	phasesJSON struct {
		DNS      float64 `json:"dns"`
		Connect  float64 `json:"connect"`
		TLS      float64 `json:"tls"`
		Wait     float64 `json:"wait"`
		Transfer float64 `json:"transfer"`
	}
	errorJSON struct {
		Class   string `json:"class"`
		Status  int    `json:"status"`
		Type    string `json:"type"`
		Message string `json:"message"`
		GaveUp  bool   `json:"gave_up"`
		Body    string `json:"body,omitempty"` // what the server sent instead, where it is long
	}
)

const callSchema = 1

// describe puts a call into its JSON form.
func (a *app) describe(result *client.Result, failed error) callJSON {
	out := callJSON{
		Schema:     callSchema,
		Complete:   failed == nil || isWhole(failed),
		Node:       result.Node,
		API:        result.API,
		Model:      result.Model,
		ID:         result.Answer.ID,
		Text:       result.Answer.Text,
		StopReason: result.Answer.StopReason,
		Usage:      result.Answer.Usage,
		LatencyMS:  millis(result.Latency),
		Attempts:   []attemptJSON{},
	}
	if result.Answer.Model != "" {
		out.Model = result.Answer.Model
	}
	for _, at := range result.Attempts {
		out.RequestID = a.redacted(at.RequestID)
		out.Attempts = append(out.Attempts, attemptJSON{
			Node: at.Node, Attempt: at.Number, Status: at.Status, Class: string(at.Class), RequestID: a.redacted(at.RequestID),
			LatencyMS: millis(at.Latency), WaitMS: millis(at.Wait), LimitedMS: millis(at.Limited), Ambiguous: at.Ambiguous,
			Held: at.Held, Reconnected: at.Reconnected,
			Phases: phasesJSON{
				millis(at.Phases.DNS), millis(at.Phases.Connect), millis(at.Phases.TLS),
				millis(at.Phases.Wait), millis(at.Phases.Transfer),
			},
		})
	}
	if !out.Complete {
		out.Text = a.redacted(out.Text)
		if len(out.Text) > text.MostShown {
			out.Text = text.Shown(out.Text, text.MostShown)
		}
	}
	if failed != nil {
		out.Error = &errorJSON{Message: a.redacted(a.inWords(failed)), Body: a.redacted(longBody(result, failed))}
		var e *client.Error
		if errors.As(failed, &e) {
			out.Error.Class, out.Error.Status, out.Error.GaveUp = string(e.Class), e.Status, e.GaveUp
		}
		var over *client.FailoverError
		if errors.As(failed, &over) {
			out.Error.GaveUp = over.GaveUp()
		}
		var apiErr *wire.APIError
		if errors.As(failed, &apiErr) {
			out.Error.Type = a.redacted(cmp.Or(apiErr.Type, apiErr.Code))
		}
	}
	return out
}

// printJSON prints the object on one line of standard output.
func (a *app) printJSON(object any) error {
	return a.write(text.SafeJSON(a.masker.Bytes(encodeLine(object))))
}

// printCall prints a call's object. Its text has been masked, and may be long.
func (a *app) printCall(object callJSON) error {
	answer := object.Text
	object.Text = ""
	for piece := range text.JSONLine(a.masker.Bytes(encodeLine(object)), answer) {
		if err := a.write(piece); err != nil {
			return err
		}
	}
	return nil
}

package client

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"ferry/pkg/text"
)

// one asks an item and keeps the result. The line is the worker's, to be used again.
func (r *running) one(item Item, line *bytes.Buffer) {
	if r.stopped() {
		return
	}
	if err := r.journal.putLine(fmt.Appendf(nil, "s %d\n", item.Line)); err != nil {
		r.halt(err)
		return
	}
	call := r.Call(item)
	call.Memory = r.memory.Share()
	defer call.Memory.Release() // also after a panic
	asked, err := r.Chain.Do(r.ctx, call)
	if len(asked.Attempts) > 0 {
		r.sent.Store(true)
	}
	if asked.Answer.NotUTF8 {
		r.NotUTF8(item.Line)
	}
	if r.MaxTokens > 0 {
		r.budget.settle(r.worst(item), r.billed(item, asked))
	}
	result := resultLine{
		ID: item.ID, Line: item.Line, Node: asked.Node, Model: cmp.Or(asked.Answer.Model, asked.Model),
		Text: asked.Answer.Text, StopReason: asked.Answer.StopReason, Usage: asked.Answer.Usage,
		Attempts: len(asked.Attempts), LatencyMS: float64(asked.Latency.Microseconds()) / 1000,
	}
	if err == nil {
		r.answered(result, line)
		return
	}
	if r.unsent(asked, err) {
		if err := r.journal.putLine(fmt.Appendf(nil, "f %d\n", item.Line)); err != nil {
			r.halt(err)
		}
		return
	}
	result.Text = text.Shown(result.Text, text.MostShown)
	r.missed(item, result, asked, err, line)
}

// unsent reports whether an item was still waiting for the rate limit when the run was stopped. It is no failure: the
// next run asks it.
func (r *running) unsent(asked *Result, err error) bool {
	return r.stopped() && len(asked.Attempts) == 0 && isClass(err, Cancelled)
}

// answered keeps an answer.
func (r *running) answered(result resultLine, line *bytes.Buffer) {
	pieces := encodeResult(result, line)
	err := r.out.put(pieces)
	if err != nil {
		r.halt(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		if r.Untaken != nil {
			pieces(func(piece []byte) bool { r.Untaken(piece); return true })
		}
		// In the journal it stays in flight: it was carried out, and OUT does not have it.
		r.tally.Failed++
		r.ambiguous(result.ID)
		return
	}
	r.row = 0
	r.tally.Answered++
	if u := result.Usage; u != nil {
		r.tally.Input += int64(u.Input)
		r.tally.Output += int64(u.Output)
	}
}

// missed keeps a failure. Where the item may have been carried out, the journal leaves it in flight.
func (r *running) missed(item Item, result resultLine, asked *Result, why error, line *bytes.Buffer) {
	class, status := Class(""), 0
	var failed *Error
	if errors.As(why, &failed) {
		class, status = failed.Class, failed.Status
	}
	ambiguous := false
	for _, at := range asked.Attempts {
		ambiguous = ambiguous || at.Ambiguous
	}
	result.Error = &resultError{Class: class, Status: status, Message: why.Error(), Ambiguous: ambiguous}
	if err := r.report(result, line); err != nil {
		r.halt(err)
	}
	if !ambiguous {
		if err := r.journal.putLine(fmt.Appendf(nil, "f %d\n", item.Line)); err != nil {
			r.halt(err)
		}
	}
	r.mu.Lock()
	r.tally.Failed++
	if r.tally.FirstFailure == "" {
		r.tally.FirstFailure = why.Error()
	}
	if ambiguous {
		r.ambiguous(item.ID)
	}
	r.row++
	row := r.row
	r.mu.Unlock()
	switch {
	case status == 401 || status == 403 || !isCall(why): // nothing further can be sent
		r.halt(why)
	case r.MaxFailures > 0 && row >= r.MaxFailures:
		r.halt(&TooManyFailuresError{row, why})
	}
}

// ambiguous counts an item that may have been carried out. The caller holds mu.
func (r *running) ambiguous(id string) {
	if r.tally.Ambiguous++; len(r.tally.InFlight) < mostNamed {
		r.tally.InFlight = append(r.tally.InFlight, id)
	}
}

// report writes a line of OUT.failed.
func (r *running) report(result resultLine, line *bytes.Buffer) error {
	return r.failed.put(encodeResult(result, line))
}

// encodeResult gives a result as a line, in pieces.
func encodeResult(result resultLine, line *bytes.Buffer) iter.Seq[[]byte] {
	answer := result.Text
	result.Text = ""
	line.Reset()
	enc := json.NewEncoder(line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(result); err != nil {
		panic(err) // strings and numbers always encode
	}
	return text.JSONLine(line.Bytes(), answer)
}

package bench

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// failing is a class of failures as it is counted.
type failing struct {
	Failure
	// end is when the first one ended.
	end    time.Duration
	values []float64
}

// failures counts the failures by class, the most frequent first.
func (c *nodeSeries) failures(w *workspace) []Failure {
	byClass := c.failing()
	order := make([]*failing, 0, len(byClass))
	total := 0
	for _, f := range byClass {
		order = append(order, f)
		total += f.Count
	}
	slices.SortFunc(order, func(a, b *failing) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Class, b.Class))
	})
	room := w.values(total)
	for _, f := range order {
		f.values = room[len(room) : len(room) : len(room)+f.Count]
		room = room[:len(room)+f.Count]
	}
	for s := range c.all() {
		if !s.OK() {
			f := byClass[s.series.Class(s.Sample)]
			f.values = append(f.values, milliseconds(s.latency()))
		}
	}
	failures := make([]Failure, 0, len(order))
	for _, f := range order {
		f.Latency = describe(f.values)
		failures = append(failures, f.Failure)
	}
	return failures
}

// failing counts the failures. A series has the words of its own first failure of each class; the words of the earliest one
// of all parts are wanted.
func (c *nodeSeries) failing() map[string]*failing {
	byClass := map[string]*failing{}
	for s := range c.all() {
		if s.OK() {
			continue
		}
		class, end := s.series.Class(s.Sample), s.Start()+s.Latency
		f := byClass[class]
		if f == nil {
			f = &failing{Failure: Failure{Class: class, Blame: blame(class)}, end: math.MaxInt64}
			byClass[class] = f
		}
		if end < f.end {
			f.end, f.Detail = end, s.series.Details[class]
		}
		f.Count++
	}
	return byClass
}

// The classes of whole answers that are no success: what they took says nothing of how fast a node answers.
const (
	Refused  = "refused"
	Empty    = "empty"
	Thinking = "thinking" // reasoning and no text
)

// blame says where a failure lies by the look of it: with the client (its request, its key, what became of its output),
// with the node and the way there, or with the origin behind the node, which is the model's provider. The whole table:
//
//	client  usage, plain_http, 4xx, output, cancelled, limited
//	origin  5xx, stopped, refused, empty, thinking
//	node    dns, connect, tls, timeout, reset, truncated, too_large, protocol, not_an_answer, redirect, 429, status
//
// A node without a proxy in it is its own origin: then both words mean the same.
func blame(class string) string {
	switch class {
	case "usage", "plain_http", "4xx", "output", "cancelled", "limited":
		return "client"
	case "5xx", "stopped", Refused, Empty, Thinking:
		return "origin"
	}
	return "node"
}

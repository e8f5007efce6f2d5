package client

import (
	"context"
	"net/http"
	"slices"
	"time"

	"ferry/pkg/limit"
	"ferry/pkg/retry"
)

// Endpoint is a node that is ready to be asked. Commands build all of them in one place, and no stage changes one.
type Endpoint struct {
	Node
	// Zone is where the node is, for failover; "" where that was not said.
	Zone string
	// Sticky endpoints get the token of the conversation.
	Sticky    bool
	Transport http.RoundTripper
	Rule      retry.Rule
	// IdleTimeout bounds how long a stream may bring nothing, its head included; a ping is something. 0 is no bound.
	IdleTimeout time.Duration
	// Limiter and Budget are shared with other processes; nil is none.
	Limiter Limiter
	Budget  *Budget
	// Model and MaxTokens are asked for where a call does not say, and Aliases are the node's names for models.
	Model     string
	MaxTokens int
	Aliases   map[string]string
}

// model is what the endpoint calls a model.
func (e *Endpoint) model(name string) string {
	if name == "" {
		return e.Model
	}
	if model, ok := e.Aliases[name]; ok {
		return model
	}
	return name
}

// Limiter gives out reservations of a rate limit; *limit.Bucket is one.
type Limiter interface {
	Rate() limit.Rate
	// Reserve takes the next reservation, unless its wait is above most.
	Reserve(ctx context.Context, most time.Duration) (*limit.Reservation, error)
}

// Prepare encodes a call. The error comes from wire.API.Encode.
func (e *Endpoint) Prepare(call *Call) (*Prepared, error) {
	node := e.Node
	if e.Sticky && call.Token != "" {
		node.Header = append(slices.Clip(node.Header), Field{Name: "X-Ferry-Session", Value: call.Token})
	}
	return node.Prepare(call.Request)
}

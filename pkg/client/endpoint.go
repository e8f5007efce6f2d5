package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"ferry/pkg/guard"
	"ferry/pkg/limit"
	"ferry/pkg/retry"
	"ferry/pkg/wire"
)

// Endpoint is a node that is ready to use. Commands build all of them in one place, and no stage changes one.
type Endpoint struct {
	// Name is the name of the node.
	Name string
	// URL is the node's address. The dialect's path is appended to its path; its query is kept.
	URL *url.URL
	// Variable is the environment variable that the address comes from, "" if it comes from elsewhere.
	Variable string
	// Provider says that the node is a built-in node of a provider, not defined in the file.
	Provider bool
	API      wire.API
	// Version is the anthropic-version header of the messages dialect; "" means wire.DefaultVersion.
	Version string
	// Auth is the name of the header with the key, "" for none. Authorization sends it as a Bearer token.
	Auth string
	Key  guard.Secret
	// Header has the node's additional header fields.
	Header []Field
	// Proxy is the proxy that can read plain http requests and answer them itself; "" if there is none.
	Proxy string
	// Sticky endpoints receive the session token of the conversation.
	Sticky bool
	// StreamOnly always asks for a stream, because the model has no other form of answer.
	StreamOnly bool
	Transport  http.RoundTripper
	Rule       retry.Rule
	// IdleTimeout is the longest time without data from a stream, including the wait for its header. A ping counts as
	// data. 0 is no limit.
	IdleTimeout time.Duration
	// Limiter and Budget are shared with other processes; nil for none.
	Limiter Limiter
	Budget  *Budget
	// Model and MaxTokens are used if a call does not set them. Aliases are the node's names for models.
	Model     string
	MaxTokens int
	Aliases   map[string]string
	// System is the system prompt of a call that does not set one.
	System string
	// Params are the node's own members of a request body. Params of a call override them.
	Params map[string]json.RawMessage
	// NearModel returns the most similar name in the last known model list of the node, "" for none. It may be nil.
	NearModel func(name string) string
}

// Limiter makes reservations at a rate limit; *limit.Bucket is one.
type Limiter interface {
	Rate() limit.Rate
	// Reserve makes the next reservation, unless its wait is longer than maxWait.
	Reserve(ctx context.Context, maxWait time.Duration) (*limit.Reservation, error)
}

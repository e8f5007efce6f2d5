package client

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
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

// Field is a header field with a public or a secret value.
type Field struct {
	Name   string
	Value  string
	Secret guard.Secret
}

// Public returns the value with the secret masked.
func (f Field) Public() string {
	if f.Secret.IsZero() {
		return f.Value
	}
	return f.Value + f.Secret.String()
}

// To returns a copy of the call for an endpoint, with the endpoint's defaults.
func (c Call) To(e *Endpoint) *Call {
	c.Endpoint = e
	model, known := e.Aliases[c.Request.Model]
	if !known {
		model = cmp.Or(c.Request.Model, e.Model)
	}
	c.Request.Model = model
	if !c.NoSystem {
		c.Request.System = cmp.Or(c.Request.System, e.System)
	}
	c.Request.MaxTokens = cmp.Or(c.Request.MaxTokens, e.MaxTokens)
	c.Request.Stream = c.Request.Stream || c.Sink != nil || e.StreamOnly
	if len(e.Params) > 0 {
		own := c.Request.Params
		c.Request.Params = maps.Clone(e.Params)
		maps.Copy(c.Request.Params, own)
	}
	return &c
}

// Prepared is a request that can be sent any number of times.
type Prepared struct {
	Method string
	URL    *url.URL
	// Header has the fields in display order.
	Header []Field
	Body   wire.Body
}

// Prepare encodes a call. The error comes from wire.API.Encode.
func (e *Endpoint) Prepare(call *Call) (*Prepared, error) {
	request := call.Request
	request.Version, request.Host = e.Version, e.URL.Hostname()
	body, err := e.API.Encode(request)
	if err != nil {
		return nil, err
	}
	p := e.prepareHeader(http.MethodPost, e.API.Dialect().Facts().Path)
	p.Body = body
	if e.Sticky && call.Token != "" {
		p.Header = append(p.Header, Field{Name: "X-Ferry-Session", Value: call.Token})
	}
	return p, nil
}

// PrepareModels returns the free request for the list of models.
func (e *Endpoint) PrepareModels() *Prepared {
	return e.prepareHeader(http.MethodGet, e.API.Dialect().Facts().ModelsPath)
}

// prepareHeader returns a request without a body.
func (e *Endpoint) prepareHeader(method, path string) *Prepared {
	at := *e.URL
	at.Path = strings.TrimSuffix(at.Path, "/") + path
	if at.RawPath != "" { // the path contains escapes such as %2F
		at.RawPath = strings.TrimSuffix(at.RawPath, "/") + path
	}
	header := make([]Field, 0, 4+len(e.Header))
	if !e.Key.IsZero() && e.Auth != "" {
		field := Field{Name: e.Auth, Secret: e.Key}
		if strings.EqualFold(e.Auth, "authorization") {
			field.Value = "Bearer "
		}
		header = append(header, field)
	}
	if name := e.API.Dialect().Facts().VersionHeader; name != "" {
		header = append(header, Field{Name: name, Value: cmp.Or(e.Version, wire.DefaultVersion)})
	}
	if method == http.MethodPost {
		header = append(header, Field{Name: "content-type", Value: "application/json"})
	}
	return &Prepared{Method: method, URL: &at, Header: append(header, e.Header...)}
}

// request builds the HTTP request. GetBody lets hold.Transport send the body directly after its holder failed.
func (p *Prepared) request(ctx context.Context, userAgent string) *http.Request {
	r := (&http.Request{Method: p.Method, URL: p.URL, Host: p.URL.Host, Header: http.Header{}}).WithContext(ctx)
	r.Header.Set("User-Agent", userAgent)
	for _, f := range p.Header {
		r.Header.Set(f.Name, f.Value+f.Secret.Reveal())
	}
	if p.Body != nil {
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(p.Body.Reader()), nil }
		r.Body, _ = r.GetBody()
		r.ContentLength = p.Body.Len()
	}
	return r
}

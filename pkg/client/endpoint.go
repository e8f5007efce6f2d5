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

// Endpoint is a node that is ready to be asked. Commands build all of them in one place, and no stage changes one.
type Endpoint struct {
	// Name is the node's.
	Name string
	// URL is the node's address; the dialect's path is appended to its path, before its query, which is kept.
	URL *url.URL
	// Variable is the environment variable that the address comes from, "" where it comes from elsewhere.
	Variable string
	// Provider says that the node is one of a provider's, which no file defines.
	Provider bool
	API      wire.API
	// Version is the anthropic-version of the messages dialect; "" is wire.DefaultVersion.
	Version string
	// Auth is the name of the header that carries the key, "" for none. Authorization carries it as a Bearer token.
	Auth string
	Key  guard.Secret
	// Header is what the node wants sent beside it.
	Header []Field
	// Proxy is the proxy that reads plain http requests and may answer them itself; "" without one.
	Proxy string
	// Sticky endpoints get the token of the conversation.
	Sticky bool
	// StreamOnly asks for a stream where a whole answer is wanted too: the model gives no other.
	StreamOnly bool
	Transport  http.RoundTripper
	Rule       retry.Rule
	// IdleTimeout bounds how long a stream may bring nothing, its head included; a ping is something. 0 is no bound.
	IdleTimeout time.Duration
	// Limiter and Budget are shared with other processes; nil is none.
	Limiter Limiter
	Budget  *Budget
	// Model and MaxTokens are asked for where a call does not say, and Aliases are the node's names for models.
	Model     string
	MaxTokens int
	Aliases   map[string]string
	// System is the system prompt of a call that does not say.
	System string
	// Params are the node's own members of a body; those of a call go over them.
	Params map[string]json.RawMessage
	// NearModel gives the model that is nearest to a name in the list that the node was last seen to have, "" for none. It may
	// be nil.
	NearModel func(name string) string
}

// Limiter gives out reservations of a rate limit; *limit.Bucket is one.
type Limiter interface {
	Rate() limit.Rate
	// Reserve takes the next reservation, unless its wait is above most.
	Reserve(ctx context.Context, most time.Duration) (*limit.Reservation, error)
}

// Field is a header field: a public value or a secret one.
type Field struct {
	Name   string
	Value  string
	Secret guard.Secret
}

// Public is the value as it may be shown.
func (f Field) Public() string {
	if f.Secret.IsZero() {
		return f.Value
	}
	return f.Value + f.Secret.String()
}

// To is the call as an endpoint gets it.
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

// Prepared is a request that is ready to be sent, as often as need be.
type Prepared struct {
	Method string
	URL    *url.URL
	// Header is in the order in which it is shown.
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
	p := e.prepare(http.MethodPost, e.API.Dialect().Facts().Path)
	p.Body = body
	if e.Sticky && call.Token != "" {
		p.Header = append(p.Header, Field{Name: "X-Ferry-Session", Value: call.Token})
	}
	return p, nil
}

// PrepareModels is the free request for the list of models.
func (e *Endpoint) PrepareModels() *Prepared {
	return e.prepare(http.MethodGet, e.API.Dialect().Facts().ModelsPath)
}

func (e *Endpoint) prepare(method, path string) *Prepared {
	at := *e.URL
	at.Path = strings.TrimSuffix(at.Path, "/") + path
	if at.RawPath != "" { // the path has escapes of its own, such as %2F
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

// request builds the HTTP request. GetBody is for a transport that finds, after it has read the body, that no server took
// it; package transport takes it away before net/http could send the body again on its own.
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

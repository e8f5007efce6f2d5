package client

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"

	"ferry/pkg/guard"
	"ferry/pkg/wire"
)

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

// roundTrip sends the request once. GetBody lets hold.Transport send the body directly after its holder failed.
func (p *Prepared) roundTrip(ctx context.Context, transport http.RoundTripper, userAgent string) (*http.Response, error) {
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
	return transport.RoundTrip(r)
}

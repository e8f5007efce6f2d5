package client

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"

	"ferry/pkg/guard"
	"ferry/pkg/wire"
)

// Node is where a request goes and how it identifies itself there.
type Node struct {
	Name string
	// URL is the node's address; the dialect's path is appended to its path, before its query, which is kept.
	URL *url.URL
	API wire.API
	// Version is the anthropic-version of the messages dialect; "" is wire.DefaultVersion.
	Version string
	// Auth is the name of the header that carries the key, "" for none. Authorization carries it as a Bearer token.
	Auth string
	Key  guard.Secret
	// Proxy is the proxy that reads plain http requests and may answer them itself; "" without one.
	Proxy string
	// Header is what the node wants sent beside it.
	Header []Field
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

func (f Field) wireValue() string { return f.Value + f.Secret.Reveal() }

// Prepared is a request that is ready to be sent, as often as need be.
type Prepared struct {
	Node   Node
	Method string
	URL    *url.URL
	// Header is in the order in which it is shown.
	Header []Field
	Body   []byte
}

// Prepare encodes the request for the node. The error comes from wire.API.Encode.
func (n Node) Prepare(request wire.Request) (*Prepared, error) {
	request.Version = n.Version
	body, err := n.API.Encode(request)
	if err != nil {
		return nil, err
	}
	p := n.prepare(http.MethodPost, n.API.Dialect().Path())
	p.Body = body
	return p, nil
}

// PrepareModels is the free request for the list of models.
func (n Node) PrepareModels() *Prepared {
	return n.prepare(http.MethodGet, n.API.Dialect().ModelsPath())
}

func (n Node) prepare(method, path string) *Prepared {
	at := *n.URL
	at.Path = strings.TrimSuffix(at.Path, "/") + path
	if at.RawPath != "" { // the path has escapes of its own, such as %2F
		at.RawPath = strings.TrimSuffix(at.RawPath, "/") + path
	}
	p := &Prepared{Node: n, Method: method, URL: &at}
	p.Header = make([]Field, 0, 3+len(n.Header))
	if !n.Key.IsZero() && n.Auth != "" {
		field := Field{Name: n.Auth, Secret: n.Key}
		if strings.EqualFold(n.Auth, "authorization") {
			field.Value = "Bearer "
		}
		p.Header = append(p.Header, field)
	}
	if name := n.API.Dialect().VersionHeader(); name != "" {
		p.Header = append(p.Header, Field{Name: name, Value: cmp.Or(n.Version, wire.DefaultVersion)})
	}
	if method == http.MethodPost {
		p.Header = append(p.Header, Field{Name: "content-type", Value: "application/json"})
	}
	p.Header = append(p.Header, n.Header...)
	return p
}

// request builds the HTTP request. GetBody is for a transport that finds, after it has read the body, that no server took
// it; package transport takes it away before net/http could send the body again on its own.
func (p *Prepared) request(ctx context.Context, userAgent string) *http.Request {
	r := (&http.Request{Method: p.Method, URL: p.URL, Host: p.URL.Host, Header: http.Header{}}).WithContext(ctx)
	r.Header.Set("User-Agent", userAgent)
	for _, f := range p.Header {
		r.Header.Set(f.Name, f.wireValue())
	}
	if p.Body != nil {
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(p.Body)), nil }
		r.Body, _ = r.GetBody()
		r.ContentLength = int64(len(p.Body))
	}
	return r
}

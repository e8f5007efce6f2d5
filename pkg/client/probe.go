package client

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync"

	"ferry/pkg/wire"
)

// Probe is what a free request for the list of models showed of a node, step by step.
type Probe struct {
	Attempt *Attempt
	// Addresses are what the name resolved to, where it was looked up here.
	Addresses []string
	// Connected says that a connection stood, TLS included.
	Connected bool
	// State is the TLS handshake's, nil over plain http.
	State *tls.ConnectionState
	// Models is how many models the node listed, -1 where the reply is no list; ModelIDs are the first of them.
	Models   int
	ModelIDs []string
}

// Probe asks the endpoint of a call for its list of models, once. It costs nothing at the provider. The error is an *Error; a status
// other than 200 is one too.
func (e *Env) Probe(ctx context.Context, call *Call) (*Probe, error) {
	c, node := &attemptStage{e}, call.Endpoint.Node
	limited, err := e.waitForLimit(ctx, call)
	at := &Attempt{Number: 1, Started: c.Clock.Now(), Limited: limited}
	var failed *Error
	if errors.As(err, &failed) {
		at.Class, at.Err = failed.Class, failed.Err
		probe := &Probe{Attempt: at, Models: -1}
		return probe, probe.failure(node, nil)
	}
	var mu sync.Mutex // the hooks run in net/http's goroutines, late ones of a given-up connection included
	var addresses []string
	var connected bool
	resp, body, err := c.exchange(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSDone: func(info httptrace.DNSDoneInfo) {
			mu.Lock()
			defer mu.Unlock()
			for _, address := range info.Addrs {
				addresses = append(addresses, address.String())
			}
		},
		GotConn: func(httptrace.GotConnInfo) {
			mu.Lock()
			defer mu.Unlock()
			connected = true
		},
	}), call, node.PrepareModels(), at)
	mu.Lock()
	probe := &Probe{Attempt: at, Addresses: slices.Clone(addresses), Connected: connected, Models: -1}
	mu.Unlock()
	if resp == nil {
		return probe, probe.failure(node, nil)
	}
	probe.State = resp.TLS
	switch {
	case err != nil:
		at.cut(ctx, resp, body, err)
	case resp.StatusCode != http.StatusOK:
		at.read(ctx, node.API, resp, body, nil, AsBody)
	default:
		if ids, count, ok := wire.Models(body); ok {
			probe.Models, probe.ModelIDs = count, ids
			break
		}
		var apiErr *wire.APIError
		_, err := node.API.Decode(resp.StatusCode, body)
		if errors.As(err, &apiErr) && apiErr.Status != http.StatusInternalServerError { // which any odd reply would be
			at.reject(apiErr, resp)
		}
	}
	body = c.Masker.Bytes(body)
	at.clean(c.Masker, body)
	return probe, probe.failure(node, body)
}

// failure is the attempt's error as a call's.
func (p *Probe) failure(node Node, body []byte) error {
	at := p.Attempt
	if at.Err == nil {
		return nil
	}
	return &Error{
		Class: at.Class, Status: at.Status, Node: node.Name, KeySource: node.Key.Source(), Proxy: node.Proxy,
		URL: node.PrepareModels().URL, Attempts: 1, Err: at.Err, excerpt: excerpt(at.Err, body),
	}
}

// NoModelList reports whether a failed probe says only that the node has no such list, as gateways often have none.
func NoModelList(err error) bool {
	var apiErr *wire.APIError
	return errors.As(err, &apiErr) && (apiErr.Status == http.StatusNotFound || apiErr.Status == http.StatusMethodNotAllowed)
}

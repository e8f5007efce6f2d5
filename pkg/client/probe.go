package client

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"ferry/pkg/retry"
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
	// Models is how many models the node listed, -1 where the reply is no list; ModelIDs are the first of them. More says
	// that the list goes on.
	Models   int
	ModelIDs []string
	More     bool
}

// mostPages bounds the pages of a list of models that are asked for.
const mostPages = 20

// Probe asks the endpoint of a call for its list of models, page by page. It costs nothing at the provider. The error is an
// *Error; a status other than 200 is one too. It is about the first page: of a further one that fails, More tells.
func (e *Env) Probe(ctx context.Context, call *Call) (*Probe, error) {
	asked := *call
	asked.Reading, asked.prepared = AsBody, call.Endpoint.PrepareModels()
	at := &Attempt{Number: 1}
	probe := &Probe{Attempt: at, Models: -1}
	var failed *Error
	if at.Limited, failed = e.waitForLimit(ctx, call); failed != nil {
		at.Class, at.Err = failed.Class, failed.Err
		return probe, probe.failure(&asked, nil)
	}
	at.Started = e.Clock.Now()
	stage := &attemptStage{e}
	resp, body, err := stage.exchange(ctx, &asked, at)
	probe.Connected = at.Remote != ""
	for _, address := range at.trace.Addresses {
		probe.Addresses = append(probe.Addresses, address.String())
	}
	if resp == nil {
		return probe, probe.failure(&asked, nil)
	}
	probe.State = resp.TLS
	if err != nil || resp.StatusCode != http.StatusOK {
		_, body = stage.decode(ctx, &asked, at, resp, body, err)
		return probe, probe.failure(&asked, body)
	}
	if list, ok := wire.Models(body); ok {
		probe.Models, probe.ModelIDs = list.Count, list.IDs
		e.morePages(ctx, asked, probe, list.Next)
	} else {
		_, err := call.Endpoint.API.Decode(resp.StatusCode, body)
		if apiErr, ok := errors.AsType[*wire.APIError](err); ok && apiErr.Status != http.StatusInternalServerError { // which any odd reply would be
			at.reject(apiErr, resp)
		}
	}
	return probe, probe.failure(&asked, at.clean(e.Masker, body))
}

// morePages adds the pages of a list that follow the first, until one of them cannot be had.
func (e *Env) morePages(ctx context.Context, asked Call, probe *Probe, next string) {
	for page := 1; next != "" && page < mostPages; page++ {
		asked.prepared = asked.Endpoint.PrepareModels()
		at := asked.prepared.URL
		at.RawQuery = strings.TrimPrefix(at.RawQuery+"&limit=1000&after_id="+url.QueryEscape(next), "&")
		if _, failed := e.waitForLimit(ctx, &asked); failed != nil {
			break
		}
		resp, body, err := (&attemptStage{e}).exchange(ctx, &asked, &Attempt{Number: 1, Started: e.Clock.Now()})
		if resp == nil || err != nil || resp.StatusCode != http.StatusOK {
			break
		}
		list, ok := wire.Models(body)
		if !ok || list.Count == 0 || list.Next == next {
			break
		}
		probe.Models += list.Count
		probe.ModelIDs = append(probe.ModelIDs, list.IDs...)
		next = list.Next
	}
	probe.More = next != ""
}

// failure is the attempt's error as a call's.
func (p *Probe) failure(call *Call, body []byte) error {
	if p.Attempt.Err == nil {
		return nil
	}
	asked, endpoint, at := *call, *call.Endpoint, p.Attempt
	endpoint.Rule, endpoint.NearModel = retry.Rule{}, nil // a probe is not tried again, and asks for no model
	asked.Endpoint = &endpoint
	e := asked.fail(&Result{Attempts: []*Attempt{at}, Body: body}, &Error{Class: at.Class, Status: at.Status, Err: at.Err})
	e.Unsent = false // no hint says it of a probe
	return e
}

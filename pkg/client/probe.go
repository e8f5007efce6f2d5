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

// Probe is the result of a free request for the list of models, step by step.
type Probe struct {
	Attempt *Attempt
	// Addresses are the resolved addresses, if the name was looked up locally.
	Addresses []string
	// Connected says that the connection was established, including TLS.
	Connected bool
	// State is the state of the TLS handshake, nil for plain http.
	State *tls.ConnectionState
	// Models is the number of listed models, -1 if no list arrived. ModelIDs are the first of them. More says
	// that the list continues.
	Models   int
	ModelIDs []string
	More     bool
}

// maxPages is the maximum number of pages requested of a model list.
const maxPages = 20

// Probe requests the list of models from the endpoint of a call, page by page. This costs nothing at the provider. The
// error is an *Error, also for a status other than 200. It is about the first page; if a later page fails, More is
// true.
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
		// Every unexpected reply gets status 500.
		if apiErr, ok := errors.AsType[*wire.APIError](err); ok && apiErr.Status != http.StatusInternalServerError {
			at.recordAPIError(apiErr, resp)
		}
	}
	return probe, probe.failure(&asked, at.clean(e.Masker, body))
}

// morePages adds the pages after the first, and stops at the first failure.
func (e *Env) morePages(ctx context.Context, asked Call, probe *Probe, next string) {
	for page := 1; next != "" && page < maxPages; page++ {
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

// failure returns the attempt's error as the error of a call.
func (p *Probe) failure(call *Call, body []byte) error {
	if p.Attempt.Err == nil {
		return nil
	}
	asked, endpoint, at := *call, *call.Endpoint, p.Attempt
	endpoint.Rule, endpoint.NearModel = retry.Rule{}, nil // a probe is not retried and uses no model
	asked.Endpoint = &endpoint
	e := asked.fail(&Result{Attempts: []*Attempt{at}, Body: body}, &Error{Class: at.Class, Status: at.Status, Err: at.Err})
	e.Unsent = false // hints about a probe do not mention it
	return e
}

package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"ferry/pkg/config"
	"ferry/pkg/guard"
	"ferry/pkg/text"
	"ferry/pkg/wire"
)

// Found is an API that a server offers.
type Found struct {
	API wire.API
	URL *url.URL
	// Auth is how the server takes the key. Open says that it needs none.
	Auth config.Auth
	Open bool
	// Others are the other dialects that the server speaks.
	Others []wire.API
}

// ErrUndecided means that the server does not show which APIs it has without a key.
var ErrUndecided = errors.New("without a key the server does not show its API")

// FindAPI finds out which dialects a server speaks. It sends a body that is not valid JSON to each path and reads the
// replies. Such a request cannot be carried out, so it costs nothing. It may also request the list of models. FindAPI
// uses the address and transport of at, and sends key unless it is zero. It fails with an *Error if no request can be
// sent, with ErrUndecided, or if the server refuses the key, is unavailable, or speaks none of the dialects.
func (e *Env) FindAPI(ctx context.Context, at Endpoint, key guard.Secret) (*Found, error) {
	var open, closed []Found
	moved, failures := "", 0
	all := candidates(at.URL, key)
	for _, c := range all {
		one := at
		one.URL, one.API, one.Auth, one.Key = c.URL, c.API, c.Auth.HeaderName(), key
		status, location, err := e.tryAPI(ctx, &one)
		isKnown := func(f Found) bool { return f.API == c.API }
		if status >= 500 && !slices.Contains(missingPathStatuses, status) {
			failures++ // some servers fail on invalid JSON, but not on every path
		}
		switch {
		case err != nil:
			return nil, err
		case location != "":
			moved = "; it leads to " + location
		case status < 400 || slices.Contains(missingPathStatuses, status) || slices.ContainsFunc(open, isKnown):
		case status == http.StatusUnauthorized || status == http.StatusForbidden:
			closed = append(closed, c)
		case isUnavailable(status) || failures == len(all):
			return nil, text.Errorf("try again later, or use --api messages, chat or complete",
				"%s answers with status %d, which does not show its API", at.URL.Host, status)
		default:
			open = append(open, c)
		}
	}
	switch {
	case len(open) == 0 && len(closed) == 0:
		return nil, text.Errorf("is the path right? --api messages, chat or complete uses the address unchecked",
			"no API that ferry speaks at %s%s", WithoutQuery(at.URL), moved)
	case len(open) == 0 && !key.IsZero():
		return nil, text.Errorf("nothing was written", "%s refuses the key", at.URL.Host)
	case len(open) == 0 && len(closed) > 1:
		return nil, ErrUndecided
	case len(open) == 0:
		return &closed[0], nil
	}
	found := e.preferred(ctx, at, key, open)
	if key.IsZero() {
		at.URL, at.API = found.URL, found.API
		found.Open = e.listStatus(ctx, at) != http.StatusUnauthorized
	}
	for _, other := range open {
		if other.API != found.API {
			found.Others = append(found.Others, other.API)
		}
	}
	return &found, nil
}

// preferred returns the preferred dialect of a server that has several: messages if the server lists a Claude model,
// otherwise chat, because servers of other models offer messages only as a translation of chat.
func (e *Env) preferred(ctx context.Context, at Endpoint, key guard.Secret, open []Found) Found {
	chat := slices.IndexFunc(open, func(f Found) bool { return f.API == wire.Chat })
	if chat <= 0 {
		return open[0]
	}
	at.URL, at.API, at.Auth, at.Key = open[0].URL, open[0].API, open[0].Auth.HeaderName(), key
	probe, _ := e.Probe(ctx, Call{}.To(&at))
	if slices.ContainsFunc(probe.ModelIDs, func(id string) bool { return strings.Contains(id, "claude") }) {
		return open[0]
	}
	return open[chat]
}

// hasVersion reports whether a path contains a version, such as /v1 or /api/paas/v4.
func hasVersion(path string) bool {
	return slices.ContainsFunc(strings.Split(path, "/"), func(part string) bool {
		return len(part) > 1 && part[0] == 'v' && part[1] >= '0' && part[1] <= '9'
	})
}

// candidates returns the APIs that an address may stand for, the likeliest first.
func candidates(address *url.URL, key guard.Secret) []Found {
	var all []Found
	add := func(api wire.API, path, auth string) {
		at := *address
		at.Path, at.RawPath = path, ""
		all = append(all, Found{API: api, URL: &at, Auth: config.Auth{Scheme: auth}})
	}
	path := strings.TrimRight(address.Path, "/")
	add(wire.Messages, wire.Messages.Base(path), config.AuthXAPIKey)
	if !key.IsZero() {
		add(wire.Messages, wire.Messages.Base(path), config.AuthBearer)
	}
	add(wire.Chat, path, config.AuthBearer)
	if !hasVersion(path) {
		add(wire.Chat, path+"/v1", config.AuthBearer)
	}
	add(wire.Complete, wire.Complete.Base(path), config.AuthXAPIKey)
	return all
}

// missingPathStatuses are the statuses of a path that does not exist.
var missingPathStatuses = []int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented}

// isUnavailable reports whether the status comes from a proxy, from a gateway whose server is not available, or from an
// overloaded server.
func isUnavailable(status int) bool {
	switch status {
	case http.StatusProxyAuthRequired, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable,
		http.StatusGatewayTimeout, 529:
		return true
	}
	return status >= 520 && status <= 524 // Cloudflare's codes for errors of the origin server
}

// IsOpen reports whether the endpoint needs no key.
func (e *Env) IsOpen(ctx context.Context, at Endpoint) bool {
	status, location, err := e.tryAPI(ctx, &at)
	if err != nil || location != "" || status < 400 || status == http.StatusUnauthorized || status == http.StatusForbidden ||
		slices.Contains(missingPathStatuses, status) || isUnavailable(status) {
		return false
	}
	list := e.listStatus(ctx, at)
	return list != http.StatusUnauthorized && (status < 500 || list < 500)
}

// listStatus returns the status of the request for the models. Some servers check the key only after they parsed a
// body, but check it at once for the list.
func (e *Env) listStatus(ctx context.Context, at Endpoint) int {
	probe, _ := e.Probe(ctx, Call{}.To(&at))
	return probe.Attempt.Status
}

// tryAPI sends a body that no server can carry out to the endpoint's path. It returns the status of the reply, or of
// the API error in it, and the Location of a redirect.
func (e *Env) tryAPI(ctx context.Context, at *Endpoint) (status int, location string, err error) {
	p := at.prepareHeader(http.MethodPost, at.API.Dialect().Facts().Path)
	p.Body = wire.Body{{JSON: []byte("{")}}
	reply, body, err := e.fetch(ctx, at, p)
	if reply == nil {
		class, err := classify(ctx, err)
		failed := &Error{Class: class, Node: at.Name, URL: p.URL, Err: err}
		failed.hint = (&Call{Endpoint: &Endpoint{Name: at.Name}, prepared: p}).advice(failed)
		return 0, "", failed
	}
	status = reply.StatusCode
	var apiErr *wire.APIError
	if _, err := at.API.Decode(status, body); errors.As(err, &apiErr) && apiErr.Status > 0 {
		status = apiErr.Status // a gateway's error inside a 200
	}
	return status, reply.Header.Get("Location"), nil
}

// fetch sends a request and reads at most 64 KiB of the reply. If only reading fails, it returns the reply and the
// error.
func (e *Env) fetch(ctx context.Context, at *Endpoint, p *Prepared) (*http.Response, []byte, error) {
	reply, err := p.roundTrip(ctx, at.Transport, e.UserAgent)
	if err != nil {
		return nil, nil, err
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(io.LimitReader(reply.Body, 64<<10))
	return reply, body, err
}

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

// Found is an API that a server has.
type Found struct {
	API wire.API
	URL *url.URL
	// Auth is how it takes the key. Open says that it wants none.
	Auth config.Auth
	Open bool
	// Others are the dialects that it speaks beside this one.
	Others []wire.API
}

// ErrUndecided says that a server wants a key before it shows which APIs it has.
var ErrUndecided = errors.New("the server says nothing of its API without a key")

// FindAPI asks a server which dialects it speaks, by what it says to a body that is no JSON: it cannot be carried out, so
// that it costs nothing. The endpoint's address and transport are used, and key goes with the requests unless it is zero.
// It fails with *Error where the server cannot be asked, with ErrUndecided, or where there is none of the dialects.
func (e *Env) FindAPI(ctx context.Context, at Endpoint, key guard.Secret) (*Found, error) {
	var open, closed []Found
	moved, failures := "", 0
	all := candidates(at.URL, key)
	for _, c := range all {
		one := at
		one.URL, one.API, one.Auth, one.Key = c.URL, c.API, c.Auth.HeaderName(), key
		status, location, err := e.tries(ctx, &one)
		isKnown := func(f Found) bool { return f.API == c.API }
		if status >= 500 && !slices.Contains(notThere, status) { // some servers fail on what is no JSON, but not everywhere
			failures++
		}
		switch {
		case err != nil:
			return nil, err
		case location != "":
			moved = "; it leads to " + location
		case status < 400 || slices.Contains(notThere, status) || slices.ContainsFunc(open, isKnown):
		case status == http.StatusUnauthorized || status == http.StatusForbidden:
			closed = append(closed, c)
		case isUnwell(status) || failures == len(all):
			return nil, text.Errorf("try again when it is well, or say --api messages, chat or complete",
				"%s answers with status %d, which says nothing of its API", at.URL.Host, status)
		default:
			open = append(open, c)
		}
	}
	switch {
	case len(open) == 0 && len(closed) == 0:
		return nil, text.Errorf("is the path right? --api messages, chat or complete takes the address as it is",
			"no API that ferry speaks at %s%s", WithoutQuery(at.URL), moved)
	case len(open) == 0 && !key.IsZero():
		return nil, text.Errorf("nothing was written", "%s refuses the key", at.URL.Host)
	case len(open) == 0 && len(closed) > 1:
		return nil, ErrUndecided
	case len(open) == 0:
		return &closed[0], nil
	}
	found := e.likeliest(ctx, at, key, open)
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

// likeliest is the dialect to use of a server that has several: messages where it lists a Claude, else chat, which others
// only translate to messages.
func (e *Env) likeliest(ctx context.Context, at Endpoint, key guard.Secret, open []Found) Found {
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

// hasVersion holds for a path with a version in it, such as /v1 or /api/paas/v4.
func hasVersion(path string) bool {
	return slices.ContainsFunc(strings.Split(path, "/"), func(part string) bool {
		return len(part) > 1 && part[0] == 'v' && part[1] >= '0' && part[1] <= '9'
	})
}

// candidates are what an address may stand for, the likeliest first.
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

// notThere are the statuses of a path that a server does not have.
var notThere = []int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented}

// isUnwell holds for the statuses of a proxy, of a gateway whose server is not there, and of a server that is overloaded.
func isUnwell(status int) bool {
	switch status {
	case http.StatusProxyAuthRequired, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable,
		http.StatusGatewayTimeout, 529:
		return true
	}
	return status >= 520 && status <= 524 // Cloudflare's, of the server behind it
}

// IsOpen reports whether the endpoint wants no key.
func (e *Env) IsOpen(ctx context.Context, at Endpoint) bool {
	status, location, err := e.tries(ctx, &at)
	if err != nil || location != "" || status < 400 || status == http.StatusUnauthorized || status == http.StatusForbidden ||
		slices.Contains(notThere, status) || isUnwell(status) {
		return false
	}
	list := e.listStatus(ctx, at)
	return list != http.StatusUnauthorized && (status < 500 || list < 500)
}

// listStatus asks for the models. Some servers look at the key behind a body that they can read, but at once for their list.
func (e *Env) listStatus(ctx context.Context, at Endpoint) int {
	probe, _ := e.Probe(ctx, Call{}.To(&at))
	return probe.Attempt.Status
}

// tries sends a body that no server can carry out to the endpoint's path, and gives the status of the API's own answer, 200
// where it is none, and where a redirect leads.
func (e *Env) tries(ctx context.Context, at *Endpoint) (status int, location string, err error) {
	p := at.prepare(http.MethodPost, at.API.Dialect().Facts().Path)
	p.Body = wire.Body{{JSON: []byte("{")}}
	reply, err := at.Transport.RoundTrip(p.request(ctx, e.UserAgent))
	if err != nil {
		class, err := classify(ctx, err)
		failed := &Error{Class: class, Node: at.Name, URL: p.URL, Err: err}
		failed.hint = (&Call{Endpoint: &Endpoint{Name: at.Name}, prepared: p}).advice(failed)
		return 0, "", failed
	}
	defer reply.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(reply.Body, 64<<10))
	status = reply.StatusCode
	var apiErr *wire.APIError
	if _, err := at.API.Decode(status, body); errors.As(err, &apiErr) && apiErr.Status > 0 {
		status = apiErr.Status // a gateway's, inside a 200
	}
	return status, reply.Header.Get("Location"), nil
}

package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"ferry/pkg/client"
	"ferry/pkg/transport"
)

// gatewayHeader is how a gateway that ferry wrote makes itself known.
const gatewayHeader = "x-ferry-gateway"

// isGateway reports whether the reply came through a gateway.
func isGateway(probe *client.Probe) bool {
	return slices.ContainsFunc(probe.Attempt.Header(), func(f client.Field) bool { return f.Name == gatewayHeader })
}

// gateway looks at what a gateway promises: that it is well, takes no older TLS, and lets no stranger in. All of it is
// free; the two requests count against the caller's limit there.
func (r *checkReport) gateway(ctx context.Context, e *endpoint) {
	r.health(ctx, e)
	r.floor(ctx, e)
	r.stranger(ctx, e)
}

func (r *checkReport) health(ctx context.Context, e *endpoint) {
	at := *e.options.Target
	at.Path, at.RawPath, at.RawQuery = "/healthz", "", ""
	status, body, err := get(ctx, e, at.String(), "")
	var said struct{ Status string }
	switch {
	case err != nil:
		r.bad("gateway", err)
	case status != http.StatusOK || json.Unmarshal(body, &said) != nil || said.Status != "ok":
		r.bad("gateway", fmt.Errorf("/healthz answers with status %d and not that all is well", status))
	default:
		r.good("gateway", "one of ferry's; /healthz says that all is well")
	}
}

func (r *checkReport) floor(ctx context.Context, e *endpoint) {
	if e.options.Proxy != nil {
		r.skip("floor", "not looked at through a proxy")
		return
	}
	if e.options.Target.Scheme != "https" {
		r.bad("floor", errors.New("the gateway is reached without TLS"))
		return
	}
	refuses, err := transport.RefusesOld(ctx, e.options)
	switch {
	case err != nil:
		r.bad("floor", fmt.Errorf("whether TLS 1.2 is refused could not be seen: %s", bareNet(err)))
	case refuses:
		r.good("floor", "TLS 1.2 is refused")
	default:
		r.bad("floor", usagef("ferry config nginx writes ssl_protocols TLSv1.3", "TLS 1.2 is taken"))
	}
}

// stranger asks with a token that does not exist.
func (r *checkReport) stranger(ctx context.Context, e *endpoint) {
	status, _, err := get(ctx, e, e.PrepareModels().URL.String(), "ferry-config-check-made-this-up")
	switch {
	case err != nil:
		r.bad("guard", err)
	case status == http.StatusUnauthorized:
		r.good("guard", "a made-up token is refused")
	case status == http.StatusTooManyRequests:
		r.skip("guard", "not seen: the limit on requests came first")
	default:
		r.bad("guard", fmt.Errorf("a made-up token gets status %d, not 401", status))
	}
}

// get asks once, with a token or without, and reads as much as such an answer can have.
func get(ctx context.Context, e *endpoint, address, token string) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("User-Agent", userAgent())
	if token != "" {
		request.Header.Set("X-Api-Key", token)
	}
	reply, err := e.Transport.RoundTrip(request)
	if err != nil {
		return 0, nil, err
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(io.LimitReader(reply.Body, 64<<10))
	return reply.StatusCode, body, err
}

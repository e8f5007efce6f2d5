package gateway

import (
	"fmt"
	"slices"
	"strings"
)

// failures are the statuses that nginx makes itself, in the API's words.
func (p *plan) failures() []struct {
	status        int
	kind, message string
} {
	return []struct {
		status        int
		kind, message string
	}{
		{400, "invalid_request_error", "the gateway could not read this request"},
		{401, "authentication_error", "the gateway knows no such token"},
		{403, "permission_error", "the role of this token does not allow this"},
		{404, "not_found_error", "the gateway has no such path"},
		{405, "invalid_request_error", "the gateway has no such method"},
		{408, "timeout_error", "the request did not come whole in time"},
		{413, "request_too_large", "the gateway takes at most 33 MB"},
		{414, "invalid_request_error", "the address is too long"},
		{421, "invalid_request_error", "the gateway has no such name"},
		{429, "rate_limit_error", fmt.Sprintf("more than %d requests a %s from one address, or more than %d at once with one token",
			p.Rate.Requests, p.Rate.Per, p.Connections)},
		{500, "api_error", "the gateway failed"},
		{501, "invalid_request_error", "the gateway has no such encoding of a request"},
		{502, "api_error", "the gateway could not reach the API, or did not trust its certificate"},
		{503, "overloaded_error", "the gateway is overloaded"},
		{504, "timeout_error", "the API did not answer in time"},
		{505, "invalid_request_error", "the gateway speaks HTTP/1.1"},
	}
}

// errors are bodies in the form of the API's own: clients read a type and a message there.
func (p *plan) errors(t *text) {
	t.say(`# What nginx has to say itself it says as the API would, so that a client shows the reason and not a page of HTML.
map $status $ferry_failure {
    default '{"type":"api_error","message":"the gateway failed"}';`)
	for _, f := range p.failures() {
		t.say(`    %d '{"type":"%s","message":"%s"}';`, f.status, f.kind, f.message)
	}
	t.say(`}
map $status $ferry_retry_after {
    default "";
    429 %d;
}
`, p.retryAfter())
}

// failing sends nginx's own failures through one place, which keeps their status.
func (p *plan) failing(t *text) {
	codes := make([]string, 0, 20)
	for _, f := range p.failures() {
		codes = append(codes, itoa(f.status))
	}
	t.say("error_page %s /_ferry/failure;", strings.Join(codes, " "))
	t.say("error_page 494 495 496 497 =400 /_ferry/failure;")
	t.block("location = /_ferry/failure", func() {
		t.say(`internal;
auth_request off;
add_header X-Ferry-Gateway 1 always;
add_header Retry-After $ferry_retry_after always;
return 200 '{"type":"error","error":$ferry_failure,"request_id":"$request_id"}';`)
	})
}

// stranger is for whoever asks for no name, or for another than the gateway's.
func (p *plan) stranger(t *text) {
	t.say("\n# Scanners go by address: without the right name they get no certificate, and so learn no name.")
	t.block("server", func() {
		for _, at := range p.Listen {
			t.say("listen %s ssl default_server;", at)
		}
		t.say("server_name _;\nssl_reject_handshake on;\n\n# The right name in TLS and another in the request, or no TLS at all.")
		p.failing(t)
		t.block("location /", func() { t.say("return 421;") })
	})
}

// server is the gateway itself.
func (p *plan) server(t *text) {
	t.say("")
	t.block("server", func() {
		for _, at := range p.Listen {
			t.say("listen %s ssl;", at)
		}
		t.say("server_name %s;\nssl_certificate %s;\nssl_certificate_key %s;\n", p.ServerName, quoted(p.Cert), quoted(p.Key))
		p.guards(t)
		p.towards(t)
		p.locations(t)
	})
}

// guards stand before every path, so that a path that is added is guarded too.
func (p *plan) guards(t *text) {
	burst := ""
	if p.Burst > 0 {
		burst = fmt.Sprintf(" burst=%d nodelay", p.Burst)
	}
	t.say(`# By this header ferry config check knows a gateway.
add_header X-Ferry-Gateway 1 always;

# Limits come before the look at the token, so that guesses are counted too. This is why the look is an
# auth_request and not an "if": nginx runs an "if" before it counts.
limit_req zone=ferry_address%s;
limit_req_status 429;
limit_req_log_level info;
limit_conn ferry_token %d;
limit_conn_status 429;
limit_conn_log_level info;
auth_request /_ferry/auth;
`, burst, p.Connections)
}

// towards is how the upstream is reached.
func (p *plan) towards(t *text) {
	tls := p.nodes[0].TLS
	host, sni := p.nodes[0].host, p.nodes[0].sni
	if len(p.nodes) > 1 {
		host, sni = "$ferry_host", "$ferry_sni"
	}
	t.say(`# nginx by itself checks no certificate and sends no name: anyone on the way could be the API, and read the key.
proxy_ssl_server_name on;
proxy_ssl_name %s;
proxy_ssl_verify on;
proxy_ssl_verify_depth 4;
proxy_ssl_trusted_certificate %s;
proxy_ssl_protocols %s;`, sni, quoted(tls.CA), protocols(tls))
	if tls.Cert != "" {
		t.say("proxy_ssl_certificate %s;\nproxy_ssl_certificate_key %s;", quoted(tls.Cert), quoted(tls.Key))
	}
	t.say(`
# Nothing of the caller's goes along but what is named here: no token, cookie, address or session. Headers
# without a value are not sent. HTTP/1.1 without Connection keeps connections open.
proxy_http_version 1.1;
proxy_pass_request_headers off;
proxy_set_header Host %s;
proxy_set_header Connection "";`, host)
	own := p.headers()
	for _, h := range append(passed(), own...) {
		same := func(other Header) bool { return sameHeader(other.Name, h.Name) && other != h }
		if !slices.ContainsFunc(own, same) { // nginx would send both
			t.say("proxy_set_header %s %s;", h.Name, h.Value)
		}
	}
	t.say(`
# What the API says about the account, and what would make nginx itself act, stays here.
proxy_hide_header Set-Cookie;
proxy_hide_header Anthropic-Organization-Id;
proxy_ignore_headers X-Accel-Redirect X-Accel-Expires X-Accel-Limit-Rate X-Accel-Buffering X-Accel-Charset;
proxy_redirect off;

# A stream passes as it comes, in both directions. An answer may take as long to think as ferry waits for it.
proxy_buffering off;
proxy_request_buffering off;
proxy_connect_timeout 15s;
proxy_send_timeout 60s;
proxy_read_timeout 600s;

# Another address of the upstream is tried only while nothing was sent: a prompt is never paid for twice.
proxy_next_upstream error timeout;
proxy_next_upstream_tries 3;
proxy_next_upstream_timeout 20s;
`)
}

// passed are the headers of a caller that mean something to the API, and the gateway's own name in place of the caller's.
func passed() []Header {
	return []Header{
		{"User-Agent", "ferry-gateway"},
		{"Content-Type", "$content_type"},
		{"Accept", "$http_accept"},
		{"Anthropic-Version", "$http_anthropic_version"},
		{"Anthropic-Beta", "$http_anthropic_beta"},
	}
}

// headers are what the gateway adds, by name, with the variable that holds the value.
func (p *plan) headers() []Header {
	var list []Header
	for i, u := range p.nodes {
		for j, h := range u.Headers {
			same := func(other Header) bool { return sameHeader(other.Name, h.Name) }
			if slices.ContainsFunc(list, same) {
				continue
			}
			value := secretName(i, j)
			if len(p.nodes) > 1 {
				value = "$ferry_header_" + itoa(len(list)+1)
			}
			list = append(list, Header{h.Name, value})
		}
	}
	return list
}

// locations are the paths that are open, each exactly: nginx decodes %2e and joins slashes before it compares, and what
// is sent on is written here and not taken from the caller.
func (p *plan) locations(t *text) {
	t.say("# Each path is compared whole and sent on as it is written here: no spelling of a caller's leads elsewhere.")
	for _, r := range p.routes {
		t.block("location = "+p.Prefix+r.path, func() {
			t.say("set $ferry_permission %s;\nproxy_pass %s;", r.permission, p.target(r))
		})
	}
	t.say("\n# The look at the token. The permission is that of the path that asks, whose address is unknown here.")
	t.block("location = /_ferry/auth", func() {
		t.say(`internal;
auth_request off;
if ($ferry_role = "") { return 401; }
if ($ferry_allowed = 0) { return 403; }
return 204;`)
	})
	t.say("\n# For monitors and ferry config check: without a token, without a line in the log.")
	t.block("location = /healthz", func() {
		t.say("auth_request off;\naccess_log off;\nreturn 200 '{\"status\":\"ok\"}';")
	})
	t.say("")
	p.failing(t)
	t.block("location /", func() { t.say("return 404;") })
}

// target is where a route leads. A variable in it makes nginx leave the caller's query away, which is then added.
func (p *plan) target(r route) string {
	if len(p.nodes) == 1 {
		return "https://" + p.nodes[0].name + p.nodes[0].base + "/" + r.path
	}
	return "https://$ferry_upstream$ferry_base/" + r.path + "$is_args$args"
}

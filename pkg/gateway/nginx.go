package gateway

import (
	"fmt"
	"strings"

	"ferry/pkg/config"
)

// Mark is the first line of each file that a gateway consists of. Only files that begin with it are replaced.
const Mark = "# Written by ferry config for nginx. Change the section gateway: of ferry's configuration, not this file.\n"

// text collects lines with a margin.
type text struct {
	strings.Builder
	depth int
}

// say adds lines, each at the margin of now.
func (t *text) say(format string, args ...any) {
	for line := range strings.SplitSeq(fmt.Sprintf(format, args...), "\n") {
		if line != "" {
			line = strings.Repeat("    ", t.depth) + line
		}
		t.WriteString(line + "\n")
	}
}

// block is what stands in braces behind a head.
func (t *text) block(head string, inside func()) {
	t.say("%s {", head)
	t.depth++
	inside()
	t.depth--
	t.say("}")
}

// main is the whole configuration but for the keys.
func (p *plan) main() []byte {
	t := &text{}
	t.WriteString(Mark)
	t.say(`# nginx reads it when it is started or reloaded; ferry does neither. First see whether it holds: nginx -t -c FILE

worker_processes auto;
worker_rlimit_nofile 16384;

# What keeps nginx as a whole from working. Of callers nothing goes there: see error_log below.
error_log %s crit;
`, quoted(p.Logs+"/error.log"))
	t.block("events", func() { t.say("worker_connections 4096;") })
	t.say("")
	t.block("http", func() {
		p.common(t)
		p.limits(t)
		p.callers(t)
		p.log(t)
		p.errors(t)
		p.upstreams(t)
		p.stranger(t)
		p.server(t)
	})
	return []byte(t.String())
}

// common is what holds for every server.
func (p *plan) common(t *text) {
	t.say(`# TLS 1.3 and nothing older. Without tickets a stolen ticket key opens no recorded session.
ssl_protocols TLSv1.3;
ssl_session_cache shared:ferry_tls:10m;
ssl_session_tickets off;

# A version number helps only those who look for a hole.
server_tokens off;

# Everything here is JSON or an event stream; no file is served.
types { }
default_type application/json;
gzip off;

# The API takes 32 MB, and nginx by itself 1. What is beyond the buffer is passed on as it comes (see
# proxy_request_buffering below): a prompt is never written to a disk.
client_max_body_size 33m;
client_body_buffer_size 1m;

# Whoever is slow to ask gives the connection back.
client_header_timeout 15s;
client_body_timeout 60s;
send_timeout 60s;

# Roles and permissions make longer words in maps than nginx expects.
map_hash_bucket_size 256;
server_names_hash_bucket_size 512;
`)
	if p.Temp != "" {
		t.say("# The folders that nginx insists on. Nothing of a request or an answer goes there.")
		for _, of := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
			t.say("%s_temp_path %s;", of, quoted(p.Temp+"/"+of))
		}
		t.say("")
	}
}

// limits is what one address and one token may ask for.
func (p *plan) limits(t *text) {
	unit := "m"
	if p.Rate.Per == "second" {
		unit = "s"
	}
	t.say(`# One caller is one address, or of IPv6 the first eight bytes of one: a single customer has all addresses behind
# those, and could change them at will.
map $binary_remote_addr $ferry_address {
    default $binary_remote_addr;
    "~^(?s)(?<ferry_64>.{8}).{8}\z" $ferry_64;
}

# nginx counts in single slots: %d a %s is one every %s, and burst says how many may be ahead of that.
limit_req_zone $ferry_address zone=ferry_address:10m rate=%dr/%s;
`, p.Rate.Requests, p.Rate.Per, p.slot(), p.Rate.Requests, unit)
}

// callers says who somebody is and what he may do.
func (p *plan) callers(t *text) {
	t.say(`# A token comes in x-api-key, as with the older clients, or as a Bearer token, as with the newer ones.
map $http_authorization $ferry_bearer {
    default "";
    "~*^Bearer +(?<ferry_word>[A-Za-z0-9_-]+)$" $ferry_word;
}
map $http_x_api_key $ferry_token {
    default $http_x_api_key;
    "" $ferry_bearer;
}

# Whose token it is: a role, a colon and the token's public name. ferry config token writes the file. The tokens in
# it are expressions, since plain words of a map match whatever their case.
map $ferry_token $ferry_caller {
    default "";
    include %s;
}
map $ferry_caller $ferry_role {
    default "";
    "~^(?<ferry_role_word>[^:]+):" $ferry_role_word;
}
map $ferry_caller $ferry_token_name {
    default "";
    "~:(?<ferry_name_word>[^:]+)$" $ferry_name_word;
}

# What the roles may do: role, method and permission, which each path below sets. What is not here is forbidden.
map "$ferry_role:$request_method:$ferry_permission" $ferry_allowed {
    default 0;`, quoted(p.Tokens))
	for _, role := range p.Roles {
		for _, permission := range role.Permissions {
			t.say(`    "%s:%s:%s" 1;`, role.Name, p.method(permission), permission)
		}
	}
	t.say(`}

# Requests under way, by token. Guesses have no name and are not counted here, or they could fill the zone.
limit_conn_zone $ferry_token_name zone=ferry_token:10m;
`)
}

// log is the access log's form.
func (p *plan) log(t *text) {
	t.say(`# The log knows no caller: of an address the last octet goes, of IPv6 all behind the /48. It has no path, no query,
# no header and no body: what somebody typed into a path could be a token or a prompt.
map $remote_addr $ferry_log_address {
    default "-";
    "~^(?<ferry_24>[0-9]+\.[0-9]+\.[0-9]+)\." "$ferry_24.0";
    "~^(?<ferry_48>[0-9a-f]+:[0-9a-f]+:[0-9a-f]+):" "$ferry_48::";
    "~^(?<ferry_short>[0-9a-f:]*?)::" "$ferry_short::";
}
log_format ferry escape=json
    '{"time":"$time_iso8601","address":"$ferry_log_address","role":"$ferry_role","token":"$ferry_token_name",'
    '"permission":"$ferry_permission","status":"$status","bytes_in":"$request_length","bytes_out":"$bytes_sent",'
    '"seconds":"$request_time","upstream_status":"$upstream_status","upstream_seconds":"$upstream_header_time",'
    '"request_id":"$request_id"}';
access_log %s ferry;

# The error log would name addresses and paths in full, and no setting changes that: of requests and handshakes
# nothing goes there. What failed is seen in the access log, by its status.
error_log %s emerg;

# A request to no known path has set no permission; that is no reason for a warning.
uninitialized_variable_warn off;
`, quoted(p.Logs+"/access.log"), quoted(p.Logs+"/error.log"))
}

// slot is how long one request takes of the rate, in words.
func (p *plan) slot() string {
	ms := p.window() * 1000 / p.Rate.Requests
	if ms%1000 == 0 && ms > 0 {
		return itoa(ms/1000) + " s"
	}
	return itoa(ms) + " ms"
}

func (p *plan) window() int {
	if p.Rate.Per == "second" {
		return 1
	}
	return 60
}

// retryAfter is the least whole number of seconds after which another request passes.
func (p *plan) retryAfter() int {
	return max(1, (p.window()+p.Rate.Requests-1)/p.Rate.Requests)
}

// keys are the headers of each node.
func (p *plan) keys() []byte {
	t := &text{}
	t.WriteString(Mark)
	t.say("# The keys of the nodes. A block of the kind geo, since nginx expands a dollar everywhere else.")
	for i, u := range p.nodes {
		for j, h := range u.Headers {
			t.say("geo %s { default %s; }", secretName(i, j), quoted(h.Value))
		}
	}
	return []byte(t.String())
}

func secretName(node, header int) string { return fmt.Sprintf("$ferry_secret_%d_%d", node+1, header+1) }

// protocols are TLS's towards the upstream: the node's floor, said because nginx before 1.23 leaves 1.3 out.
func protocols(t config.TLS) string {
	if t.Min == "1.2" {
		return "TLSv1.2 TLSv1.3"
	}
	return "TLSv1.3"
}

package gateway

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// mainText is nginx.conf without the values of a plan.
//
//go:embed nginx.conf.tmpl
var mainText string

// Mark is the first line of each file of a gateway. Only files that begin with it are replaced.
const Mark = "# Written by ferry config for nginx. Change the section gateway: of ferry's configuration, not this file.\n"

// main returns the complete configuration except the keys: mainText with the values of the plan. A value that is the
// only text of its line may have several lines, or none.
func (p *plan) main() []byte {
	values := p.values()
	var pairs []string
	for name, value := range values {
		pairs = append(pairs, "{{"+name+"}}", value)
	}
	inline := strings.NewReplacer(pairs...)
	var out bytes.Buffer
	for line := range strings.Lines(mainText) {
		text := strings.TrimSpace(line)
		block, alone := values[strings.Trim(text, "{}")]
		if !alone || !strings.HasPrefix(text, "{{") {
			out.WriteString(inline.Replace(line))
			continue
		}
		margin := line[:strings.Index(line, "{")]
		for part := range strings.Lines(block) {
			if part != "\n" {
				part = margin + part
			}
			out.WriteString(part)
		}
	}
	return out.Bytes()
}

// values returns the values of the placeholders in mainText, by name. Values of whole lines end in a newline.
func (p *plan) values() map[string]string {
	first := p.Nodes[0]
	host, sni := first.Host, first.SNI
	if p.several() {
		host, sni = "$ferry_host", "$ferry_sni"
	}
	protocols := textIf(first.TLS.Min == "1.2", "TLSv1.2 ") + "TLSv1.3"
	return map[string]string{
		"mark": Mark, "keys_file": KeysFile, "tokens": quoted(p.Tokens),
		"error_log": quoted(p.Logs + "/error.log"), "access_log": quoted(p.Logs + "/access.log"), "temp": p.temp(),
		"requests": strconv.Itoa(p.Rate.Events), "per": p.per(), "unit": p.per()[:1], "slot": p.slot(),
		"burst":       textIf(p.Burst > 0, fmt.Sprintf(" burst=%d nodelay", p.Burst)),
		"retry_after": strconv.Itoa(p.retryAfter()), "connections": strconv.Itoa(p.Connections),
		"permissions": p.permissions(), "routes": p.routes(), "nodes": p.upstreams(), "choose": p.choose(),
		"listen": p.listen("ssl", "quic"), "listen_default": p.listen("ssl default_server", "quic reuseport default_server"),
		"offer_http3": p.offerHTTP3(""),
		"server_name": p.ServerName, "cert": quoted(p.Cert), "key": quoted(p.Key),
		"host": host, "sni": sni, "ca": quoted(first.TLS.CA), "protocols": protocols,
		"error_pages": p.errorPages(), "proxy_headers": p.proxyHeaders(),
		"client_cert": textIf(first.TLS.Cert != "", lines("proxy_ssl_certificate "+quoted(first.TLS.Cert)+";",
			"proxy_ssl_certificate_key "+quoted(first.TLS.Key)+";")),
	}
}

func lines(all ...string) string { return strings.Join(all, "\n") + "\n" }

// textIf returns text if cond is true, else "".
func textIf(cond bool, text string) string {
	if cond {
		return text
	}
	return ""
}

func (p *plan) temp() string {
	if p.Temp == "" {
		return ""
	}
	out := lines("", "# Folders that nginx requires. No part of a request or an answer is written there.")
	for _, of := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		out += lines(of + "_temp_path " + quoted(p.Temp+"/"+of) + ";")
	}
	return out
}

func (p *plan) permissions() (out string) {
	for _, role := range p.Roles {
		for _, permission := range role.Permissions {
			method := p.Routes[find(p.Routes, permission)].Method
			out += lines(fmt.Sprintf(`"%s:%s:%s" 1;`, role.Name, method, permission))
		}
	}
	return out
}

func (p *plan) listen(tcp, udp string) (out string) {
	for _, at := range p.Listen {
		out += lines("listen " + at + " " + tcp + ";")
	}
	if !p.HTTP3 {
		return out
	}
	out += lines("# HTTP/3 needs nginx 1.25 or later with http_v3_module, and a firewall that allows UDP.")
	for _, at := range p.Listen {
		out += lines("listen " + at + " " + udp + ";")
	}
	return out + lines("http3 on;")
}

// offerHTTP3 announces HTTP/3 to callers over TCP. Each block with a header of its own must repeat it.
func (p *plan) offerHTTP3(margin string) string {
	return textIf(p.HTTP3, lines(margin+`add_header Alt-Svc 'h3=":$server_port"; ma=86400' always;`))
}

// routes returns a location for each allowed path. If the target has a variable, nginx drops the caller's query, so it
// is added.
func (p *plan) routes() (out string) {
	for _, r := range p.Routes {
		target := "https://" + p.Nodes[0].Block + p.Nodes[0].Base + "/" + r.Path
		if p.several() {
			target = "https://$ferry_upstream$ferry_base/" + r.Path + "$is_args$args"
		}
		out += lines("location = "+p.Prefix+r.Path+" {",
			"    set $ferry_permission "+r.Permission+";", "    proxy_pass "+target+";", "}")
	}
	return out
}

// upstreams returns an upstream block for each node. An nginx block has only one name, Host and key, so each node has
// its own block.
func (p *plan) upstreams() (out string) {
	for _, u := range p.Nodes {
		out += lines("# node "+u.Name, "upstream "+u.Block+" {", "    server "+u.Server+";",
			"    keepalive "+strconv.Itoa(p.Keepalive)+";", "    keepalive_timeout 30s;", "}")
	}
	return out
}

// choose distributes callers over several nodes, by session token, or at random without one.
func (p *plan) choose() string {
	if !p.several() {
		return ""
	}
	out := lines("",
		"# A session stays on one node, so that the API finds its prompt cache. Requests without a session are distributed.",
		"map $http_x_ferry_session $ferry_session {", "    default $http_x_ferry_session;", `    "" $request_id;`, "}",
		`split_clients "$ferry_session" $ferry_upstream {`)
	share := 10000 / len(p.Nodes)
	for _, u := range p.Nodes[1:] {
		out += lines(fmt.Sprintf("    %d.%02d%% %s;", share/100, share%100, u.Block))
	}
	out += lines("    * "+p.Nodes[0].Block+";", "}")
	perNode := func(variable string, value func(i int, u upstream) string) {
		out += lines("map $ferry_upstream " + variable + " {")
		for i, u := range p.Nodes {
			out += lines("    " + u.Block + " " + value(i, u) + ";")
		}
		out += lines("}")
	}
	perNode("$ferry_host", func(_ int, u upstream) string { return u.Host })
	perNode("$ferry_sni", func(_ int, u upstream) string { return u.SNI })
	perNode("$ferry_base", func(_ int, u upstream) string { return `"` + u.Base + `"` })
	for _, h := range p.headers() {
		perNode(h.Value, func(i int, u upstream) string {
			j := findHeader(u.Headers, h.Name)
			if j < 0 {
				return cmp.Or(passedHeader(h.Name), `""`)
			}
			return secretName(i, j)
		})
	}
	return out
}

// errorPages sends all of nginx's own errors to one location, which keeps their status. The bodies are in mainText.
func (p *plan) errorPages() string {
	return `error_page 400 401 403 404 405 408 413 414 421 429 500 501 502 503 504 505 /_ferry/failure;
error_page 494 495 496 497 =400 /_ferry/failure;
location = /_ferry/failure {
    internal;
    auth_request off;
    add_header X-Ferry-Gateway 1 always;
` + p.offerHTTP3("    ") + `    add_header Retry-After $ferry_retry_after always;
    return 200 '{"type":"error","error":$ferry_failure,"request_id":"$request_id"}';
}
`
}

// keys returns the file with the headers of each node.
func (p *plan) keys() []byte {
	var out bytes.Buffer
	out.WriteString(Mark + "# The keys of the nodes. They are in geo blocks, because nginx expands $ everywhere else.\n")
	for i, u := range p.Nodes {
		for j, h := range u.Headers {
			fmt.Fprintf(&out, "geo %s { default %s; }\n", secretName(i, j), quoted(h.Value))
		}
	}
	return out.Bytes()
}

func secretName(node, header int) string { return fmt.Sprintf("$ferry_secret_%d_%d", node+1, header+1) }

// several reports whether there are several nodes, so that a node must be chosen for each request.
func (p *plan) several() bool { return len(p.Nodes) > 1 }

// slot returns the time that one request takes up in the rate, as text.
func (p *plan) slot() string {
	micros := p.window() * 1_000_000 / p.Rate.Events
	switch {
	case micros%1_000_000 == 0:
		return strconv.Itoa(micros/1_000_000) + " s"
	case micros >= 10_000:
		return strconv.Itoa(micros/1000) + " ms"
	}
	return strconv.FormatFloat(float64(micros)/1000, 'f', -1, 64) + " ms"
}

// window returns the period of the rate in seconds, and per its name.
func (p *plan) window() int { return int(p.Rate.Per / time.Second) }

func (p *plan) per() string {
	if p.Rate.Per == time.Second {
		return "second"
	}
	return "minute"
}

// retryAfter returns the minimum number of whole seconds after which another request is accepted.
func (p *plan) retryAfter() int {
	return max(1, (p.window()+p.Rate.Events-1)/p.Rate.Events)
}

// passedHeaders are sent to a node unless it has its own header of the name.
var passedHeaders = []Header{
	{"User-Agent", "ferry-gateway"}, // instead of the caller's
	{"Content-Type", "$content_type"},
	{"Accept", "$http_accept"},
	{"Anthropic-Version", "$http_anthropic_version"},
	{"Anthropic-Beta", "$http_anthropic_beta"},
}

// passedHeader returns the value of a header in passedHeaders, or "".
func passedHeader(name string) string {
	if i := findHeader(passedHeaders, name); i >= 0 {
		return passedHeaders[i].Value
	}
	return ""
}

// proxyHeaders returns the headers that are sent to a node: the caller's headers that the API uses, and the gateway's
// own headers, which take precedence.
func (p *plan) proxyHeaders() (out string) {
	own := p.headers()
	passed := slices.DeleteFunc(slices.Clone(passedHeaders), func(h Header) bool { return findHeader(own, h.Name) >= 0 }) // nginx would send both
	for _, h := range append(passed, own...) {
		out += lines("proxy_set_header " + h.Name + " " + h.Value + ";")
	}
	return out
}

// findHeader returns the index of the header with a name, or -1.
func findHeader(list []Header, name string) int {
	return slices.IndexFunc(list, func(h Header) bool { return strings.EqualFold(h.Name, name) })
}

// headers returns the names of the headers that the gateway adds, each with the variable that holds its value.
func (p *plan) headers() []Header {
	var list []Header
	for i, u := range p.Nodes {
		for j, h := range u.Headers {
			if findHeader(list, h.Name) >= 0 {
				continue
			}
			value := secretName(i, j)
			if p.several() {
				value = "$ferry_header_" + strconv.Itoa(len(list)+1)
			}
			list = append(list, Header{h.Name, value})
		}
	}
	return list
}

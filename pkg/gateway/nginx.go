package gateway

import (
	"bytes"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"text/template"
)

// mainText is nginx.conf but for the values of a plan.
//
//go:embed nginx.conf.tmpl
var mainText string

// Mark is the first line of each file that a gateway consists of. Only files that begin with it are replaced.
const Mark = "# Written by ferry config for nginx. Change the section gateway: of ferry's configuration, not this file.\n"

// main is the whole configuration but for the keys.
func (p *plan) main() []byte {
	var out bytes.Buffer
	t := template.Must(template.New(MainFile).Funcs(template.FuncMap{"quoted": quoted}).Parse(mainText))
	if err := t.Execute(&out, p); err != nil {
		panic(err) // the template names something that a plan does not have
	}
	return out.Bytes()
}

// keys are the headers of each node.
func (p *plan) keys() []byte {
	var out bytes.Buffer
	out.WriteString(Mark + "# The keys of the nodes. A block of the kind geo, since nginx expands a dollar everywhere else.\n")
	for i, u := range p.Nodes {
		for j, h := range u.Headers {
			fmt.Fprintf(&out, "geo %s { default %s; }\n", secretName(i, j), quoted(h.Value))
		}
	}
	return out.Bytes()
}

func secretName(node, header int) string { return fmt.Sprintf("$ferry_secret_%d_%d", node+1, header+1) }

// Mark is for the template.
func (p *plan) Mark() string { return Mark }

// KeysFile is for the template.
func (p *plan) KeysFile() string { return KeysFile }

// TempFolders are those that nginx insists on.
func (p *plan) TempFolders() []string {
	return []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"}
}

// Several reports whether there are several nodes, so that each request has to choose one.
func (p *plan) Several() bool { return len(p.Nodes) > 1 }

// Slot is how long one request takes of the rate, in words.
func (p *plan) Slot() string {
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

// RetryAfter is the least whole number of seconds after which another request passes.
func (p *plan) RetryAfter() int {
	return max(1, (p.window()+p.Rate.Requests-1)/p.Rate.Requests)
}

// Share is the part of the requests that each node but the first gets, in percent.
func (p *plan) Share() string {
	share := 10000 / len(p.Nodes)
	return fmt.Sprintf("%d.%02d", share/100, share%100)
}

// failure is a status that nginx makes itself, in the API's words.
type failure struct {
	Status        int
	Type, Message string
}

// Failures are all of them.
func (p *plan) Failures() []failure {
	return []failure{
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

// Sent are the headers that are sent to a node: the caller's headers that mean something to the API, and the gateway's own,
// which win.
func (p *plan) Sent() []Header {
	own := p.headers()
	passed := slices.DeleteFunc([]Header{
		{"User-Agent", "ferry-gateway"}, // in place of the caller's
		{"Content-Type", "$content_type"},
		{"Accept", "$http_accept"},
		{"Anthropic-Version", "$http_anthropic_version"},
		{"Anthropic-Beta", "$http_anthropic_beta"},
	}, func(h Header) bool { return hasHeader(own, h.Name) }) // nginx would send both
	return append(passed, own...)
}

func hasHeader(list []Header, name string) bool {
	return slices.ContainsFunc(list, func(h Header) bool { return strings.EqualFold(h.Name, name) })
}

// headers are what the gateway adds, by name, with the variable that holds the value.
func (p *plan) headers() []Header {
	var list []Header
	for i, u := range p.Nodes {
		for j, h := range u.Headers {
			if hasHeader(list, h.Name) {
				continue
			}
			value := secretName(i, j)
			if p.Several() {
				value = "$ferry_header_" + itoa(len(list)+1)
			}
			list = append(list, Header{h.Name, value})
		}
	}
	return list
}

// perNode is a variable of nginx that has a value for each node.
type perNode struct {
	Variable string
	Values   []string
}

// PerNode are the variables that depend on the node that was chosen.
func (p *plan) PerNode() []perNode {
	host, sni, base := perNode{Variable: "$ferry_host"}, perNode{Variable: "$ferry_sni"}, perNode{Variable: "$ferry_base"}
	for _, u := range p.Nodes {
		host.Values, sni.Values = append(host.Values, u.Host), append(sni.Values, u.SNI)
		base.Values = append(base.Values, `"`+u.Base+`"`)
	}
	all := []perNode{host, sni, base}
	for _, h := range p.headers() {
		header := perNode{Variable: h.Value}
		for i, u := range p.Nodes {
			value := `""`
			if j := slices.IndexFunc(u.Headers, func(own Header) bool { return strings.EqualFold(own.Name, h.Name) }); j >= 0 {
				value = secretName(i, j)
			}
			header.Values = append(header.Values, value)
		}
		all = append(all, header)
	}
	return all
}

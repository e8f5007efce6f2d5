package cmd

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"ferry/pkg/client"
	"ferry/pkg/guard"
	"ferry/pkg/text"
)

// dryRun prints the request that would be sent and a curl line that sends it. No key is looked up for it: the line
// names where the key comes from.
func (a *app) dryRun(ctx context.Context, order *nodeOrder, filter *client.Filter, call *client.Call) error {
	if err := filter.CheckRequest(call.Request); err != nil {
		return err
	}
	e, err := order.first(ctx)
	if err != nil {
		return err
	}
	if err := e.options.Refused(); err != nil {
		return &client.Error{Class: client.PlainHTTP, Node: e.Name, Err: err, Unsent: true}
	}
	if e.demo != nil {
		e.URL.Host = demoAddress // where curl finds it once it is started
	}
	p, err := e.Prepare(call.To(&e.Endpoint))
	if err != nil {
		return &client.Error{Class: client.Usage, Node: e.Name, Err: err}
	}
	var b strings.Builder
	p.Body = text.SafeJSON(p.Body) // the same JSON, and nothing that a terminal obeys
	fmt.Fprintf(&b, "%s %s\n", p.Method, text.Line(p.URL.String()))
	for _, f := range p.Header {
		fmt.Fprintf(&b, "%s: %s\n", text.Line(f.Name), text.Line(f.Public()))
	}
	fmt.Fprintf(&b, "\n%s\n\n%s%s\n", p.Body, order.comment(), e.curl(p, call.Timeout))
	return a.write(a.masker.Bytes([]byte(b.String())))
}

// mostArgument is the most bytes of an argument. Linux takes 128 KiB of one.
const mostArgument = 100 << 10

// curl is the command line that sends the same request.
func (e *endpoint) curl(p *client.Prepared, timeout time.Duration) string {
	var b strings.Builder
	if e.demo != nil {
		b.WriteString("# this node lives inside ferry; `ferry demo` starts one that curl can reach\n")
	}
	if e.options.Target.Scheme == "http" && !guard.IsLoopback(e.options.Target.Hostname()) && !e.options.Insecure {
		b.WriteString("# plain http: ferry sends this to a private address only, and curl to any\n")
	}
	body := "--data-raw " + shellWord(string(p.Body))
	if len(p.Body) > mostArgument {
		// printf is part of every shell, and has no bound on an argument.
		b.WriteString("printf %s " + shellWord(string(p.Body)) + " | ")
		body = "--data-binary @-"
	}
	b.WriteString("curl -sS -X " + p.Method)
	if strings.ContainsAny(p.URL.String(), "[]{}") {
		b.WriteString(" --globoff") // which curl would take for several addresses
	}
	for _, option := range e.curlOptions(timeout) {
		b.WriteString(" " + option)
	}
	for _, f := range p.Header {
		b.WriteString(" \\\n  -H " + e.curlHeader(f))
	}
	b.WriteString(" \\\n  " + body)
	b.WriteString(" \\\n  " + shellWord(p.URL.String()))
	return b.String()
}

func (e *endpoint) curlOptions(timeout time.Duration) []string {
	options := []string{
		fmt.Sprintf("--connect-timeout %g", e.options.ConnectTimeout.Seconds()),
		fmt.Sprintf("--max-time %g", timeout.Seconds()),
	}
	if e.options.Target.Scheme == "https" {
		tls := e.options.TLS
		floor := tls.Min
		if floor == "" {
			floor = "1.3"
		}
		options = append(options, "--tlsv"+floor)
		if tls.CA != "" {
			options = append(options, "--cacert "+shellWord(tls.CA))
		}
		if tls.Cert != "" {
			options = append(options, "--cert "+shellWord(tls.Cert), "--key "+shellWord(tls.Key))
		}
	}
	if pins := e.options.Pins; len(pins) > 0 {
		// curl looks at the server's own key alone: what passes there passes here too.
		options = append(options, "--pinnedpubkey "+shellWord(guard.JoinPins(pins, ";")))
	}
	switch proxy := e.options.Proxy; {
	case proxy != nil:
		options = append(options, "--proxy "+shellWord(withoutPassword(proxy)))
	case e.options.ProxyFrom != "" && e.options.ProxyFrom != "NO_PROXY": // curl makes no exception for loopback
		options = append(options, "--noproxy '*'")
	}
	return options
}

func withoutPassword(u *url.URL) string {
	if u.User == nil {
		return u.String()
	}
	shown := *u
	shown.User = url.UserPassword(u.User.Username(), "PASSWORD")
	return shown.String()
}

// curlHeader quotes a header. A secret is named in double quotes, where the shell puts it in.
func (e *endpoint) curlHeader(f client.Field) string {
	if f.Secret.IsZero() {
		return shellWord(f.Name + ": " + f.Value)
	}
	public, secret := f.Name+": "+f.Value, e.shellSecret(f.Secret.Source())
	if strings.ContainsAny(public, "\"$`\\!") {
		return shellWord(public) + `"` + secret + `"`
	}
	return `"` + public + secret + `"`
}

// shellSecret is how a shell gets at the secret of a reference.
func (e *endpoint) shellSecret(reference string) string {
	kind, rest, _ := strings.Cut(reference, ":")
	switch kind {
	case "env":
		return "$" + rest
	case "cmd":
		return "$(" + rest + ")"
	case "file":
		if home, ok := strings.CutPrefix(rest, "~/"); ok {
			return `$(cat "$HOME"/` + shellWord(home) + ")"
		}
		if !filepath.IsAbs(rest) {
			rest = filepath.Join(e.dir, rest)
		}
		return "$(cat " + shellWord(rest) + ")"
	}
	return "$FERRY_KEY"
}

// comment names the nodes behind the first, for a dry run; "" for none.
func (order *nodeOrder) comment() string {
	if len(order.nodes) < 2 {
		return ""
	}
	var names []string
	first, stop := order.nodes[0], ""
	for _, node := range order.nodes[1:] {
		if node.Zone != first.Zone && !order.Across {
			stop = fmt.Sprintf("; not %s, which is in another zone (--across)", node.Name)
			break
		}
		names = append(names, node.Name)
	}
	if len(names) == 0 {
		names = []string{"no other"}
	}
	return fmt.Sprintf("# where %s gives up: %s%s\n", first.Name, strings.Join(names, ", then "), stop)
}

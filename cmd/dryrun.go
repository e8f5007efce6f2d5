package cmd

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"ferry/pkg/client"
	"ferry/pkg/guard"
)

// dryRun prints the request that would be sent and a curl line that sends it. No key is looked up for it: the line
// names where the key comes from.
func (a *app) dryRun(c *crossing) error {
	if c.inProcess {
		c.node.URL.Host = demoAddress // where curl finds it once it is started
	}
	p, err := c.node.Prepare(c.request)
	if err != nil {
		return &client.Error{Class: client.Usage, Node: c.node.Name, Err: err}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", p.Method, p.URL)
	for _, f := range p.Header {
		fmt.Fprintf(&b, "%s: %s\n", f.Name, f.Public())
	}
	fmt.Fprintf(&b, "\n%s\n\n%s%s\n", p.Body, c.order.comment(), c.curl(p))
	return a.write(a.masker.Bytes([]byte(b.String())))
}

// curl is the command line that sends the same request.
func (c *crossing) curl(p *client.Prepared) string {
	var b strings.Builder
	if c.inProcess {
		b.WriteString("# this node lives inside ferry; `ferry demo` starts one that curl can reach\n")
	}
	b.WriteString("curl -sS -X " + p.Method)
	for _, option := range c.curlOptions() {
		b.WriteString(" " + option)
	}
	for _, f := range p.Header {
		b.WriteString(" \\\n  -H " + c.curlHeader(f))
	}
	b.WriteString(" \\\n  --data-raw " + shellWord(string(p.Body)))
	b.WriteString(" \\\n  " + shellWord(p.URL.String()))
	return b.String()
}

func (c *crossing) curlOptions() []string {
	options := []string{
		fmt.Sprintf("--connect-timeout %g", c.options.ConnectTimeout.Seconds()),
		fmt.Sprintf("--max-time %g", c.client.Timeout.Seconds()),
	}
	if c.options.Target.Scheme == "https" {
		tls := c.options.TLS
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
	if pins := c.options.Pins; len(pins) > 0 {
		// curl looks at the server's own key alone: what passes there passes here too.
		options = append(options, "--pinnedpubkey "+shellWord(guard.JoinPins(pins, ";")))
	}
	switch proxy := c.options.Proxy; {
	case proxy != nil:
		options = append(options, "--proxy "+shellWord(withoutPassword(proxy)))
	case c.options.ProxyFrom != "" && c.options.ProxyFrom != "NO_PROXY": // curl makes no exception for loopback
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
func (c *crossing) curlHeader(f client.Field) string {
	if f.Secret.IsZero() {
		return shellWord(f.Name + ": " + f.Value)
	}
	return `"` + f.Name + ": " + f.Value + c.shellSecret(f.Secret.Source()) + `"`
}

// shellSecret is how a shell gets at the secret of a reference.
func (c *crossing) shellSecret(reference string) string {
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
			rest = filepath.Join(c.dir, rest)
		}
		return "$(cat " + shellWord(rest) + ")"
	}
	return "$FERRY_KEY"
}

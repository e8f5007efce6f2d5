package client

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"ferry/pkg/guard"
	"ferry/pkg/text"
	"ferry/pkg/transport"
	"ferry/pkg/wire"
)

// maxArgument is the maximum length of an argument in bytes. The limit of Linux is 128 KiB.
const maxArgument = 100 << 10

// Curl returns the curl command that sends the same request with the same transport options. dir is the folder for
// relative paths of secrets. The shell reads the secrets of header fields. PASSWORD stands for the password of a proxy.
func (p *Prepared) Curl(options transport.Options, timeout time.Duration, dir string) string {
	before := ""
	if options.Target.Scheme == "http" && !guard.IsLoopback(options.Target.Hostname()) && !options.Insecure {
		before = "# plain http: ferry sends this only to a private address, curl to any address\n"
	}
	body := "--data-binary @-"
	if len(p.Body) == 1 && len(p.Body[0].JSON) <= maxArgument {
		body = "--data-raw " + text.ShellWord(string(p.Body[0].JSON))
	} else {
		before += shellBody(p.Body) + " | "
	}
	words := []string{"curl", "-sS", "-X", p.Method}
	if strings.ContainsAny(p.URL.String(), "[]{}") {
		words = append(words, "--globoff") // without this, curl expands them to several URLs
	}
	lines := []string{before + text.ShellWords(append(words, curlOptions(options, timeout)...))}
	for _, f := range p.Header {
		lines = append(lines, "-H "+curlHeader(f, dir))
	}
	lines = append(lines, body, text.ShellWord(p.URL.String()))
	return strings.Join(lines, " \\\n  ")
}

// shellBody returns the shell command that writes a body. It uses printf, which is a shell builtin and so has no limit
// on the length of an argument.
func shellBody(body wire.Body) string {
	var commands []string
	for _, part := range body {
		commands = append(commands, "printf %s "+text.ShellWord(string(part.JSON)))
		switch f := part.File; {
		case f == nil:
		case f.Again:
			commands = append(commands, "base64 < "+text.ShellWord(f.Name)+" | tr -d '\\n'")
		default:
			commands = append(commands, "printf %s "+base64.StdEncoding.EncodeToString(f.Data))
		}
	}
	if len(commands) == 1 {
		return commands[0]
	}
	return "{ " + strings.Join(commands, "; ") + "; }"
}

func curlOptions(options transport.Options, timeout time.Duration) []string {
	seconds := func(d time.Duration) string { return fmt.Sprintf("%g", d.Seconds()) }
	args := []string{"--connect-timeout", seconds(options.ConnectTimeout), "--max-time", seconds(timeout)}
	if len(options.Resolve) > 0 && options.Proxy == nil {
		var addresses []string
		for _, address := range options.Resolve {
			shown := address.String()
			if address.Is6() {
				shown = "[" + shown + "]"
			}
			addresses = append(addresses, shown)
		}
		args = append(args, "--resolve", transport.HostPort(options.Target)+":"+strings.Join(addresses, ","))
	}
	if options.Target.Scheme == "https" {
		tls := options.TLS
		args = append(args, "--tlsv"+cmp.Or(tls.Min, "1.3"))
		switch {
		case options.HTTP3 == transport.OnlyHTTP3:
			args = append(args, "--http3-only")
		case options.HTTP3 == transport.TryHTTP3 && options.Proxy == nil:
			args = append(args, "--http3")
		}
		if tls.Groups != "" {
			names := strings.NewReplacer(",", ":", "p256", "P-256", "p384", "P-384") // OpenSSL's names
			args = append(args, "--curves", names.Replace(tls.Groups))
		}
		if tls.CA != "" {
			args = append(args, "--cacert", tls.CA)
		}
		if tls.Cert != "" {
			args = append(args, "--cert", tls.Cert, "--key", tls.Key)
		}
	}
	if pins := options.Pins; len(pins) > 0 {
		// curl checks only the server's own key, so it is at least as strict as ferry.
		args = append(args, "--pinnedpubkey", guard.JoinPins(pins, ";"))
	}
	switch proxy := options.Proxy; {
	case proxy != nil:
		shown := *proxy
		if proxy.User != nil {
			shown.User = url.User("USER") // a user name alone can be a token
			if password, _ := proxy.User.Password(); password != "" {
				shown.User = url.UserPassword(proxy.User.Username(), "PASSWORD")
			}
		}
		args = append(args, "--proxy", shown.String())
	case options.ProxyFrom != "" && options.ProxyFrom != "NO_PROXY": // curl does not exclude loopback addresses by itself
		args = append(args, "--noproxy", "*")
	}
	return args
}

// curlHeader quotes a header. The shell inserts a secret, within double quotes.
func curlHeader(f Field, dir string) string {
	if f.Secret.IsZero() {
		return text.ShellWord(f.Name + ": " + f.Value)
	}
	public, secret := f.Name+": "+f.Value, shellSecret(f.Secret.Source(), dir)
	if strings.ContainsAny(public, "\"$`\\!") {
		return text.ShellWord(public) + `"` + secret + `"`
	}
	return `"` + public + secret + `"`
}

// shellSecret returns the shell expression for the secret of a reference.
func shellSecret(reference, dir string) string {
	kind, rest, _ := strings.Cut(reference, ":")
	switch kind {
	case "env":
		return "$" + rest
	case "cmd":
		return "$(" + rest + ")"
	case "file":
		if home, ok := strings.CutPrefix(rest, "~/"); ok {
			return `$(cat "$HOME"/` + text.ShellWord(home) + ")"
		}
		if !filepath.IsAbs(rest) {
			rest = filepath.Join(dir, rest)
		}
		return "$(cat " + text.ShellWord(rest) + ")"
	}
	return "$FERRY_KEY"
}

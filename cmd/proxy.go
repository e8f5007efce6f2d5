package cmd

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"ferry/pkg/config"
	"ferry/pkg/transport"
)

// proxy returns the proxy of a node and where it was set: for the node, for all nodes, or else in the environment. via
// is nil for a direct connection; from then names the setting that decided this, "" if there is none.
func (s *settings) proxy(node config.Node, target *url.URL) (via *url.URL, from string, err error) {
	chosen, from := s.values.ProxyFor(node)
	switch chosen {
	case "none":
	case "":
		via, from, err = s.proxyEnv().ProxyFor(target)
	default:
		via, err = transport.ParseProxy(chosen)
	}
	if err != nil {
		return nil, from, fmt.Errorf("%s: %w", from, err)
	}
	if via != nil && via.User != nil {
		if password, ok := via.User.Password(); ok {
			s.masker.Add(password)
		}
	}
	return via, from, nil
}

// proxyEnv reads the variables as curl does: the lower-case name first. It ignores HTTP_PROXY in capitals if a web
// server runs ferry, because a client's Proxy header could have set it.
func (e Env) proxyEnv() transport.ProxyEnv {
	either := func(name string) string { return cmp.Or(e.Lookup.Get(strings.ToLower(name)), e.Lookup.Get(name)) }
	env := transport.ProxyEnv{
		HTTP: e.Lookup.Get("http_proxy"), HTTPS: either("HTTPS_PROXY"), All: either("ALL_PROXY"), No: either("NO_PROXY"),
	}
	if e.Lookup.Get("REQUEST_METHOD") == "" {
		env.HTTP = either("HTTP_PROXY")
	}
	return env
}

// showProxy prints for -v which proxy is used, if a setting decided it.
func (a *app) showProxy(e *endpoint) {
	if e.options.ProxyFrom == "" {
		return
	}
	shown := "no proxy"
	if via := e.options.Proxy; via != nil {
		shown = "proxy " + transport.ShowProxy(via)
		if via.User != nil {
			shown += " with a user and password"
		}
	}
	a.writeErrLine("* " + shown + " (" + e.options.ProxyFrom + ")")
}

// list returns every effective setting. For direct, the nodes of the file and the nodes in use it includes the
// effective proxy, even if it comes from the environment.
func (s *settings) list() []config.Entry {
	entries := config.List(s.values)
	for _, name := range slices.Concat([]string{"direct"}, s.file.Nodes, s.values.Nodes) {
		node, err := s.values.Select(name, s.api)
		if err != nil || node.IsDemo() {
			continue // the command that uses an unknown node reports it
		}
		entry := s.proxyEntry(node)
		if entry.Origin == "" {
			continue
		}
		prefix, last := "nodes."+node.Name+".", len(entries)-1
		at := slices.IndexFunc(entries, func(e config.Entry) bool { return e.Key == entry.Key })
		if at >= 0 {
			entries[at] = entry
			continue
		}
		for i, e := range entries {
			if strings.HasPrefix(e.Key, prefix) {
				last = i
			}
		}
		entries = slices.Insert(entries, last+1, entry)
	}
	return entries
}

// proxyEntry returns the proxy of a node as a setting. Its origin is "" if nothing sets one.
func (s *settings) proxyEntry(node config.Node) config.Entry {
	target, err := url.Parse(node.URL)
	if err != nil {
		return config.Entry{}
	}
	via, from, err := s.proxy(node, target)
	entry := config.Entry{Key: "nodes." + node.Name + ".proxy", Value: "none", Origin: from}
	switch {
	case err != nil:
		entry.Value = "unusable"
	case via != nil:
		entry.Value = config.ShowProxy(via.String())
	}
	return entry
}

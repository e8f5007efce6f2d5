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

// proxy chooses the proxy and says where it was named: what was said for the node or for all, else the environment's.
// It is nil for a direct connection, and from then says what decided so; "" where nothing names a proxy.
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

// proxyEnv reads the variables as curl does: the lower-case name first, and HTTP_PROXY in capitals not where a web
// server runs ferry and a client's Proxy header could have set it.
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

// showProxy says for -v which proxy is in force, where one was named.
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
	a.say("* " + shown + " (" + e.options.ProxyFrom + ")")
}

// list is every setting in force. Of each node of the file, of direct and of the nodes in use it has the proxy that is in
// force, the environment's too.
func (s *settings) list() []config.Entry {
	entries := config.List(s.values, s.file)
	for _, name := range slices.Concat([]string{"direct"}, s.file.Nodes, s.values.Nodes) {
		node, err := s.selectNode(name)
		if err != nil || node.IsDemo() {
			continue // of an unknown node the command that asks it says so
		}
		entry, known := s.proxyEntry(node)
		if !known {
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

func (s *settings) proxyEntry(node config.Node) (entry config.Entry, known bool) {
	target, err := url.Parse(node.URL)
	if err != nil {
		return config.Entry{}, false
	}
	via, from, err := s.proxy(node, target)
	entry = config.Entry{Key: "nodes." + node.Name + ".proxy", Value: "none", Origin: from}
	switch {
	case err != nil:
		entry.Value = "unusable"
	case via != nil:
		entry.Value = config.ShowProxy(via.String())
	}
	return entry, from != ""
}

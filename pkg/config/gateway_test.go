package config

import (
	"errors"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

// section returns a gateway: section with more keys.
func section(more string) string {
	return "gateway:\n  server_name: ai.example.com\n" + more
}

func TestGatewayErrors(t *testing.T) {
	holdParseErrors(t, []parseError{
		{"not a map", "gateway: yes\n", "c.yaml:1:10: gateway: use keys and values"},
		{"unknown key", section("  upstreem: hk\n"), "c.yaml:3:3: gateway.upstreem: unknown key; did you mean upstream?"},
		{"twice", section("  server_name: b\n"), "c.yaml:3:3: gateway.server_name: is given twice; first on line 2"},
		{"list for one", section("  cert: [a, b]\n"), "c.yaml:3:9: gateway.cert: use a single value"},
		{"nothing", section("  cert:\n"), "c.yaml:3:8: gateway.cert: has no value"},
		{"empty list", section("  listen: []\n"), "c.yaml:3:11: gateway.listen: has no value"},
		{"quoted number", section("  burst: \"4\"\n"), "c.yaml:3:10: gateway.burst: use a whole number, without quotes"},
		{"negative burst", section("  burst: -1\n"), "c.yaml:3:10: gateway.burst: use a whole number from 0 to 1000000"},
		{"no connections", section("  connections: 0\n"), "c.yaml:3:16: gateway.connections: use a whole number from 1 to 65535"},
		{"no keepalive", section("  keepalive: 0\n"), "c.yaml:3:14: gateway.keepalive: use a whole number from 1 to 10000"},
		{"rate by the hour", section("  rate: 50/h\n"), "c.yaml:3:9: gateway.rate: use a number of requests per second or minute, such as 50/min"},
		{"rate of none", section("  rate: 0/min\n"), "c.yaml:3:9: gateway.rate: use a number of requests per second or minute, such as 50/min"},
		{"port", section("  listen: [443, 70000]\n"), `c.yaml:3:17: gateway.listen: use a port or an address with a port, such as 443 or "[::]:443"`},
		{"port with words", section("  listen: 443 ssl\n"), `c.yaml:3:11: gateway.listen: use a port or an address with a port, such as 443 or "[::]:443"`},
		{"same port", section("  listen: [443, 443]\n"), "c.yaml:3:17: gateway.listen: names the same twice"},
		{"demo upstream", section("  upstream: demo\n"), "c.yaml:3:13: gateway.upstream: use the names of nodes in this file"},
		{"upstream twice", section("  upstream: [a, b, a]\n"), "c.yaml:3:20: gateway.upstream: names the same twice"},
		{"role's name", section("  roles: {Dev: [models]}\n"), "c.yaml:3:11: gateway.roles.Dev: use a name of small letters, digits, - and _"},
		{"permission", section("  roles:\n    dev: [models, mesages]\n"), "c.yaml:4:19: gateway.roles.dev: unknown permission; did you mean messages?"},
		{"no permission", section("  roles:\n    dev: []\n"), "c.yaml:4:10: gateway.roles.dev: has no value"},
	})
}

// No value may contain anything that nginx would treat as the end of the value or as a variable.
func TestGatewayTakesNoSyntax(t *testing.T) {
	hostile := []string{
		`a"; return 200 "b`, "a; b", "a}b", "a{b", "$host", "a$b", `a\`, `a"`, "a'", "a#b", "/a/;/", "/a b/", "/$uri/", "/a\nb/", "/../", "/a//b/",
		"/a/%2e/", "ai.example.com default_server", "ai.example.com;", "*", "*.example.com", "~^.*$", "_", "", "unix:/tmp/x:", "443;", "443 ssl", "127.0.0.1:443;",
		"::1:443", "[fe80::1%lo]:443", "/tmp/a*", "/tmp/[a]", "/tmp/a?",
	}
	for _, key := range []string{"server_name", "prefix", "listen", "cert", "key", "tokens", "logs", "temp", "rate", "upstream"} {
		f, _ := find([]string{"gateway", key})
		for _, value := range hostile {
			src := "gateway:\n  " + key + ": " + strconv.Quote(value) + "\n"
			_, err := Parse("c.yaml", []byte(src))
			if err == nil {
				// A space in a path does not end it, because paths are quoted.
				if strings.ContainsAny(filepath.ToSlash(value), "\"'\\$;{}#*?[]\n") || strings.Contains(value, " ") && f.check("/a b") != nil {
					t.Errorf("%s: %q was taken", key, value)
				}
				continue
			}
			var e *Error
			if !errors.As(err, &e) || e.Line != 2 || e.Column != len(key)+5 || e.Key != "gateway."+key {
				t.Errorf("%s: %q: %v", key, value, err)
			}
			if f.checkText(value) == nil {
				t.Errorf("%s: %q is refused in the file, and taken by Set", key, value)
			}
		}
	}
}

func TestGatewayValues(t *testing.T) {
	file := mustParse(t, `gateway:
  server_name: ai.example.com
  cert: tls/cert.pem
  key: ~/key.pem
  listen: [443, "[::]:443"]
  upstream: [hk, sg]
  roles:
    dev: [messages, models]
    ci: models
`)
	g := must(file.Gateway(vars("HOME", "/home/u")))(t)
	want := Gateway{
		ServerName: "ai.example.com", Cert: "/etc/x/tls/cert.pem", Key: "/home/u/key.pem", Tokens: "/etc/x/gateway-tokens.conf",
		Listen: []string{"443", "[::]:443"}, Prefix: "/api/", Upstream: []string{"hk", "sg"}, Keepalive: 16,
		Rate: Rate{50, time.Minute, 1}, Burst: 49, Connections: 64, Logs: "/var/log/nginx",
		Roles: []Role{{"dev", []string{"messages", "models"}}, {"ci", []string{"models"}}},
	}
	got := *g
	got.file = nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for key, want := range map[string]string{
		"upstream/sg": "/etc/x/config.yaml:6:18: gateway.upstream: is bad", "cert": "/etc/x/config.yaml:3:9: gateway.cert: is bad",
		"rate": "/etc/x/config.yaml:1:1: gateway.rate: is bad", "roles.dev/models": "/etc/x/config.yaml:8:21: gateway.roles.dev: is bad",
	} {
		if got := g.Fault(key, "is bad", "").Error(); got != want {
			t.Errorf("%s: got %s, want %s", key, got, want)
		}
	}
	if g, err := mustParse(t, "timeout: 3s\n").Gateway(nil); g != nil || err != nil {
		t.Errorf("without the section: %v, %v", g, err)
	}
	if _, err := mustParse(t, section("  cert: ~/c.pem\n")).Gateway(nil); err == nil || !strings.Contains(err.Error(), "config.yaml:3:9: gateway.cert: begins with ~/") {
		t.Errorf("without HOME: %v", err)
	}
	odd := must(Parse("/etc/$x/config.yaml", []byte(section("  cert: c.pem\n"))))(t)
	if _, err := odd.Gateway(nil); err == nil || !strings.Contains(err.Error(), "which has a special meaning for nginx") {
		t.Errorf("in a folder with a dollar: %v", err)
	}
}

// Each key can be set, read back and removed one at a time.
func TestGatewaySet(t *testing.T) {
	var src []byte
	pairs := [][2]string{
		{"server_name", "ai.example.com"}, {"cert", "/c.pem"}, {"key", "/k.pem"}, {"listen", "443,[::]:443"}, {"upstream", "hk,sg"},
		{"burst", "0"}, {"rate", "5/s"}, {"roles.dev", "messages,models"}, {"roles.ci", "models"},
	}
	for _, p := range pairs {
		out, err := Set(src, "gateway."+p[0], p[1])
		if err != nil {
			t.Fatalf("%s: %v", p[0], err)
		}
		src = out
	}
	file := mustParse(t, string(src))
	v := must(Resolve(file, nil, nil))(t)
	for _, p := range pairs {
		if got, ok := Get(List(v, file), "gateway."+p[0]); !ok || got != p[1] {
			t.Errorf("%s: read back as %q, %v", p[0], got, ok)
		}
	}
	if g, err := file.Gateway(nil); err != nil || g.Burst != 0 || len(g.Listen) != 2 || len(g.Roles) != 2 {
		t.Errorf("got %+v, %v", g, err)
	}
	for _, p := range pairs {
		src = must(Unset(src, "gateway."+p[0]))(t)
	}
	if strings.TrimSpace(string(src)) != "" {
		t.Errorf("left: %q", src)
	}
}

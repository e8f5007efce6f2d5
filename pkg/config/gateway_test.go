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
		if got, ok := Get(List(v), "gateway."+p[0]); !ok || got != p[1] {
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

//go:build !windows

package cmd_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"ferry/pkg/demo"
)

// squidPassword is the one that the squid of these tests accepts, of the user "user".
const squidPassword = "squid-word-0007"

// startSquid runs a real squid on loopback that connects to the allowed ports alone, and gives its address.
func startSquid(t *testing.T, wantsPassword bool, ports ...string) *url.URL {
	t.Helper()
	squid := findProgram(t, "squid")
	// Started by root it becomes the user proxy, which has to get at its files.
	dir, err := os.MkdirTemp("", "squid")
	check(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	check(t, os.Chmod(dir, 0o777))
	helper := filepath.Join(dir, "accept.sh")
	script := "while read -r line; do if [ \"$line\" = 'user " + squidPassword + "' ]; then echo OK; else echo ERR; fi; done\n"
	port := freePort(t)
	address, service := "127.0.0.1:"+port, "ferry"+port
	rules := "http_access allow allowed\n"
	if wantsPassword {
		rules = "auth_param basic program /bin/sh " + helper + "\nauth_param basic children 1\nacl users proxy_auth REQUIRED\n" +
			"http_access deny !allowed\nhttp_access allow users\n"
	}
	config := fmt.Sprintf("http_port %s\nacl allowed port %s\n%shttp_access deny all\ncache deny all\npid_filename none\n"+
		"access_log none\ncache_log stdio:%s/cache.log\ncoredump_dir %s\nvisible_hostname localhost\nshutdown_lifetime 0 seconds\n"+
		"pinger_enable off\nnetdb_filename none\n", address, strings.Join(ports, " "), rules, dir, dir)
	for path, text := range map[string]string{helper: script, filepath.Join(dir, "squid.conf"): config} {
		check(t, os.WriteFile(path, []byte(text), 0o644))
	}
	process := exec.Command(squid, "-N", "-n", service, "-f", filepath.Join(dir, "squid.conf"))
	process.Dir = dir
	t.Cleanup(func() {
		shared, _ := filepath.Glob("/dev/shm/" + service + "-*") // what it would remove itself
		for _, path := range shared {
			os.Remove(path)
		}
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "cache.log"))
			t.Logf("squid's log: %s", log)
		}
	})
	runServer(t, process, address)
	return &url.URL{Scheme: "http", Host: address}
}

// TestSquid goes through a real squid, by CONNECT to an https node and with a whole URL to an http one: with and without
// the password that it wants, and where its rules or the node say no. Each fault names the proxy and where it was named.
func TestSquid(t *testing.T) {
	ca := newAuthority(t, "root", nil)
	node := &seenHeaders{node: demo.New(demo.Options{})}
	t.Cleanup(func() { _ = node.node.Close() })
	plain, other := httptest.NewServer(node), httptest.NewServer(node) // the other at a port that no rule allows
	t.Cleanup(plain.Close)
	t.Cleanup(other.Close)
	secure := httptest.NewUnstartedServer(node)
	secure.TLS = &tls.Config{Certificates: []tls.Certificate{ca.issue(t, nil)}}
	secure.StartTLS()
	t.Cleanup(secure.Close)
	port := func(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }
	dead := freePort(t)
	open := startSquid(t, false, port(plain.URL), port(secure.URL), dead)
	locked := startSquid(t, true, port(plain.URL), port(secure.URL))
	right, wrong := *locked, *locked
	right.User, wrong.User = url.UserPassword("user", squidPassword), url.UserPassword("user", "wrong-word-0007")

	from := "; the proxy comes from flag --proxy, and --proxy none does without one"
	asks := "it wants a user and a password, which stand before an @ in its address" + from
	refuses := "it does not accept the user and the password in its address" + from
	tests := []struct {
		name, target string
		proxy        *url.URL
		code         int
		want, hint   string
	}{
		{"CONNECT", secure.URL, open, 0, "", ""},
		{"whole URL", plain.URL, open, 0, "", ""},
		{"CONNECT with the password", secure.URL, &right, 0, "", ""},
		{"whole URL with the password", plain.URL, &right, 0, "", ""},
		{"CONNECT without", secure.URL, locked, 1, "the proxy " + locked.String() + " answered 407 Proxy Authentication Required to a connection to 127.0.0.1:" + port(secure.URL), asks},
		{"whole URL without", plain.URL, locked, 1, "the proxy " + locked.String() + " answered 407 Proxy Authentication Required to a connection to 127.0.0.1:" + port(plain.URL), asks},
		{"CONNECT with a wrong one", secure.URL, &wrong, 1, "answered 407 Proxy Authentication Required", refuses},
		{"whole URL with a wrong one", plain.URL, &wrong, 1, "answered 407 Proxy Authentication Required", refuses},
		{"CONNECT denied", strings.Replace(other.URL, "http:", "https:", 1), open, 1,
			"the proxy " + open.String() + " answered 403 Forbidden to a connection to 127.0.0.1:" + port(other.URL), "its rules do not allow this host or port" + from},
		{"whole URL denied", other.URL, open, 1, "403", "the answer may be that of the proxy, " + open.String() + "; --proxy none does without one"},
		{"CONNECT to nothing", "https://127.0.0.1:" + dead, open, 1,
			"the proxy " + open.String() + " answered 503 Service Unavailable to a connection to 127.0.0.1:" + dead, "it did not reach the node" + from},
		{"whole URL to nothing", "http://127.0.0.1:" + dead, open, 3, "503", "the answer may be that of the proxy, " + open.String()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			node.take()
			env := configure(t, tt.target, fmt.Sprintf("tls: {ca: '%s'}", ca.file))
			code, stdout, stderr := run(t, env, "ask", "-v", "-n", "n", "--proxy", tt.proxy.String(), "--no-stdin", "hello")
			if code != tt.code || !strings.Contains(stderr, tt.want) || (stdout != "") != (code == 0) ||
				tt.code != 0 && !strings.Contains(stderr, "\nhint: "+tt.hint) {
				t.Errorf("exit code %d, want %d with %q and the hint %q\n%s\n%s", code, tt.code, tt.want, tt.hint, stdout, stderr)
			}
			if !strings.Contains(stderr, "* proxy "+tt.proxy.Scheme+"://"+tt.proxy.Host) {
				t.Errorf("-v does not show the proxy:\n%s", stderr)
			}
			if strings.Contains(stderr, "word-0007") {
				t.Errorf("the password is shown:\n%s", stderr)
			}
			seen := node.take()
			if (len(seen) == 1) != (tt.code == 0) || len(seen) > 1 {
				t.Errorf("the node saw %d requests", len(seen))
			}
			for _, header := range seen {
				if byProxy := strings.Contains(header.Get("Via"), "squid"); byProxy != strings.HasPrefix(tt.target, "http:") {
					t.Errorf("a header that only squid adds: %t: %v", byProxy, header)
				}
				if header.Get("Proxy-Authorization") != "" {
					t.Error("the node saw the proxy's password")
				}
			}
		})
	}
}

// seenHeaders is a node that keeps the headers that it was sent.
type seenHeaders struct {
	node *demo.Node
	mu   sync.Mutex
	seen []http.Header
}

func (s *seenHeaders) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.seen = append(s.seen, r.Header.Clone())
	s.mu.Unlock()
	s.node.ServeHTTP(w, r)
}

// take gives what was seen since the last time.
func (s *seenHeaders) take() []http.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.seen
	s.seen = nil
	return seen
}

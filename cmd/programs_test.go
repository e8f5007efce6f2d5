//go:build !windows

package cmd_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDryRunLine runs the printed line with bash and curl: the server gets the same request as from ferry.
func TestDryRunLine(t *testing.T) {
	_, bash := findProgram(t, "curl"), findProgram(t, "bash")
	server := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	const names = "X-`id`, X-$HOME, X-'a, X-!b, X-a|b, X-~, X-Plain"
	var headers strings.Builder
	for name := range strings.SplitSeq(names, ", ") {
		fmt.Fprintf(&headers, "      %q: env:GATE\n      %q: %q\n", name, name+"-2", "`id` $HOME 'x' \"y\" \\ !z")
	}
	env := withConfig(t, fmt.Sprintf("nodes:\n  gate:\n    url: %s\n    key: env:GATE\n    headers:\n%s", server.URL, &headers), nil)
	env["GATE"] = "gate-secret-1"
	for name, prompt := range map[string]string{
		"words":           "it's \"quoted\" $HOME `id` !x \\ %s 你好",
		"controls":        "a\u009b31m\u202eb\u2066c\u007fd\u2028e\u0085f\x1bg\nh",
		"under the bound": strings.Repeat("x", 99<<10),
		"over the bound":  strings.Repeat("'", 131<<10),
		"a MiB":           strings.Repeat("it's ", 1<<18),
	} {
		out := ferryReads(t, env, prompt, "ask", "--dry-run", "-n", "gate").must().stdout
		lacks(t, name, out, "\u009b", "\u202e", "\u2066", "\u007f", "\u2028", "\u0085", "\x1b", "gate-secret")
		at := max(strings.LastIndex(out, "\ncurl "), strings.LastIndex(out, "\nprintf "))
		shell := exec.Command(bash, "-s")
		shell.Stdin, shell.Env = strings.NewReader(out[at:]), []string{"PATH=/usr/bin:/bin", "HOME=/nowhere", "GATE=gate-secret-1", "NO_PROXY=*"}
		if said, err := shell.CombinedOutput(); err != nil || len(said) > 0 {
			t.Fatalf("%s: %v, want no word: %.300s", name, err, said)
		}
		ferryReads(t, env, prompt, "ask", "-n", "gate").want(1, "", "") // the server sends no answer
		sent := server.newRequests()
		equal(t, name+": requests", len(sent), 2)
		byCurl, byFerry := sent[0], sent[1]
		var curls, ferrys any
		check(t, json.Unmarshal([]byte(byCurl.body), &curls))
		check(t, json.Unmarshal([]byte(byFerry.body), &ferrys))
		equal(t, name+": what curl sends", curls, ferrys)
		for _, own := range []string{"User-Agent", "Accept-Encoding", "Content-Length"} {
			byCurl.Header.Del(own)
			byFerry.Header.Del(own)
		}
		for field := range byFerry.Header {
			equal(t, name+": header "+field+" of curl", byCurl.Header[field], byFerry.Header[field])
		}
		equal(t, name+": the key", byCurl.Header.Get("X-Api-Key"), "gate-secret-1")
		atLeast(t, "headers, "+name, len(byFerry.Header), 15)
	}
}

// TestBasicAsThePageSays sends a user and a password in the way that ferry help curl gives for curl's -u.
func TestBasicAsThePageSays(t *testing.T) {
	var row string
	for _, r := range curlRows(t) {
		if r[0] == "-u user:password" {
			row = r[1]
		}
	}
	parts := regexp.MustCompile(`^(auth: none) and (headers: .*\}) with (export BASIC=.*");`).FindStringSubmatch(row)
	fatalIf(t, parts == nil, "the row is not as this test reads it: %s", row)
	auth, headers, export := parts[1], parts[2], parts[3]
	made, err := exec.Command("sh", "-c", export+`; printf %s "$BASIC"`).Output()
	check(t, err)
	node := demoNode(t)
	server := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("X-Api-Key", "for the demo node")
		node.ServeHTTP(w, r)
	}))
	env := withConfig(t, "nodes: {n: {url: "+server.URL+", "+auth+", "+headers+"}}\n", nil)
	env["BASIC"] = string(made) + "\n"
	r := ferry(t, env, "ask", "-v", "-n", "n", "--no-stdin", "hello").must()
	user, password, _ := server.last().BasicAuth()
	equal(t, "what arrives", user+" "+password, "user password")
	_, encoded, _ := strings.Cut(string(made), " ")
	equal(t, "an empty password", encoded == "", false)
	lacks(t, "what is printed", r.stdout+r.stderr, encoded)
}

// TestOfficialSDKs runs the official JavaScript SDKs of two providers against `ferry demo`.
func TestOfficialSDKs(t *testing.T) {
	sdk := filepath.Join("..", "testdata", "sdk")
	node := findProgram(t, "node")
	if _, err := os.Stat(filepath.Join(sdk, "node_modules", "@anthropic-ai", "sdk")); err != nil {
		skipMissing(t, "the official SDKs (npm ci in testdata/sdk)")
	}
	clients := exec.CommandContext(t.Context(), node, "--test", "--test-reporter=tap", "sdk.test.mjs")
	clients.Dir = sdk
	clients.Env = append(os.Environ(), "FERRY_DEMO_URL="+startDemo(t))
	out, err := clients.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "\n# fail 0\n") || strings.Contains(string(out), "\n# pass 0\n") {
		t.Errorf("%v, want all tests to pass:\n%s", err, out)
	}
	t.Log(regexp.MustCompile("(?m)^# (pass|fail) .*$").FindAllString(string(out), -1))
}

// TestFilterCost reports how much processor time a list adds to an ask: 4 ms for 10,000 words, 45 for 100,000.
func TestFilterCost(t *testing.T) {
	if raceEnabled {
		t.Skip("a measurement")
	}
	// A bench in this process has changed the settings of the garbage collector.
	limit, percent := debug.SetMemoryLimit(math.MaxInt64), debug.SetGCPercent(100)
	defer func() { debug.SetMemoryLimit(limit); debug.SetGCPercent(percent) }()
	prompt := strings.Repeat("天空为什么是蓝色的? why is the sky blue? ", 50)
	bare := minCPUTime(t, withConfig(t, "", nil), prompt)
	for _, words := range []int{10_000, 100_000} {
		env := withConfig(t, "filter: {file: words.txt, on: [prompt, answer]}\n", map[string]string{"words.txt": blockedWords(words)})
		added, most := minCPUTime(t, env, prompt)-bare, time.Duration(words)*20*time.Microsecond
		t.Logf("%d words add %s to an ask of %s", words, added, bare)
		atMost(t, "what the words add", added, most)
	}
}

// minCPUTime returns the minimum processor time of ten runs, for all threads of this process.
func minCPUTime(t *testing.T, env map[string]string, prompt string) time.Duration {
	had := func() time.Duration {
		var used syscall.Rusage
		check(t, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
		return time.Duration(used.Utime.Nano() + used.Stime.Nano())
	}
	best := time.Hour
	for range 10 {
		before := had()
		ferry(t, env, "ask", "-n", "demo", prompt).must()
		best = min(best, had()-before)
	}
	return best
}

// blockedWords returns a list of n words of usual lengths, alternately Chinese and Latin, in random order.
func blockedWords(n int) string {
	chance := rand.New(rand.NewPCG(1, 2))
	var list strings.Builder
	for k := range n {
		first, letters, length := rune(0x4e00), 3500, 2+chance.IntN(5)
		if k%2 == 1 {
			first, letters, length = 'a', 26, 5+chance.IntN(10)
		}
		for range length {
			list.WriteRune(first + rune(chance.IntN(letters)))
		}
		list.WriteByte('\n')
	}
	return list.String()
}

// squidPassword is the password that squid accepts for the user "user".
const squidPassword = "squid-word-0007"

// startSquid runs a real squid on loopback that connects only to the allowed ports, and returns its address.
func startSquid(t *testing.T, wantsPassword bool, ports ...string) *url.URL {
	// Started by root, squid becomes the user proxy, which must be able to read its files.
	dir, err := os.MkdirTemp("", "squid")
	check(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	check(t, os.Chmod(dir, 0o777))
	helper, file := filepath.Join(dir, "accept.sh"), filepath.Join(dir, "squid.conf")
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
	for path, text := range map[string]string{helper: script, file: config} {
		check(t, os.WriteFile(path, []byte(text), 0o644))
	}
	process := exec.Command(findProgram(t, "squid"), "-N", "-n", service, "-f", file)
	process.Dir = dir
	t.Cleanup(func() {
		shared, _ := filepath.Glob("/dev/shm/" + service + "-*") // which squid would remove itself
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

// TestSquid goes through a real squid to an https node and to an http node, and tests its refusals.
func TestSquid(t *testing.T) {
	ca := newAuthority(t, "root", nil)
	plain, other := serve(t, nil), serve(t, nil) // the other uses a port that no rule allows
	secure := serve(t, nil, withTLS(&tls.Config{Certificates: []tls.Certificate{ca.issue(t, nil)}}))
	dead := freePort(t)
	open := startSquid(t, false, plain.port(), secure.port(), dead)
	locked := startSquid(t, true, plain.port(), secure.port())
	right, wrong := *locked, *locked
	right.User, wrong.User = url.UserPassword("user", squidPassword), url.UserPassword("user", "wrong-word-0007")

	from := "; the proxy comes from flag --proxy, and --proxy none uses no proxy"
	asks := "it needs a user and a password: write them before an @ in its address" + from
	refuses := "it does not accept the user and the password in its address" + from
	unknown := "the answer may come from the proxy, " + open.String()
	answered := func(proxy *url.URL, status, port string) string {
		return "the proxy " + proxy.String() + " answered " + status + " to a connection to 127.0.0.1:" + port
	}
	for _, tt := range []struct {
		name, target string
		proxy        *url.URL
		code         int
		want, hint   string
	}{
		{"CONNECT", secure.URL, open, 0, "", ""},
		{"whole URL", plain.URL, open, 0, "", ""},
		{"CONNECT with the password", secure.URL, &right, 0, "", ""},
		{"whole URL with the password", plain.URL, &right, 0, "", ""},
		{"CONNECT without", secure.URL, locked, 1, answered(locked, "407 Proxy Authentication Required", secure.port()), asks},
		{"whole URL without", plain.URL, locked, 1, answered(locked, "407 Proxy Authentication Required", plain.port()), asks},
		{"CONNECT with a wrong one", secure.URL, &wrong, 1, "answered 407 Proxy Authentication Required", refuses},
		{"whole URL with a wrong one", plain.URL, &wrong, 1, "answered 407 Proxy Authentication Required", refuses},
		{"CONNECT denied", "https://" + other.host, open, 1, answered(open, "403 Forbidden", other.port()), "its rules do not allow this host or port" + from},
		{"whole URL denied", other.URL, open, 1, "403", unknown + "; --proxy none uses no proxy"},
		{"CONNECT to nothing", "https://127.0.0.1:" + dead, open, 1, answered(open, "503 Service Unavailable", dead), "it did not reach the node" + from},
		{"whole URL to nothing", "http://127.0.0.1:" + dead, open, 3, "503", unknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env := configure(t, tt.target, fmt.Sprintf("tls: {ca: '%s'}", ca.file))
			r := ferry(t, env, "ask", "-v", "-n", "n", "--proxy", tt.proxy.String(), "--no-stdin", "hello").want(tt.code, "", tt.want)
			r.want(tt.code, "", "* proxy "+tt.proxy.Scheme+"://"+tt.proxy.Host)
			lacks(t, "what is printed", r.stderr, "word-0007")
			seen := append(append(plain.newRequests(), secure.newRequests()...), other.newRequests()...)
			if tt.code != 0 {
				r.fails(tt.code, "\nhint: "+tt.hint)
				equal(t, "requests at the nodes", len(seen), 0)
				return
			}
			equal(t, "requests at the nodes", len(seen), 1)
			equal(t, "an answer", r.stdout != "", true)
			equal(t, "the header that only squid adds", strings.Contains(seen[0].Header.Get("Via"), "squid"), strings.HasPrefix(tt.target, "http:"))
			equal(t, "the proxy's password at the node", seen[0].Header.Get("Proxy-Authorization"), "")
		})
	}
}

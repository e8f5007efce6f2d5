package cmd_test

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"ferry/pkg/demo"
)

// TestNothingWasSent holds errors to saying so where no request left, and to not saying so where one did.
func TestNothingWasSent(t *testing.T) {
	node := demo.New(demo.Options{})
	t.Cleanup(func() { _ = node.Close() })
	var asked atomic.Int32
	count := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked.Add(1); node.ServeHTTP(w, r) })
	plain, secure := httptest.NewServer(count), httptest.NewUnstartedServer(count)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	refused := "http://" + closed.Addr().String()
	closed.Close()
	const pin = "nodes: {pinned: {url: https://127.0.0.1:1, key: \"env:NODE_KEY\", pins: [\"sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"]}}\n"
	for _, test := range []struct {
		name, config string
		args         []string
		unsent       bool
	}{
		{"a name that does not resolve", "", []string{"-n", "https://nowhere.invalid", "hi"}, true},
		{"refused", "", []string{"-n", refused, "hi"}, true},
		{"refused, after all attempts", "", []string{"--retry-policy", "retry-after", "-n", refused, "hi"}, true},
		{"refused by the proxy", "", []string{"--proxy", refused, "-n", "https://example.invalid", "hi"}, true},
		{"a certificate", "", []string{"-n", secure.URL, "hi"}, true},
		{"a pin", strings.ReplaceAll(pin, "https://127.0.0.1:1", secure.URL), []string{"-n", "pinned", "hi"}, true},
		{"plain http", "", []string{"-n", "http://example.com", "hi"}, true},
		{"what the API does not have", "", []string{"--api", "complete", "-n", plain.URL, "-s", "system", "hi"}, true},
		{"a blocked prompt", "filter: {words: [banana], on: [prompt]}\n", []string{"-n", plain.URL, "banana"}, true},
		{"the limit", "limit: 1/day\n", []string{"-n", plain.URL + "?after-the-first", "hi"}, true},
		{"the budget", "budget: 5 tokens/day\n", []string{"-n", plain.URL + "?after-the-first", "hi"}, true},
		{"both nodes refused", "", []string{"-n", refused + ",http://127.0.0.1:1", "hi"}, true},
		{"an error status", "", []string{"-n", plain.URL + "?status=401", "hi"}, false},
		{"a dropped connection", "", []string{"-n", plain.URL + "?reset", "hi"}, false},
		{"a cut answer", "", []string{"-n", plain.URL + "?truncate", "hi"}, false},
		{"a node that answered, and then one that refused", "", []string{"--attempts", "1", "-n", plain.URL + "?status=503," + refused, "hi"}, false},
	} {
		env := withConfig(t, test.config, nil)
		env["FERRY_KEY"], env["NODE_KEY"] = canaryHeader, canaryHeader
		if strings.HasSuffix(test.args[1], "?after-the-first") {
			if code, _, stderr := run(t, env, append([]string{"ask"}, test.args...)...); code != 0 {
				t.Fatal(stderr)
			}
		}
		before := asked.Load()
		code, _, stderr := run(t, env, append([]string{"ask"}, test.args...)...)
		sent := asked.Load() > before
		if code == 0 || sent == test.unsent || strings.Contains(stderr, "nothing was sent") != test.unsent {
			t.Errorf("%s: exit code %d, asked %t: %s", test.name, code, sent, stderr)
		}
	}
}

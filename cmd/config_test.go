package cmd_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"ferry/cmd"

	"github.com/spf13/cobra"
)

// TestCheckPrintsAsItGoes checks that each result is printed before the next request is sent.
func TestCheckPrintsAsItGoes(t *testing.T) {
	var out, errs bytes.Buffer
	var seen []string
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, out.String())
		fmt.Fprint(w, `{"data":[]}`)
	})).URL
	env := withConfig(t, fmt.Sprintf("nodes:\n  one: {url: %q, key: \"env:NODE_KEY\"}\n  two: {url: %q, key: \"env:NODE_KEY\"}\n", url, url), nil)
	equal(t, "exit code", cmd.Run(t.Context(), []string{"config", "check"}, testEnv(env, &out, &errs)), 0)
	for i, want := range [][2]string{{"✓ key", "address"}, {"✓ address", "models"}, {"two  http", "two  http\n  ✓ address"}, {"– TLS", "nothing"}} {
		fatalIf(t, i >= len(seen) || !strings.Contains(seen[i], want[0]) || strings.Contains(seen[i], want[1]),
			"%d requests; at number %d there was %q, want %q and not yet %q", len(seen), i+1, seen, want[0], want[1])
	}
	errorIf(t, len(seen) != 4 || strings.Count(seen[2], "✓ key") != 2,
		"%d requests, want 4; at the third there was %q, want two keys in it", len(seen), seen)
}

// TestCheckTimeout runs config check against a node that accepts a request and never answers, in virtual time.
func TestCheckTimeout(t *testing.T) {
	for timeout, args := range map[string][]string{"30s": nil, "2s": {"--timeout", "2s"}} {
		synctest.Test(t, func(t *testing.T) {
			ferry(t, nil, append([]string{"config", "check", "demo:?stall"}, args...)...).want(1, "within the timeout of "+timeout, "")
		})
	}
}

// TestNamedConfigIsThere runs every command with a FERRY_CONFIG that names no file. Except for commands that create
// the file or read no settings, each is exit 2, names the file and leaves nothing behind. Otherwise a misspelled name
// would disable the filter and the audit log without notice.
func TestNamedConfigIsThere(t *testing.T) {
	args := map[string][]string{
		"config get": {"timeout"}, "config unset": {"timeout"}, "config key": {"direct"}, "config pin": {"direct"}, "config purge": {"--yes", "--audit"},
		"config session show": {"s"}, "config session rm": {"s"}, "config token new": {"dev"}, "config token revoke": {"x"}, "config hold run": {"n"},
		"ask": {"-n", "demo", "hello"}, "stream": {"-n", "demo", "hello"}, "bench": {"demo"}, "bench report": {"x.json"}, "bench compare": {"x", "y"},
	}
	exempt := []string{"config", "config add", "config init", "config set", "demo", "version", "completion", "help"}
	var walk func(c *cobra.Command)
	walked := 0
	walk = func(c *cobra.Command) {
		for _, child := range c.Commands() {
			walk(child)
		}
		name := strings.TrimPrefix(strings.TrimPrefix(c.CommandPath(), "ferry"), " ")
		if name == "" || slices.Contains(exempt, name) || !c.Runnable() || c.IsAdditionalHelpTopicCommand() ||
			strings.HasPrefix(name, "completion ") || c.Parent().Name() == "ferry" && !slices.Contains([]string{"ask", "stream", "bench"}, name) {
			return
		}
		walked++
		dir := t.TempDir()
		path := filepath.Join(dir, "misspelt", "config.yaml")
		env := map[string]string{"FERRY_CONFIG": path, "HOME": dir, "ANTHROPIC_API_KEY": canaryKey}
		r := ferry(t, env, append(strings.Fields(name), args[name]...)...)
		r.want(2, "", "Error: FERRY_CONFIG: there is no file "+path+"\nhint: correct the path, or unset FERRY_CONFIG")
		equal(t, name+" prints", r.stdout, map[string]string{"config path": path + "\n"}[name])
		left, _ := os.ReadDir(dir)
		equal(t, name+" leaves files behind", len(left), 0)
	}
	walk(cmd.Commands())
	atLeast(t, "commands that were run", walked, 20)
}

// TestNamedConfigIsMade checks the commands that need no file: they create it or do not read it.
func TestNamedConfigIsMade(t *testing.T) {
	for _, args := range [][]string{
		{"config", "init"}, {"config", "set", "timeout", "1m"}, {"config", "add"}, {"config"}, {"config", "--help"}, {"ask", "--help"}, {"version"}, {},
		{"help", "environment"}, {"completion", "bash"}, {"__complete", "ask", "-n", ""}, {"__complete", "config", "get", ""}, {"__complete", "config", "key", ""},
	} {
		dir := t.TempDir()
		r := ferry(t, map[string]string{"FERRY_CONFIG": filepath.Join(dir, "new", "config.yaml"), "HOME": dir}, args...).want(0, "", "")
		lacks(t, strings.Join(args, " "), r.stderr, "there is no file")
	}
}

// gateway is a server. paths maps a path to the header that it requires, "" for none; a request without that header
// gets 401. A path that is not in paths gets 404, or 401 if the server is guarded and the request has no key.
type gateway struct {
	paths   map[string]string
	guarded bool
	models  string
	late    bool // parses the body before it checks the key
}

func (g gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	say := func(status int, body string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
	keyed := r.Header.Get("X-Api-Key")+r.Header.Get("Authorization") != ""
	want, there := g.paths[r.URL.Path]
	name, value, _ := strings.Cut(want, ": ")
	body, _ := io.ReadAll(r.Body)
	switch {
	case g.late && r.Method == http.MethodPost && string(body) == "{" && there:
		say(400, `{"error":{"message":"no JSON"}}`)
	case !there && (keyed || !g.guarded):
		say(404, `{"error":{"message":"no such path"}}`)
	case !there, value != "" && r.Header.Get(name) != value:
		say(401, `{"error":{"type":"authentication_error","message":"no key"}}`)
	case r.Method == http.MethodGet:
		say(200, `{"data":[`+g.models+`]}`)
	case string(body) == "{":
		say(400, `{"error":{"message":"no JSON"}}`)
	default:
		say(200, `{"choices":[{"message":{"content":"paid"},"finish_reason":"stop"}]}`)
	}
}

// TestAddURL checks that config add finds the dialect of a server with requests that no server can complete. It sends
// no key until the server asks for one, and then sends the given one.
func TestAddURL(t *testing.T) {
	const xKey, bearer = "X-Api-Key: " + canaryKey, "Authorization: Bearer " + canaryKey
	qwen, claude := `{"id":"nomic-embed"},{"id":"qwen3"}`, `{"id":"claude-haiku-5-5"},{"id":"qwen3"}`
	chat := func(want string) map[string]string {
		return map[string]string{"/v1/chat/completions": want, "/v1/models": want}
	}
	messages := func(want string) map[string]string {
		return map[string]string{"/v1/messages": want, "/v1/models": want}
	}
	both := func(chat, messages, models string) map[string]string {
		return map[string]string{"/v1/chat/completions": chat, "/v1/messages": messages, "/v1/models": models}
	}
	for name, tt := range map[string]struct {
		gateway
		path   string // of the address
		flags  []string
		keys   int    // number of requests without a key before the first with one; -1 if no request ever has one
		node   string // the node in the configuration file, URL for the server's address
		stderr string
	}{
		"keyless chat with its /v1":    {gateway{chat(""), false, qwen, false}, "/v1", nil, -1, "url: URL/v1\n    api: chat\n    auth: none\n    model: qwen3\n", "its model is qwen3"},
		"keyless chat without its /v1": {gateway{chat(""), false, qwen, false}, "", nil, -1, "url: URL/v1\n    api: chat\n    auth: none\n    model: qwen3\n", "gw speaks chat at URL/v1"},
		"many models":                  {gateway{chat(""), false, strings.Repeat(qwen+",", 10) + qwen, false}, "/v1", nil, -1, "url: URL/v1\n    api: chat\n    auth: none\n", "it lists 22 models (ferry config models gw); ferry config set nodes.gw.model NAME chooses one\nferry: ferry ask -n gw -m MODEL hi sends it a prompt"},
		"a whole address":              {gateway{chat(bearer), true, qwen, false}, "/v1/chat/completions", nil, 1, "url: URL/v1\n    api: chat\n    key: KEY\n    model: qwen3\n", ""},
		"said":                         {gateway{chat(bearer), true, qwen, false}, "/v1", []string{"--api", "chat", "-m", "m"}, 1, "url: URL/v1\n    api: chat\n    model: m\n    key: KEY\n", ""},
		"said, of a keyless server":    {gateway{chat(""), false, qwen, false}, "/v1", []string{"--api", "chat"}, -1, "url: URL/v1\n    api: chat\n    auth: none\n    model: qwen3\n", ""},
		"messages that says so":        {gateway{messages(xKey), false, claude, false}, "", nil, 4, "url: URL\n    api: messages\n    key: KEY\n", "gw speaks messages at URL\n"},
		"guarded messages":             {gateway{messages(xKey), true, claude, false}, "/", nil, 4, "url: URL\n    api: messages\n    key: KEY\n", ""},
		"guarded messages for Bearer":  {gateway{messages(bearer), true, claude, false}, "/v1", nil, 3, "url: URL\n    api: messages\n    auth: bearer\n    key: KEY\n", ""},
		"guarded chat":                 {gateway{chat(bearer), true, qwen, false}, "", nil, 4, "url: URL/v1\n    api: chat\n    key: KEY\n    model: qwen3\n", ""},
		"both, with a Claude":          {gateway{both(bearer, xKey, ""), true, claude, false}, "", nil, 4, "url: URL\n    api: messages\n    key: KEY\n", "it speaks chat too: --api chat"},
		"both, without one":            {gateway{both(bearer, xKey, ""), true, qwen, false}, "", nil, 4, "url: URL/v1\n    api: chat\n    key: KEY\n    model: qwen3\n", "it speaks messages too: --api messages"},
		"the script's gateway":         {gateway{map[string]string{"/api/v1/complete": xKey}, true, "", false}, "/api", nil, 4, "url: URL/api\n    api: complete\n    key: KEY\n", ""},
		"a key that is looked at late": {gateway{chat(bearer), false, qwen, true}, "/v1", nil, 4, "url: URL/v1\n    api: chat\n    key: KEY\n    model: qwen3\n", ""},
		"said, and looked at late":     {gateway{chat(bearer), false, qwen, true}, "/v1", []string{"--api", "chat"}, 2, "url: URL/v1\n    api: chat\n    key: KEY\n    model: qwen3\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, tt.gateway)
			vars := withConfig(t, "# mine\n", nil)
			vars["FERRY_KEY"], vars["ANTHROPIC_API_KEY"] = "other-key-0001", "other-key-0002" // keys for other nodes
			r := ferryReads(t, vars, canaryKey+"\n", append([]string{"config", "add", s.URL + tt.path, "--as", "gw"}, tt.flags...)...)
			r.want(0, "gw", strings.ReplaceAll(tt.stderr, "URL", s.URL))
			file := strings.ReplaceAll(read(t, vars["FERRY_CONFIG"]), `"`, "")
			want := strings.NewReplacer("URL", s.URL, "KEY", "file:keys/gw.key").Replace(tt.node)
			equal(t, "the file", file, "# mine\nnodes:\n  gw:\n    "+want)
			before := 0
			for i, asked := range s.requests() {
				head := asked.text()
				lacks(t, "a request", head, "other-key")
				if asked.Method == http.MethodPost {
					equal(t, "the body of a request", asked.body, "{")
				}
				if strings.Contains(head, canaryKey) && before == 0 {
					before = i + 1
				}
			}
			equal(t, "the first request with a key", before-1, tt.keys)
		})
	}
}

// TestAddURLFails checks that a failed config add names the cause and writes nothing.
func TestAddURLFails(t *testing.T) {
	page := serve(t, respondWith(200, "text/html", "<html>hello"))
	empty := serve(t, gateway{})
	refuses := serve(t, gateway{paths: map[string]string{"/v1/messages": "X-Api-Key: another"}})
	unwell := serve(t, respondWith(502, "text/html", "<html>bad gateway"))
	down := serve(t, respondWith(500, "application/json", `{"error":{"message":"busy"}}`))
	overloaded := serve(t, respondWith(529, "application/json", `{"error":{"message":"busy"}}`))
	moved := serve(t, http.RedirectHandler("https://elsewhere.example.com/v1", http.StatusPermanentRedirect))
	for _, tt := range []struct {
		args   []string
		stdin  string
		code   int
		stderr string
	}{
		{[]string{page.URL, "--as", "gw"}, "", 2, "no API that ferry speaks at " + page.URL},
		{[]string{moved.URL, "--as", "gw"}, "", 2, "; it leads to https://elsewhere.example.com/v1"},
		{[]string{unwell.URL, "--as", "gw"}, canaryKey, 2, "answers with status 502, which does not show its API"},
		{[]string{down.URL, "--as", "gw"}, canaryKey, 2, "answers with status 500, which does not show its API"},
		{[]string{overloaded.URL, "--as", "gw"}, canaryKey, 2, "answers with status 529, which does not show its API"},
		{[]string{empty.URL, "--as", "mine.headers"}, canaryKey, 2, "invalid --as"},
		{[]string{empty.URL, "--as", "gw"}, "", 2, "hint: is the path right? --api messages, chat or complete uses the address unchecked"},
		{[]string{refuses.URL, "--as", "gw"}, canaryKey, 2, "refuses the key"},
		{[]string{refuses.URL, "--as", "gw"}, "", 2, "hint: pipe the key in, as in pass show gw | ferry config add " + refuses.URL + " --as gw"},
		{[]string{refuses.URL}, "", 2, "hint: ferry config add " + refuses.URL + " --as NAME"},
		{[]string{refuses.URL, "--as", "mine"}, "", 2, "there is a node mine in "},
		{[]string{refuses.URL, "--as", "gw", "--region", "x"}, "", 2, "do not apply to a URL"},
		{[]string{refuses.URL, "--as", "gw", "--api", "grpc"}, "", 2, "invalid --api"},
		{[]string{"http://127.0.0.1:1", "--as", "gw"}, "", 1, "cannot connect to 127.0.0.1:1"},
		{[]string{"http://203.0.113.1/api", "--as", "gw"}, "", 2, "203.0.113.1"},
		{[]string{"ftp://example.com", "--as", "gw"}, "", 2, "use a"},
		{[]string{"https://me:secret@example.com", "--as", "gw"}, "", 2, "must not contain a user name or password"},
	} {
		vars := withConfig(t, "nodes: {mine: {url: 'http://127.0.0.1:1'}}\n", nil)
		before := read(t, vars["FERRY_CONFIG"])
		r := ferryReads(t, vars, tt.stdin, append([]string{"config", "add"}, tt.args...)...).fails(tt.code, tt.stderr)
		lacks(t, "the error", r.stderr, "secret", canaryKey)
		equal(t, "the file", read(t, vars["FERRY_CONFIG"]), before)
	}
}

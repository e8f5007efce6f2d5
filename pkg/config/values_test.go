package config

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"ferry/pkg/retry"
	"ferry/pkg/text"
)

func mustResolve(t *testing.T, f *File, lookup Lookup, flags map[string]string) *Values {
	t.Helper()
	return must(Resolve(f, lookup, flags))(t)
}

func mustSelect(t *testing.T, v *Values, selector string) Node {
	t.Helper()
	return must(v.Select(selector, ""))(t)
}

// Every default passes its own rule and is returned by its accessor.
func TestDefaults(t *testing.T) {
	for _, s := range keys {
		if s.Default == "" {
			continue
		}
		if err := s.checkText(s.Default); err != nil {
			t.Errorf("%s: the default: %v", s.Key, err)
		}
	}
	v := mustResolve(t, &File{}, nil, nil)
	n := mustSelect(t, v, "direct")
	proxy, _ := v.ProxyFor(n)
	got := []any{v.Nodes, v.Across, v.Retry, v.Timeout, v.ConnectTimeout, v.IdleTimeout, v.SessionIdle, v.Render, v.Output,
		proxy, n.TLS, n.Rate, n.Budget, n.Hold}
	want := []any{[]string{"direct"}, false, retry.Rule{Policy: retry.Script, Attempts: 3, Delay: 2 * time.Second},
		10 * time.Minute, 15 * time.Second, 90 * time.Second, 10 * time.Minute, true, "text",
		"", TLS{Min: "1.3"}, Rate{}, int64(0), time.Duration(0)}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	for _, s := range Settings() {
		if v.Origin(s.Key) != "default" {
			t.Errorf("%s: origin %q", s.Key, v.Origin(s.Key))
		}
	}
}

// For each setting: flag over variable over file over default.
func TestPrecedence(t *testing.T) {
	samples := map[string][3]string{ // flag, variable, file
		"node":            {"a,b", "b", "c,d"},
		"failover.across": {"true", "", "true"},
		"retry.policy":    {"backoff", "retry-after", "script"},
		"retry.attempts":  {"7", "8", "9"},
		"retry.delay":     {"0s", "4s", "5s"},
		"timeout":         {"1s", "2s", "3s"},
		"connect_timeout": {"4s", "5s", "6s"},
		"idle_timeout":    {"7s", "8s", "9s"},
		"limit":           {"2/s", "600/min burst 5", "50/min"},
		"hold":            {"5m", "off", "10m"},
		"http3":           {"true", "only", "false"},
		"pick":            {"fastest", "order", "fastest"},
		"budget":          {"", "", "200000 tokens/day"},
		"session.idle":    {"", "5m", "6m"},
		"render":          {"off", "on", "off"},
		"proxy":           {"", "none", "http://h:1"},
		"tls.min":         {"", "", "1.2"},
		"tls.ca":          {"", "", "/ca.pem"},
		"filter.file":     {"", "", "/words.txt"},
		"filter.words":    {"", "", `["a b","c"]`},
		"filter.on":       {"", "", `["prompt","answer"]`},
		"redact":          {"", "", `["a+\\d","姓名"]`},
		"audit.file":      {"", "", "/audit.jsonl"},
		"audit.content":   {"", "", "redacted"},
		"audit.max_size":  {"", "", "1MiB"},
		"output":          {"json", "raw", ""},
		"model":           {"m1", "m2", ""},
		"max_tokens":      {"11", "12", ""},
		"system":          {"one", "two", "three\n\"lines\""},
	}
	needs := map[string]string{ // other keys that a key requires
		"filter.on":      "filter: {file: /words.txt}\n",
		"audit.content":  "audit: {file: /audit.jsonl}\n",
		"audit.max_size": "audit: {file: /audit.jsonl}\n",
	}
	for _, s := range keys {
		if s.Usage == "" {
			continue
		}
		sample, ok := samples[s.Key]
		if !ok {
			t.Errorf("%s has no sample", s.Key)
		}
		f, flags, env := &File{}, map[string]string{}, []string{}
		check := func(text, origin string) {
			t.Helper()
			v := mustResolve(t, f, vars(env...), flags)
			if v.set[s.Key].text != filepath.FromSlash(text) && v.set[s.Key].text != text || v.Origin(s.Key) != origin {
				t.Errorf("%s: got %q from %s, want %q from %s", s.Key, v.set[s.Key].text, v.Origin(s.Key), text, origin)
			}
		}
		check(s.Default, "default")
		if s.inFile() {
			out := must(Set([]byte(needs[s.Key]), s.Key, sample[2]))(t)
			f = mustParse(t, "# one\n"+string(out))
			line := 1 + strings.Count(string(out), "\n")
			check(sample[2], "config.yaml:"+strconv.Itoa(line))
		}
		if s.Env != "" {
			env = []string{s.Env, sample[1]}
			check(sample[1], s.Env)
		}
		if s.Flag != "" {
			flags[s.Key] = sample[0]
			check(sample[0], "flag --"+s.Flag)
		}
	}
	// An empty variable counts as not set.
	if v := mustResolve(t, &File{}, vars("FERRY_NODE", ""), nil); v.Origin("node") != "default" {
		t.Errorf("an empty variable counts: %s", v.Origin("node"))
	}
}

func TestResolveErrors(t *testing.T) {
	tests := []struct {
		lookup Lookup
		flags  map[string]string
		want   string
	}{
		{vars("FERRY_ATTEMPTS", canary), nil, "invalid FERRY_ATTEMPTS: use a whole number from 1 to 100"},
		{vars("FERRY_ATTEMPTS", "+3"), nil, `invalid FERRY_ATTEMPTS "+3": use a whole number from 1 to 100`},
		{nil, map[string]string{"retry.delay": canary}, "invalid --retry-delay: use a duration from 0s to 24h, such as 2s"},
		{nil, map[string]string{"timeout": "0"}, `invalid --timeout "0": use a duration above 0 and at most 24h, such as 90s or 10m`},
		{vars("FERRY_PROXY", "http://u:"+canary+"@h:x"), nil, "invalid FERRY_PROXY: use none or a URL such as http://host:3128 or socks5h://host:1080"},
		{nil, map[string]string{"node": ""}, `invalid --node "": has no value`},
		{nil, map[string]string{"node": "a,b,a"}, `invalid --node "a,b,a": names a node twice`},
		{nil, map[string]string{"node": "a,,b"}, `invalid --node "a,,b": has no value`},
		{nil, map[string]string{"node": "https://a,https://u:" + canary + "@h"}, "invalid --node: must not contain a user name or password"},
		{nil, map[string]string{"node": "https://u:" + canary + "@h"}, "invalid --node: must not contain a user name or password"},
		{nil, map[string]string{"model": "a b"}, `invalid --model "a b": use a model's name, which has no spaces`},
		{nil, map[string]string{"retry.policy": "backof"}, `invalid --retry-policy "backof": use one of script, retry-after, backoff; did you mean backoff?`},
		{vars("FERRY_OUTPUT", "a b"), nil, `invalid FERRY_OUTPUT "a b": use a word, such as text or json`},
	}
	for _, tt := range tests {
		_, err := Resolve(&File{}, tt.lookup, tt.flags)
		wantError(t, fmt.Sprint(tt.flags), err, tt.want)
	}
	// A value that is overridden is not checked.
	mustResolve(t, &File{}, vars("FERRY_ATTEMPTS", "many"), map[string]string{"retry.attempts": "2"})
	// ~/ without HOME.
	f := mustParse(t, "tls: {ca: ~/ca.pem}")
	_, err := Resolve(f, nil, nil)
	wantError(t, "a path in HOME", err, "tls.ca: begins with ~/, and HOME is not set")
}

func TestModelAndTokens(t *testing.T) {
	f := mustParse(t, `
nodes:
  plain: {url: https://h}
  own:   {url: https://h, model: own, max_tokens: 7}
  old:   {url: https://h, api: complete}
  oldm:  {url: https://h, api: complete, model: om, max_tokens: 8}
  chat:  {url: https://h, api: chat}
`)
	tests := []struct {
		node, flag, env string
		model           string
		tokens          int
	}{
		{"plain", "", "", "claude-haiku-5-5", 4096},
		{"own", "", "", "own", 7},
		{"own", "", "e", "e", 7},
		{"own", "f", "e", "f", 7},
		{"old", "", "", "", 100},
		{"old", "f", "", "f", 100},
		{"oldm", "", "", "om", 8},
		{"chat", "f", "", "f", 4096},
		{"direct", "", "", "env-direct", 4096},
		{"direct", "", "e", "e", 4096},
		{"demo", "", "", "claude-haiku-5-5", 4096},
	}
	for _, tt := range tests {
		flags := map[string]string{}
		if tt.flag != "" {
			flags["model"] = tt.flag
		}
		v := mustResolve(t, f, vars("ANTHROPIC_MODEL", "env-direct", "FERRY_MODEL", tt.env), flags)
		n := mustSelect(t, v, tt.node)
		if err := n.CheckModel(); err != nil || n.Model != tt.model || n.MaxTokens != tt.tokens {
			t.Errorf("%+v: got %q, %d, %v", tt, n.Model, n.MaxTokens, err)
		}
	}
	v := mustResolve(t, f, vars("FERRY_MAX_TOKENS", "5"), nil)
	for _, name := range []string{"own", "old"} {
		if got := mustSelect(t, v, name).MaxTokens; got != 5 {
			t.Errorf("FERRY_MAX_TOKENS over that of %s: got %d, want 5", name, got)
		}
	}
	err := mustSelect(t, mustResolve(t, f, nil, nil), "chat").CheckModel()
	wantError(t, "chat", err, "node chat has no model")
	if hint := text.Hint(err); hint != "name one with -m, or in the file: ferry config set nodes.chat.model NAME" {
		t.Errorf("hint %s", hint)
	}
}

func TestNodeOverFile(t *testing.T) {
	f := mustParse(t, `
proxy: http://file:1
tls: {min: "1.2", ca: sub/ca.pem}
nodes:
  own: {url: https://h, proxy: none, tls: {min: "1.3", ca: ~/own.pem, cert: /c, key: k}}
  plain: {url: https://h}
`)
	v := mustResolve(t, f, vars("HOME", "/home/u"), nil)
	own, plain := mustSelect(t, v, "own"), mustSelect(t, v, "plain")
	slash := filepath.FromSlash
	if got, want := own.TLS, (TLS{"1.3", slash("/home/u/own.pem"), "/c", slash("/etc/x/k"), ""}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, want := plain.TLS, (TLS{Min: "1.2", CA: slash("/etc/x/sub/ca.pem")}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	a, from := v.ProxyFor(own)
	if b, of := v.ProxyFor(plain); a != "none" || from != "config.yaml:5" || b != "http://file:1" || of != "config.yaml:2" {
		t.Errorf("proxies %q, %q", a, b)
	}
	v = mustResolve(t, f, vars("FERRY_PROXY", "http://env:1"), nil)
	if got, from := v.ProxyFor(own); got != "http://env:1" || from != "FERRY_PROXY" {
		t.Errorf("the variable over the node's: got %q", got)
	}
	_, err := v.Select("own", "")
	wantError(t, "own", err, "a tls path of node own begins with ~/, and HOME is not set")
}

func TestListHidesSecrets(t *testing.T) {
	f := mustParse(t, strings.Replace(example, "proxy: none", "proxy: http://me:"+canary+"@p:1", 1))
	v := mustResolve(t, f, vars("FERRY_PROXY", "http://u@d:"+canary+"@h:1"), nil)
	var all strings.Builder
	got := map[string]Entry{}
	for _, e := range List(v) {
		all.WriteString(e.Key + "=" + e.Value + " " + e.Origin + "\n")
		got[e.Key] = e
	}
	if strings.Contains(all.String(), canary) {
		t.Errorf("a password is shown:\n%s", all.String())
	}
	for _, want := range []Entry{
		{"node", "hongkong", "config.yaml:2"},
		{"retry.attempts", "5", "config.yaml:3"},
		{"tls.min", "1.2", "config.yaml:7"},
		{"nodes.hongkong.key", "env:CLAUDE_KEY", "config.yaml:10"},
		{"nodes.hongkong.api", "messages", "default"},
		{"nodes.hongkong.auth", "x-api-key", "default"},
		{"nodes.qwen.headers.X-Gate", "env:GATE", "config.yaml:16"},
		{"nodes.qwen.proxy", "http://me:***@p:1", "config.yaml:17"},
		{"nodes.qwen.max_tokens", "800", "config.yaml:18"},
		{"nodes.qwen.insecure", "true", "config.yaml:22"},
		{"nodes.llama.auth", "none", "config.yaml:24"},
	} {
		if got[want.Key] != want {
			t.Errorf("got %+v, want %+v", got[want.Key], want)
		}
	}
	if text, ok := Get(List(v), "nodes.qwen.headers.x-gate"); !ok || text != "env:GATE" {
		t.Errorf("got %q, %v", text, ok)
	}
	if _, ok := Get(List(v), "nodes.qwen.label"); ok {
		t.Error("a key that is not said was found")
	}
}

// Both forms of a limit mean the same. A node's own limit overrides the file's, but not a flag.
func TestLimitAndBudget(t *testing.T) {
	f := mustParse(t, `
limit: {rate: 600/min, burst: 5}
budget: 1000 tokens/day
nodes:
  plain: {url: https://h}
  short: {url: https://h, limit: 50/min burst 3, budget: none}
  long:
    url: https://h
    limit:
      burst: 3
      rate: 50/min
    budget: 5 tokens/day
  off: {url: https://h, limit: none}
`)
	for _, tt := range []struct {
		node, flag string
		rate       Rate
		budget     int64
	}{
		{"plain", "", Rate{600, time.Minute, 5}, 1000},
		{"short", "", Rate{50, time.Minute, 3}, 0},
		{"long", "", Rate{50, time.Minute, 3}, 5},
		{"off", "", Rate{}, 1000},
		{"long", "2/s", Rate{2, time.Second, 1}, 5},
		{"plain", "none", Rate{}, 1000},
	} {
		flags := map[string]string{}
		if tt.flag != "" {
			flags["limit"] = tt.flag
		}
		n := mustSelect(t, mustResolve(t, f, nil, flags), tt.node)
		if n.Rate != tt.rate || n.Budget != tt.budget {
			t.Errorf("%+v: got %+v, %d", tt, n.Rate, n.Budget)
		}
	}
}

// The valid forms of a limit and a budget. Package text tests the rates.
func TestLimitAndBudgetTexts(t *testing.T) {
	for burst, want := range map[string]int{"": 0, "0": 0, "1": 1, "+1": 0, "-1": 0, "5": 5, "10000": 10000, "10001": 0, "x": 0, "5 ": 0, "05": 5,
		"99999999999999999999": 0} {
		rate, err := parseLimit("50/min burst " + burst)
		if (err == nil) != (want > 0) || err == nil && rate != (Rate{50, time.Minute, want}) {
			t.Errorf("burst %q: got %+v, %v, want %d", burst, rate, err, want)
		}
	}
	for _, text := range []string{"", " ", "None", "50", "50/", "50/week", "0/min", "1000001/s", "burst 5", "none burst 5"} {
		if rate, err := parseLimit(text); err == nil {
			t.Errorf("limit %q: got %+v, want an error", text, rate)
		}
	}
	for text, want := range map[string]int64{"none": 0, "200000 tokens/day": 200000, " 1  tokens/day\t": 1, "1000000000000 tokens/day": maxBudget} {
		if got, err := parseBudget(text); err != nil || got != want {
			t.Errorf("budget %q: got %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "200000", "200000 tokens", "200000/day", "tokens/day", "0 tokens/day", "-5 tokens/day", "+5 tokens/day", "1e3 tokens/day",
		"1.5 tokens/day", "1000000000001 tokens/day", "99999999999999999999 tokens/day", "5 tokens/week", "5 tokens/day now", "5tokens/day",
	} {
		if got, err := parseBudget(text); err == nil {
			t.Errorf("budget %q: got %d, want an error", text, got)
		}
	}
}

package cmd_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ferry/cmd"
)

// providerRequests are the expected requests for a prompt to each provider: name, dialect, URL, key header, model, and
// the variable of the key, or the flags that config add needs.
const providerRequests = `
openai      chat     https://api.openai.com/v1/chat/completions                          bearer    gpt-6-luna OPENAI_API_KEY
deepseek    chat     https://api.deepseek.com/chat/completions                           bearer    deepseek-flash DEEPSEEK_API_KEY
deepseek    messages https://api.deepseek.com/anthropic/v1/messages                      x-api-key deepseek-flash DEEPSEEK_API_KEY
qwen        chat     https://dashscope.aliyuncs.com/compatible-mode/v1/chat/completions  bearer    qwen3.6-flash DASHSCOPE_API_KEY
qwen        messages https://dashscope.aliyuncs.com/apps/anthropic/v1/messages           x-api-key qwen3.6-flash DASHSCOPE_API_KEY
ernie       chat     https://qianfan.baidubce.com/v2/chat/completions                    bearer    ernie-4.5-turbo-32k QIANFAN_API_KEY
kimi        chat     https://api.moonshot.cn/v1/chat/completions                         bearer    kimi-k3 MOONSHOT_API_KEY
kimi        messages https://api.moonshot.cn/anthropic/v1/messages                       bearer    kimi-k3 MOONSHOT_API_KEY
glm         chat     https://open.bigmodel.cn/api/paas/v4/chat/completions               bearer    glm-4.7-flash ZHIPU_API_KEY
glm         messages https://open.bigmodel.cn/api/anthropic/v1/messages                  x-api-key glm-4.7-flash ZHIPU_API_KEY
minimax     chat     https://api.minimaxi.com/v1/chat/completions                        bearer    MiniMax-M3 MINIMAX_API_KEY
minimax     messages https://api.minimaxi.com/anthropic/v1/messages                      x-api-key MiniMax-M3 MINIMAX_API_KEY
doubao      chat     https://ark.cn-beijing.volces.com/api/v3/chat/completions           bearer    doubao-seed-1-6-flash-250828 ARK_API_KEY
doubao      messages https://ark.cn-beijing.volces.com/api/compatible/v1/messages        bearer    doubao-seed-1-6-flash-250828 ARK_API_KEY
siliconflow chat     https://api.siliconflow.cn/v1/chat/completions                      bearer    Qwen/Qwen3.5-4B SILICONFLOW_API_KEY
siliconflow messages https://api.siliconflow.cn/v1/messages                              bearer    Qwen/Qwen3.5-4B SILICONFLOW_API_KEY
stepfun     chat     https://api.stepfun.com/v1/chat/completions                         bearer    step-3.5-flash STEPFUN_API_KEY
openrouter  chat     https://openrouter.ai/api/v1/chat/completions                       bearer    some/model OPENROUTER_API_KEY --model some/model
openrouter  messages https://openrouter.ai/api/v1/messages                               bearer    some/model OPENROUTER_API_KEY --model some/model
gemini      chat     https://generativelanguage.googleapis.com/v1beta/openai/chat/completions bearer gemini-3.5-flash-lite GEMINI_API_KEY
xai         chat     https://api.x.ai/v1/chat/completions                                bearer    grok-4.3 XAI_API_KEY
mistral     chat     https://api.mistral.ai/v1/chat/completions                          bearer    ministral-3b-latest MISTRAL_API_KEY
groq        chat     https://api.groq.com/openai/v1/chat/completions                     bearer    openai/gpt-oss-20b GROQ_API_KEY
ollama      chat     http://127.0.0.1:11434/v1/chat/completions                          none      qwen-plus -
ollama      messages http://127.0.0.1:11434/v1/messages                                  none      claude-haiku-5-5 -
llamacpp    chat     http://127.0.0.1:8080/v1/chat/completions                           none      qwen-plus -
llamacpp    messages http://127.0.0.1:8080/v1/messages                                   none      claude-haiku-5-5 -
vllm        chat     http://127.0.0.1:8000/v1/chat/completions                           none      qwen-plus -
vllm        messages http://127.0.0.1:8000/v1/messages                                   none      claude-haiku-5-5 -
lmstudio    chat     http://127.0.0.1:1234/v1/chat/completions                           none      qwen-plus -
lmstudio    messages http://127.0.0.1:1234/v1/messages                                   none      claude-haiku-5-5 -
bedrock     messages https://bedrock-mantle.us-east-1.api.aws/anthropic/v1/messages      bearer    anthropic.claude-haiku-5-5 AWS_BEARER_TOKEN_BEDROCK --region us-east-1
azure       messages https://acme.services.ai.azure.com/anthropic/v1/messages            x-api-key my-haiku - --resource acme --deployment my-haiku`

// text returns what a provider gets: method, URL, the headers of the key and the version, and the body.
func (a recordedRequest) text() string {
	scheme := "https://"
	if a.TLS == nil {
		scheme = "http://"
	}
	head := a.Method + " " + scheme + a.Host + a.URL.Path
	for _, name := range []string{"Authorization", "X-Api-Key", "Anthropic-Version", "Content-Type"} {
		for _, value := range a.Header.Values(name) {
			head += "\n" + strings.ToLower(name) + ": " + value
		}
	}
	return head + "\n" + a.body
}

// TestProviderRequests adds each provider and sends it a prompt, in each of its dialects, in every form, through a
// proxy that leads to a recorder: the second command prints the answer. Without a node in the file, the request is the
// same.
func TestProviderRequests(t *testing.T) {
	skipIfShort(t, "hundreds of calls")
	names := map[string]bool{}
	for line := range strings.Lines(strings.TrimSpace(providerRequests)) {
		words := strings.Fields(line)
		name, api, url, auth, model, variable, flags := words[0], words[1], words[2], words[3], words[4], words[5], words[6:]
		names[name] = true
		t.Run(name+"/"+api, func(t *testing.T) { askProvider(t, name, api, url, auth, model, variable, flags) })
	}
	var listed struct{ Providers []struct{ Name string } }
	check(t, json.Unmarshal([]byte(ferry(t, nil, "config", "add", "-o", "json").must().stdout), &listed))
	for _, p := range listed.Providers {
		errorIf(t, !names[p.Name], "%s is listed: got no request of it, want one", p.Name)
	}
}

func askProvider(t *testing.T, name, api, url, auth, model, variable string, flags []string) {
	host := strings.Split(url, "/")[2]
	ca := newAuthority(t, "providers", nil)
	node := serve(t, nil, overTLS(ca.issueFor(t, host)))
	proxy := connectProxy(t, nil, node.host)
	if strings.HasPrefix(url, "http:") {
		demo := demoNode(t)
		node = serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("X-Api-Key", "any") // which the demo node requires
			demo.ServeHTTP(w, r)
		}))
		proxy = node
	}
	vars := withConfig(t, "# mine\nproxy: "+proxy.URL+"\ntls: {ca: '"+ca.file+"'}\n", nil)
	vars[variable] = canaryKey
	key := map[string]string{"bearer": "\nauthorization: Bearer " + canaryKey, "x-api-key": "\nx-api-key: " + canaryKey, "none": ""}[auth]
	if api == "messages" {
		version := "2023-06-01"
		if name == "bedrock" || name == "azure" {
			version = "2026-10-21"
		}
		key += "\nanthropic-version: " + version
	}

	add := append([]string{"config", "add", name, "--api", api}, flags...)
	r := ferryIn(t, vars, func(e *cmd.Env) {
		if variable == "-" && auth != "none" {
			e.Stdin = strings.NewReader(canaryKey + "\n")
		}
	}, add...).want(0, "models", "node "+name+" is in ")
	lacks(t, "what config add says", r.stdout+r.stderr, canaryKey)
	models := strings.NewReplacer("/chat/completions", "/models", "/v1/messages", "/v1/models").Replace(url)
	equal(t, "the check of "+name, node.requests()[0].text(), "GET "+models+key+"\n")
	contains(t, "the file", read(t, vars["FERRY_CONFIG"]), "# mine\n")

	schema := filepath.Join(t.TempDir(), "schema.json")
	write(t, schema, `{"type":"object"}`)
	for form, args := range map[string][]string{
		"ask": {"ask"}, "system": {"ask", "-s", "Be brief."}, "stream": {"stream"}, "schema": {"ask", "--schema", schema},
	} {
		node.newRequests()
		args = append(slices.Clone(args), "-n", name, "hi")
		ferry(t, vars, args...)
		sent := node.newRequests()
		fatalIf(t, len(sent) != 1, "%s in form %s: got %d requests, want 1", name, form, len(sent))
		equal(t, name+" in form "+form, sent[0].text(), "POST "+url+key+"\ncontent-type: application/json\n"+providerBody(name, api, model, form))
	}
	ferry(t, vars, "ask", "-n", name, "hi").want(0, "You wrote", "")
	asked := node.newRequests()[0].text()

	vars["FERRY_CONFIG"] = withConfig(t, "proxy: "+proxy.URL+"\ntls: {ca: '"+ca.file+"'}\n", nil)["FERRY_CONFIG"]
	if slices.Contains([]string{"bedrock", "azure"}, name) {
		ferry(t, vars, "ask", "-n", name, "hi").fails(2, "hint: ferry config add "+name)
		return
	}
	ferry(t, vars, "ask", "-n", name, "--api", api, "-m", model, "hi").want(0, "You wrote", "ferry: "+name+" is not in the file: using ")
	equal(t, name+" without a configuration", node.last().text(), asked)
}

// providerBody returns the body of the prompt "hi" in one form.
func providerBody(name, api, model, form string) string {
	most := "max_tokens"
	if name == "openai" {
		most = "max_completion_tokens"
	}
	head := fmt.Sprintf(`{"model":"%s","%s":4096`, model, most)
	turns, tail := `{"role":"user","content":"hi"}`, fmt.Sprintf(`,"stream":%t`, form == "stream")
	if api == "messages" {
		switch form {
		case "system":
			head += `,"system":"Be brief."`
		case "schema":
			tail += `,"output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}}`
		}
		return head + `,"messages":[` + turns + `]` + tail + "}"
	}
	switch form {
	case "system":
		turns = `{"role":"system","content":"Be brief."},` + turns
	case "schema":
		tail += `,"response_format":{"type":"json_schema","json_schema":{"name":"answer","schema":{"type":"object"},"strict":true}}`
	case "stream":
		if name != "mistral" { // which rejects it
			tail += `,"stream_options":{"include_usage":true}`
		}
	}
	return head + `,"messages":[` + turns + `]` + tail + "}"
}

package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// facts are the providers' data of November 2026: name (vendor), chat, messages (how the key is sent), variable,
// model. An … stands for the host of chat.
const facts = `
openai | https://api.openai.com/v1 | – | OPENAI_API_KEY | gpt-6-luna
deepseek | https://api.deepseek.com | …/anthropic (x-api-key) | DEEPSEEK_API_KEY | deepseek-flash
qwen (DashScope) | https://dashscope.aliyuncs.com/compatible-mode/v1 | …/apps/anthropic (x-api-key) | DASHSCOPE_API_KEY | qwen3.6-flash
ernie (Qianfan) | https://qianfan.baidubce.com/v2 | – | QIANFAN_API_KEY | ernie-4.5-turbo-32k
kimi (Moonshot) | https://api.moonshot.cn/v1 | …/anthropic (Bearer) | MOONSHOT_API_KEY | kimi-k3
glm (Zhipu) | https://open.bigmodel.cn/api/paas/v4 | …/api/anthropic (x-api-key) | ZHIPU_API_KEY | glm-4.7-flash
minimax | https://api.minimaxi.com/v1 | …/anthropic (x-api-key) | MINIMAX_API_KEY | MiniMax-M3
doubao (Ark) | https://ark.cn-beijing.volces.com/api/v3 | …/api/compatible (Bearer) | ARK_API_KEY | doubao-seed-1-6-flash-250828
siliconflow | https://api.siliconflow.cn/v1 | … (Bearer) | SILICONFLOW_API_KEY | Qwen/Qwen3.5-4B
stepfun | https://api.stepfun.com/v1 | – | STEPFUN_API_KEY | step-3.5-flash
openrouter | https://openrouter.ai/api/v1 | …/api (Bearer) | OPENROUTER_API_KEY | –
gemini | https://generativelanguage.googleapis.com/v1beta/openai | – | GEMINI_API_KEY | gemini-3.5-flash-lite
xai | https://api.x.ai/v1 | – | XAI_API_KEY | grok-4.3
mistral | https://api.mistral.ai/v1 | – | MISTRAL_API_KEY | ministral-3b-latest
groq | https://api.groq.com/openai/v1 | – | GROQ_API_KEY | openai/gpt-oss-20b
ollama | http://127.0.0.1:11434/v1 | … (none) | – | –
llamacpp | http://127.0.0.1:8080/v1 | … (none) | – | –
vllm | http://127.0.0.1:8000/v1 | … (none) | – | –
lmstudio | http://127.0.0.1:1234/v1 | … (none) | – | –
bedrock (AWS) | – | https://bedrock-mantle.us-east-1.api.aws/anthropic (Bearer) | AWS_BEARER_TOKEN_BEDROCK | anthropic.claude-haiku-5-5
azure (Azure) | – | https://acme.services.ai.azure.com/anthropic (x-api-key) | – | my-haiku`

// TestProviders compares each provider's node with the facts, in each dialect.
func TestProviders(t *testing.T) {
	var names []string
	for line := range strings.Lines(strings.TrimSpace(facts)) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		for i := range cells {
			cells[i] = strings.TrimPrefix(cells[i], "–")
		}
		name, vendor, _ := strings.Cut(strings.TrimSuffix(cells[0], ")"), " (")
		names = append(names, name)
		p := must(FindProvider(name))(t)
		if vendor != "" {
			if _, err := FindProvider(vendor); err == nil || !strings.Contains(err.Error(), "did you mean "+name) && !strings.EqualFold(vendor, name) {
				t.Errorf("%s: got %v, want a hint at %s", vendor, err, name)
			}
		}
		chat := cells[1]
		messages, auth, _ := strings.Cut(strings.TrimSuffix(cells[2], ")"), " (")
		if rest, ok := strings.CutPrefix(messages, "…"); ok {
			scheme, host, _ := strings.Cut(chat, "://")
			host, _, _ = strings.Cut(host, "/")
			messages = scheme + "://" + host + rest
		}
		choice := map[string]Choice{"bedrock": {Region: "us-east-1"}, "azure": {Resource: "acme", Deployment: "my-haiku"}}[name]
		for api, address := range map[string]string{"chat": chat, "messages": messages} {
			choice.API = api
			fields, err := p.Fields(choice, nil)
			if address == "" {
				if err == nil {
					t.Errorf("%s speaks %s: got %v, want an error", name, api, fields)
				}
				continue
			}
			node := Node{fields: fields}
			node.read(node.setValue)
			wantAuth := strings.ToLower(auth)
			if api == "chat" && wantAuth != "none" {
				wantAuth = "bearer"
			}
			key := cells[3]
			if key != "" {
				key = "env:" + key
			}
			got := []string{node.URL, string(node.API), node.Auth.String(), string(node.Key), node.Model}
			if want := []string{address, api, wantAuth, key, cells[4]}; err != nil || !slices.Equal(got, want) {
				t.Errorf("%s in %s: got %q, %v, want %q", name, api, got, err, want)
			}
		}
	}
	if got := providerNames(); !slices.Equal(got, names) {
		t.Errorf("got the providers %q, want %q", got, names)
	}
}

// TestProviderChoice tests choices that are not valid for a provider, and the addresses outside China.
func TestProviderChoice(t *testing.T) {
	for _, tt := range []struct {
		name   string
		choice Choice
		env    string // the value of OPENAI_BASE_URL
		want   string // the address, or the error
	}{
		{"qwen", Choice{Region: "intl"}, "", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"},
		{"qwen", Choice{Region: "intl", API: "messages"}, "", "https://dashscope-intl.aliyuncs.com/apps/anthropic"},
		{"kimi", Choice{Region: "intl"}, "", "https://api.moonshot.ai/v1"},
		{"kimi", Choice{Region: "intl", API: "messages"}, "", "https://api.moonshot.ai/anthropic"},
		{"glm", Choice{Region: "intl"}, "", "https://api.z.ai/api/paas/v4"},
		{"glm", Choice{Region: "intl", API: "messages"}, "", "https://api.z.ai/api/anthropic"},
		{"openai", Choice{}, "https://proxy.example.com/v1", "https://proxy.example.com/v1"},
		{"openai", Choice{}, "proxy.example.com", "invalid OPENAI_BASE_URL"},
		{"groq", Choice{}, "https://proxy.example.com/v1", "https://api.groq.com/openai/v1"},
		{"glm", Choice{Region: "us"}, "", `invalid --region "us": use intl`},
		{"openai", Choice{Region: "intl"}, "", `invalid --region "intl": openai takes none`},
		{"openai", Choice{Resource: "acme"}, "", `invalid --resource "acme": openai takes none`},
		{"openai", Choice{Deployment: "x"}, "", `invalid --deployment "x": openai takes none`},
		{"openai", Choice{API: "messages"}, "", `invalid --api "messages": openai speaks chat`},
		{"kimi", Choice{API: "complete"}, "", `invalid --api "complete": kimi speaks chat and messages`},
		{"bedrock", Choice{}, "", "bedrock needs --region"},
		{"bedrock", Choice{Region: "x.evil.com/"}, "", "use letters, digits and -"},
		{"azure", Choice{Deployment: "x"}, "", "azure needs --resource"},
		{"azure", Choice{Resource: "acme"}, "", "azure needs --deployment"},
		{"azure", Choice{Resource: "a/b", Deployment: "x"}, "", "use letters, digits and -"},
		{"azure", Choice{Resource: "acme", Deployment: "x", Region: "r"}, "", "azure takes none"},
	} {
		fields, err := must(FindProvider(tt.name))(t).Fields(tt.choice, vars("OPENAI_BASE_URL", tt.env))
		got := fmt.Sprint(err)
		if err == nil {
			got = fields[0].Value
		}
		if !strings.Contains(got, tt.want) || err == nil && got != tt.want {
			t.Errorf("%s %+v: got %q, want %q", tt.name, tt.choice, got, tt.want)
		}
	}
}

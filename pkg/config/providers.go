package config

import (
	"cmp"
	"slices"
	"strings"

	"ferry/pkg/text"
	"ferry/pkg/wire"
)

// Provider is a widely used API: everything that a node for it needs except the key.
type Provider struct {
	Name, Vendor string
	// Chat and Messages are its addresses for these dialects, "" if it has none. The user supplies REGION and RESOURCE in
	// them.
	Chat, Messages string
	// Intl is its host outside China, "" if there is no other.
	Intl string
	// Variable is the environment variable from which the provider's own tools read the key, "" if unknown. BaseVariable
	// is the variable for another address.
	Variable, BaseVariable string
	// Bearer reports whether its messages address takes the key as a Bearer token. Its chat address always does.
	Bearer bool
	// Claude reports whether its models are Claude, which supports the newest version of its API.
	Claude bool
	// Local reports whether it is a server on this machine, which needs no key.
	Local bool
	// Model is a cheap model, "" if the user has to choose.
	Model string
}

// providers are in display order. Their data is from November 2026; a test checks it.
var providers = []Provider{
	{Name: "openai", Vendor: "OpenAI", Chat: "https://api.openai.com/v1",
		Variable: "OPENAI_API_KEY", BaseVariable: "OPENAI_BASE_URL", Model: "gpt-6-luna"},
	{Name: "deepseek", Vendor: "DeepSeek", Chat: "https://api.deepseek.com", Messages: "https://api.deepseek.com/anthropic",
		Variable: "DEEPSEEK_API_KEY", Model: "deepseek-flash"},
	{Name: "qwen", Vendor: "DashScope", Chat: "https://dashscope.aliyuncs.com/compatible-mode/v1",
		Messages: "https://dashscope.aliyuncs.com/apps/anthropic", Intl: "dashscope-intl.aliyuncs.com",
		Variable: "DASHSCOPE_API_KEY", Model: "qwen3.6-flash"},
	{Name: "ernie", Vendor: "Qianfan", Chat: "https://qianfan.baidubce.com/v2",
		Variable: "QIANFAN_API_KEY", Model: "ernie-4.5-turbo-32k"},
	{Name: "kimi", Vendor: "Moonshot", Chat: "https://api.moonshot.cn/v1", Messages: "https://api.moonshot.cn/anthropic",
		Intl: "api.moonshot.ai", Variable: "MOONSHOT_API_KEY", Bearer: true, Model: "kimi-k3"},
	{Name: "glm", Vendor: "Zhipu", Chat: "https://open.bigmodel.cn/api/paas/v4",
		Messages: "https://open.bigmodel.cn/api/anthropic", Intl: "api.z.ai",
		Variable: "ZHIPU_API_KEY", Model: "glm-4.7-flash"},
	{Name: "minimax", Vendor: "MiniMax", Chat: "https://api.minimaxi.com/v1", Messages: "https://api.minimaxi.com/anthropic",
		Variable: "MINIMAX_API_KEY", Model: "MiniMax-M3"},
	{Name: "doubao", Vendor: "Ark", Chat: "https://ark.cn-beijing.volces.com/api/v3",
		Messages: "https://ark.cn-beijing.volces.com/api/compatible",
		Variable: "ARK_API_KEY", Bearer: true, Model: "doubao-seed-1-6-flash-250828"},
	{Name: "siliconflow", Vendor: "SiliconFlow", Chat: "https://api.siliconflow.cn/v1", Messages: "https://api.siliconflow.cn",
		Variable: "SILICONFLOW_API_KEY", Bearer: true, Model: "Qwen/Qwen3.5-4B"},
	{Name: "stepfun", Vendor: "StepFun", Chat: "https://api.stepfun.com/v1",
		Variable: "STEPFUN_API_KEY", Model: "step-3.5-flash"},
	{Name: "openrouter", Vendor: "OpenRouter", Chat: "https://openrouter.ai/api/v1", Messages: "https://openrouter.ai/api",
		Variable: "OPENROUTER_API_KEY", Bearer: true},
	{Name: "gemini", Vendor: "Google", Chat: "https://generativelanguage.googleapis.com/v1beta/openai",
		Variable: "GEMINI_API_KEY", Model: "gemini-3.5-flash-lite"},
	{Name: "xai", Vendor: "xAI", Chat: "https://api.x.ai/v1", Variable: "XAI_API_KEY", Model: "grok-4.3"},
	{Name: "mistral", Vendor: "Mistral", Chat: "https://api.mistral.ai/v1",
		Variable: "MISTRAL_API_KEY", Model: "ministral-3b-latest"},
	{Name: "groq", Vendor: "Groq", Chat: "https://api.groq.com/openai/v1",
		Variable: "GROQ_API_KEY", Model: "openai/gpt-oss-20b"},
	{Name: "ollama", Vendor: "Ollama", Chat: "http://127.0.0.1:11434/v1", Messages: "http://127.0.0.1:11434", Local: true},
	{Name: "llamacpp", Vendor: "llama.cpp", Chat: "http://127.0.0.1:8080/v1", Messages: "http://127.0.0.1:8080", Local: true},
	{Name: "vllm", Vendor: "vLLM", Chat: "http://127.0.0.1:8000/v1", Messages: "http://127.0.0.1:8000", Local: true},
	{Name: "lmstudio", Vendor: "LM Studio", Chat: "http://127.0.0.1:1234/v1", Messages: "http://127.0.0.1:1234", Local: true},
	{Name: "bedrock", Vendor: "AWS", Messages: "https://bedrock-mantle.REGION.api.aws/anthropic",
		Variable: "AWS_BEARER_TOKEN_BEDROCK", Bearer: true, Claude: true, Model: "anthropic.claude-haiku-5-5"},
	{Name: "azure", Vendor: "Azure", Messages: "https://RESOURCE.services.ai.azure.com/anthropic", Claude: true},
}

// Providers returns all known providers, in display order.
func Providers() []Provider { return slices.Clone(providers) }

// FindProvider returns the provider of a name. If there is none, it returns an *Error with the nearest name, or with
// the provider whose vendor has the name.
func FindProvider(name string) (Provider, error) {
	names := providerNames()
	if i := slices.Index(names, name); i >= 0 {
		return providers[i], nil
	}
	near := didYouMean("", name, names)
	for _, p := range providers {
		if strings.EqualFold(p.Name, name) || strings.EqualFold(p.Vendor, name) {
			near = "; did you mean " + p.Name + "?"
		}
	}
	hint := "ferry config add lists them; ferry config add https://… adds any other"
	switch {
	case strings.ContainsAny(name, ".:/"):
		hint = "an address begins with https:// or http://"
	case slices.Contains([]string{"anthropic", "claude"}, strings.ToLower(name)):
		near, hint = "", "Claude's own API is the node direct, which is built in: "+text.SetVariable("ANTHROPIC_API_KEY", "…")
	}
	return Provider{}, newError("unknown provider "+shownKey(name)+near, hint)
}

// Choice is the user's settings for a node of a provider. An empty field was not set.
type Choice struct{ API, Region, Resource, Deployment, Model string }

// APIs returns the dialects that the provider supports, the default first.
func (p Provider) APIs() []string {
	var apis []string
	if p.Chat != "" {
		apis = append(apis, string(wire.Chat))
	}
	if p.Messages != "" {
		apis = append(apis, string(wire.Messages))
	}
	return apis
}

// Fields returns the keys of a node for the provider and their values, in the order for config set. It returns an
// *Error if the choice is not valid for the provider.
func (p Provider) Fields(c Choice, lookup Lookup) ([]Entry, error) {
	apis := p.APIs()
	api := cmp.Or(c.API, apis[0])
	if !slices.Contains(apis, api) {
		return nil, newError(p.Name+" speaks "+strings.Join(apis, " and "), "").given("--api", api)
	}
	messages := api == string(wire.Messages)
	address, origin := p.Chat, builtIn
	if messages {
		address = p.Messages
	}
	address, err := p.place(address, c)
	if err != nil {
		return nil, err
	}
	if base := lookup.Get(p.BaseVariable); base != "" {
		if err := checkURL(base); err != nil {
			return nil, err.given(p.BaseVariable, base)
		}
		address, origin = base, p.BaseVariable
	}
	fields := []Entry{{"url", address, origin}, {"api", api, builtIn}}
	add := func(wanted bool, field, value string) {
		if wanted {
			fields = append(fields, Entry{field, value, builtIn})
		}
	}
	model := cmp.Or(c.Model, c.Deployment, p.Model)
	add(p.Variable != "", "key", "env:"+p.Variable)
	add(p.Local, "auth", AuthNone)
	add(messages && p.Bearer, "auth", AuthBearer)
	add(messages && !p.Claude, "version", "2023-06-01") // the version that all translating providers support
	add(model != "", "model", model)
	return fields, nil
}

const builtIn = "built in"

// place inserts the user's region or resource into an address.
func (p Provider) place(address string, c Choice) (string, *Error) {
	if c.Region != "" && p.Intl != "" {
		if c.Region != "intl" {
			return "", newError("use intl, or leave it out", "").given("--region", c.Region)
		}
		_, path, _ := strings.Cut(strings.TrimPrefix(address, "https://"), "/")
		address, c.Region = "https://"+p.Intl+"/"+path, ""
	}
	for _, part := range []struct{ flag, value, word, example string }{
		{"--region", c.Region, "REGION", "--region us-east-1"},
		{"--resource", c.Resource, "RESOURCE", "--resource NAME --deployment NAME"},
		{"--deployment", c.Deployment, "RESOURCE", "--resource NAME --deployment NAME"},
	} {
		switch takes := strings.Contains(p.Messages, part.word); {
		case takes && part.value == "":
			return "", newError(p.Name+" needs "+part.flag, "ferry config add "+p.Name+" "+part.example)
		case !takes && part.value != "":
			return "", newError(p.Name+" takes none", "").given(part.flag, part.value)
		case part.flag == "--deployment":
		case takes && (!containsOnly(part.value, alphanumeric+"-") || strings.Trim(part.value, "-") != part.value):
			return "", newError("use letters, digits and -", "").given(part.flag, part.value)
		case takes:
			address = strings.Replace(address, part.word, part.value, 1)
		}
	}
	return address, nil
}

func providerNames() []string {
	var names []string
	for _, p := range providers {
		names = append(names, p.Name)
	}
	return names
}

// ReadyProviders returns the names of the providers that are nodes without a file, because their variable is set.
func ReadyProviders(lookup Lookup) []string {
	var names []string
	for _, p := range providers {
		if lookup.Get(p.Variable) != "" && p.Chat != "" { // otherwise its address needs a word from the user
			names = append(names, p.Name)
		}
	}
	return names
}

// providerNode returns the node of a provider if the file has no node of that name. Its key comes only from its
// variable.
func (v *Values) providerNode(name, api string) (Node, error) {
	i := slices.Index(providerNames(), name)
	fields, err := providers[i].Fields(Choice{API: api}, v.lookup)
	return Node{Name: name, Provider: true, fields: fields}, err
}

package demo

import "time"

// released is the creation time that every listed model has; nothing should depend on it.
var released = time.Date(2026, time.October, 21, 0, 0, 0, 0, time.UTC)

type anthropicModel struct {
	Type    string `json:"type"`
	ID      string `json:"id"`
	Name    string `json:"display_name"`
	Created string `json:"created_at"`
}

type anthropicModels struct {
	Data    []anthropicModel `json:"data"`
	HasMore bool             `json:"has_more"`
	FirstID string           `json:"first_id"`
	LastID  string           `json:"last_id"`
}

type openAIModel struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	Owner   string `json:"owned_by"`
}

type openAIModels struct {
	Object string        `json:"object"`
	Data   []openAIModel `json:"data"`
}

// models sends the list in the shape of the client's API. Any other model's name is answered to as well.
func (x *exchange) models() {
	if x.openAI() {
		list := openAIModels{Object: "list"}
		for _, id := range []string{"qwen-plus", "ernie-4.5-turbo-32k", "llama3.2"} {
			list.Data = append(list.Data, openAIModel{id, "model", released.Unix(), "demo"})
		}
		x.deliver(payload{head: encode(list)})
		return
	}
	if failure := checkVersion(x.r.Header.Values("Anthropic-Version")); failure != nil {
		x.fail(failure)
		return
	}
	list := anthropicModels{FirstID: "claude-opus-5-5", LastID: "claude-haiku-5-5"}
	for _, m := range [][2]string{
		{"claude-opus-5-5", "Claude Opus 5.5"}, {"claude-sonnet-5-5", "Claude Sonnet 5.5"}, {"claude-haiku-5-5", "Claude Haiku 5.5"},
	} {
		list.Data = append(list.Data, anthropicModel{"model", m[0], m[1], released.Format(time.RFC3339)})
	}
	x.deliver(payload{head: encode(list)})
}

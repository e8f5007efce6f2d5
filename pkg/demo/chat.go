package demo

import "encoding/json"

// chat is the OpenAI-style dialect.
type chat struct {
	usage bool // stream_options.include_usage
}

type chatUsage struct {
	Prompt     int64 `json:"prompt_tokens"`
	Completion int64 `json:"completion_tokens"`
	Total      int64 `json:"total_tokens"`
}

type chatMessage struct {
	Role    string  `json:"role"`
	Content string  `json:"content"`
	Refusal *string `json:"refusal"`
}

type chatDelta struct {
	Role    string  `json:"role,omitempty"`
	Content *string `json:"content,omitempty"`
}

type chatChoice struct {
	Index    int          `json:"index"`
	Message  *chatMessage `json:"message,omitempty"`
	Delta    *chatDelta   `json:"delta,omitempty"`
	Logprobs *string      `json:"logprobs"`
	Finish   *string      `json:"finish_reason"`
}

type chatCompletion struct {
	ID      string       `json:"id"`
	Object  string       `json:"object"`
	Created int64        `json:"created"`
	Model   string       `json:"model"`
	Choices []chatChoice `json:"choices"`
	// Usage is absent, null or an object, and clients tell the three apart.
	Usage json.RawMessage `json:"usage,omitempty"`
}

func (chat) count(a answer) json.RawMessage {
	return encode(chatUsage{a.in, a.out, a.in + a.out})
}

func (chat) finish(a answer) *string {
	reason := "stop"
	if a.cut {
		reason = "length"
	}
	return &reason
}

func (d chat) body(a answer, object string, choices ...chatChoice) chatCompletion {
	return chatCompletion{ID: "chatcmpl-" + a.id, Object: object, Created: a.created.Unix(), Model: a.model, Choices: choices}
}

func (d chat) reply(a answer) any {
	c := d.body(a, "chat.completion", chatChoice{
		Message: &chatMessage{Role: "assistant", Content: a.content()},
		Finish:  d.finish(a),
	})
	c.Usage = d.count(a)
	return c
}

func (d chat) chunk(a answer, choices ...chatChoice) frame {
	c := d.body(a, "chat.completion.chunk", choices...)
	if d.usage {
		c.Usage = json.RawMessage("null")
	}
	return frame{data: c}
}

func (d chat) open(a answer) []frame {
	empty := ""
	return []frame{d.chunk(a, chatChoice{Delta: &chatDelta{Role: "assistant", Content: &empty}})}
}

func (d chat) delta(a answer, piece string) frame {
	return d.chunk(a, chatChoice{Delta: &chatDelta{Content: &piece}})
}

func (d chat) end(a answer) []frame {
	frames := []frame{d.chunk(a, chatChoice{Delta: &chatDelta{}, Finish: d.finish(a)})}
	if d.usage {
		c := d.body(a, "chat.completion.chunk")
		c.Choices = []chatChoice{} // an empty list, not null
		c.Usage = d.count(a)
		frames = append(frames, frame{data: c})
	}
	return append(frames, frame{literal: "data: [DONE]"})
}

// ping is a comment: the dialect has no event for it, and this is what proxies send.
func (chat) ping() frame { return frame{literal: ": ping"} }

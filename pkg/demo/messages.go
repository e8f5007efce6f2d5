package demo

// messages is the dialect of Claude's messages API.
type messages struct{}

type textBlock struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type messagesUsage struct {
	Input         int64 `json:"input_tokens"`
	CacheCreation int64 `json:"cache_creation_input_tokens"`
	CacheRead     int64 `json:"cache_read_input_tokens"`
	Output        int64 `json:"output_tokens"`
}

type message struct {
	ID           string        `json:"id"`
	Type         string        `json:"type"`
	Role         string        `json:"role"`
	Model        string        `json:"model"`
	Content      []textBlock   `json:"content"`
	StopReason   *string       `json:"stop_reason"`
	StopSequence *string       `json:"stop_sequence"`
	Usage        messagesUsage `json:"usage"`
}

func (messages) usage(a answer) messagesUsage {
	return messagesUsage{Input: a.in, Output: a.out}
}

func (messages) stopReason(a answer) *string {
	reason := "end_turn"
	if a.cut {
		reason = "max_tokens"
	}
	return &reason
}

func (d messages) message(a answer, content []textBlock) message {
	return message{ID: "msg_" + a.id, Type: "message", Role: "assistant", Model: a.model, Content: content, Usage: d.usage(a)}
}

func (d messages) reply(a answer) any {
	m := d.message(a, []textBlock{{"text", a.content()}})
	m.StopReason = d.stopReason(a)
	return m
}

func (d messages) open(a answer) []frame {
	start := d.message(a, []textBlock{})
	start.Usage.Output = min(a.out, 1) // what the API has made when it says so; message_delta has the total
	return []frame{
		{event: "message_start", data: struct {
			Type    string  `json:"type"`
			Message message `json:"message"`
		}{"message_start", start}},
		{event: "content_block_start", data: struct {
			Type  string    `json:"type"`
			Index int       `json:"index"`
			Block textBlock `json:"content_block"`
		}{"content_block_start", 0, textBlock{Type: "text"}}},
		d.ping(),
	}
}

func (messages) delta(_ answer, piece string) frame {
	return frame{event: "content_block_delta", data: struct {
		Type  string    `json:"type"`
		Index int       `json:"index"`
		Delta textBlock `json:"delta"`
	}{"content_block_delta", 0, textBlock{"text_delta", piece}}}
}

func (d messages) end(a answer) []frame {
	type stop struct {
		StopReason   *string `json:"stop_reason"`
		StopSequence *string `json:"stop_sequence"`
	}
	return []frame{
		{event: "content_block_stop", data: struct {
			Type  string `json:"type"`
			Index int    `json:"index"`
		}{"content_block_stop", 0}},
		{event: "message_delta", data: struct {
			Type  string        `json:"type"`
			Delta stop          `json:"delta"`
			Usage messagesUsage `json:"usage"`
		}{"message_delta", stop{StopReason: d.stopReason(a)}, d.usage(a)}},
		{event: "message_stop", data: map[string]string{"type": "message_stop"}},
	}
}

func (messages) ping() frame {
	return frame{event: "ping", data: map[string]string{"type": "ping"}}
}

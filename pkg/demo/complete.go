package demo

// complete is the dialect of the script's gateways: a prompt in, a completion out.
type complete struct{}

type completeUsage struct {
	Input  int64 `json:"input_tokens"`
	Output int64 `json:"output_tokens"`
}

type completion struct {
	ID         string         `json:"id"`
	Type       string         `json:"type"`
	Model      string         `json:"model"`
	Completion string         `json:"completion"`
	StopReason *string        `json:"stop_reason"`
	Usage      *completeUsage `json:"usage,omitempty"`
}

func (complete) part(a answer, text string) completion {
	return completion{ID: "compl_" + a.id, Type: "completion", Model: a.model, Completion: text}
}

func (d complete) last(a answer, text string) completion {
	c := d.part(a, text)
	reason := "stop_sequence" // what this API says of an answer that ended by itself
	if a.cut {
		reason = "max_tokens"
	}
	c.StopReason = &reason
	c.Usage = &completeUsage{a.in, a.out}
	return c
}

func (d complete) reply(a answer) any { return d.last(a, a.content()) }

func (complete) open(answer) []frame { return nil }

func (d complete) delta(a answer, piece string) frame {
	return frame{event: "completion", data: d.part(a, piece)}
}

func (d complete) end(a answer) []frame {
	return []frame{{event: "completion", data: d.last(a, "")}}
}

func (complete) ping() frame {
	return frame{event: "ping", data: map[string]string{"type": "ping"}}
}

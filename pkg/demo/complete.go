package demo

import "fmt"

// complete is the API of the gateways that the bash script before ferry used: a prompt in, a completion out. It embeds
// messages for ping and the model list.
type complete struct{ messages }

// completeDefault is max_tokens if the request has none: the same default as in the script.
const completeDefault = 100

// defaultModel is the model if the request names none.
const defaultModel = "demo"

func (complete) parse(r *requestBody) prompt {
	r.parse()
	p := prompt{model: defaultModel, limit: completeDefault}
	r.take("prompt", &p.text, "string", true)
	if p.text == "" {
		r.fail("prompt", "prompt: Input should not be empty")
	}
	_, p.in = cutTokens(p.text, 0)
	r.takeModel(&p.model, false)
	r.takeTokens("max_tokens", &p.limit, false)
	r.take("stream", &p.stream, "boolean", false)
	return p
}

// prefix returns a completion up to its text, and suffix returns the rest.
func (complete) prefix(a answer) string {
	return fmt.Sprintf(`{"id":"compl_%s","type":"completion","model":%s,"completion":`, a.id, quote(a.model))
}

func (complete) suffix(a answer) string {
	// In this API, a normal end is reported as stop_sequence.
	return fmt.Sprintf(`,"stop_reason":%q,"usage":{"input_tokens":%d,"output_tokens":%d}}`,
		a.reason("stop_sequence", "max_tokens"), a.in, a.out)
}

func (d complete) reply(a answer) (head, tail string) { return d.prefix(a) + `"`, `"` + d.suffix(a) }

func (complete) open(answer) []string { return nil }

func (d complete) delta(a answer, piece string) string {
	return event("completion", d.prefix(a)+quote(piece)+`,"stop_reason":null}`)
}

func (d complete) end(a answer) []string {
	return []string{event("completion", d.prefix(a)+`""`+d.suffix(a))}
}

func (complete) failure(e *apiError, _ string) string {
	return fmt.Sprintf(`{"error":{"type":%q,"message":%s}}`, anthropicType(e.status), quote(e.message))
}

package demo

import "fmt"

// complete is the dialect of the script's gateways: a prompt in, a completion out. It has the pings and models of
// messages.
type complete struct{ messages }

// completeDefault is max_tokens when the request does not say: the script's own.
const completeDefault = 100

// defaultModel answers a request that names none.
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

// begin is a completion up to its text, and stop its end.
func (complete) begin(a answer) string {
	return fmt.Sprintf(`{"id":"compl_%s","type":"completion","model":%s,"completion":`, a.id, quote(a.model))
}

func (complete) stop(a answer) string {
	// An answer that ended by itself says stop_sequence in this API.
	return fmt.Sprintf(`,"stop_reason":%q,"usage":{"input_tokens":%d,"output_tokens":%d}}`,
		a.reason("stop_sequence", "max_tokens"), a.in, a.out)
}

func (d complete) reply(a answer) (head, tail string) { return d.begin(a) + `"`, `"` + d.stop(a) }

func (complete) open(answer) []string { return nil }

func (d complete) delta(a answer, piece string) string {
	return event("completion", d.begin(a)+quote(piece)+`,"stop_reason":null}`)
}

func (d complete) end(a answer) []string {
	return []string{event("completion", d.begin(a)+`""`+d.stop(a))}
}

func (complete) failure(e *apiError, _ string) string {
	return fmt.Sprintf(`{"error":{"type":%q,"message":%s}}`, anthropicType(e.status), quote(e.message))
}

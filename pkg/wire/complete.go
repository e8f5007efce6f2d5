package wire

import "errors"

// Complete is the dialect of the bash script that ferry replaces: a prompt and max_tokens.
const Complete API = "complete"

type complete struct{}

func (complete) Facts() Facts {
	return Facts{
		Path: "/v1/complete", ModelsPath: "/v1/models", Model: ModelNone, MaxTokens: 100, // as in the script
		prompt: "prompt", stopName: "stop_reason", bodyStatus: true,
	}
}

func (complete) encode(r Request) (members, error) {
	what := ""
	switch {
	case r.System != "":
		what = "system prompt"
	case len(r.Turns) > 0:
		what = "earlier turns"
	case len(r.Files) > 0:
		what = "pictures and documents"
	case r.Schema != nil:
		what = "JSON schema"
	}
	if what != "" {
		return nil, &UnsupportedError{
			API: Complete, What: what, hint: "the messages and chat apis have it: use a node with one of them",
		}
	}
	out := members{{"prompt", r.Prompt}, {"max_tokens", r.MaxTokens}} // the same members as in the script
	if r.Model != "" {
		out = append(out, member{"model", r.Model})
	}
	if r.Stream {
		out = append(out, member{"stream", true})
	}
	return out.sampling(r, "stop_sequences"), nil
}

func (complete) decode(in object, a *Answer, u *counts) *NotAnswerError {
	u.add(in["usage"])
	a.StopReason = stringOf(in["stop_reason"])
	if !isText(in["completion"]) {
		return &NotAnswerError{Reason: "no completion in the answer", WrongShape: true}
	}
	a.Text = string(unquote(in["completion"]))
	return nil
}

// completeReader reads completions. A completion with a stop_reason is the last one: nothing else ends this dialect's
// stream. Some gateways send an empty stop_reason instead of null.
type completeReader struct {
	s       *Stream
	ids     idReader
	started bool // a completion arrived

	completion, stop []byte
}

func (complete) reader(s *Stream) (reader, []field) {
	r := &completeReader{s: s}
	return r, []field{{name: "completion", to: &r.completion}, {name: "stop_reason", to: &r.stop}}
}

func (r *completeReader) reset() { r.completion, r.stop = nil, nil }

func (complete) knows(name []byte) bool { return string(name) == "completion" }

func (r *completeReader) isAnswer([]byte) bool { return r.completion != nil || r.stop != nil }

func (r *completeReader) isEnd() bool { return r.s.ended }

var errNoText = errors.New("a stop reason without a completion")

func (r *completeReader) read(event) (Delta, error) {
	s := r.s
	s.identify()
	r.started = r.started || isText(r.completion)
	delta := Delta{Text: s.addText(s.text.read(r.completion))}
	if r.ids.isSecond(s, len(delta.Text) > 0) {
		return Delta{}, s.truncated(errSpliced)
	}
	if err := s.stopped(r.stop, true); err != nil || !s.ended {
		return delta, err
	}
	return delta, s.finish(r.started, errNoText)
}

package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Delta is what one event added to the answer. An event that adds nothing, such as a ping, gives an empty one.
type Delta struct {
	// Text is of the answer, Reasoning of the thinking before it: whole UTF-8 characters, valid until the next call of
	// Next.
	Text, Reasoning []byte
}

// Stream reads one answer from an event stream.
type Stream struct {
	api    API
	events *eventReader
	chunk  chunk
	err    error // what Next gives from now on

	id, model, stop string
	started         bool // messages: message_start came; complete: a completion came
	refused, spoke  bool // chat: a refusal, a content came

	usage    *messagesUsage // of messages, put together from two events
	rawUsage []byte         // of the others, the last one that came

	text, reasoning []byte // what had to be unescaped
}

// NewStream reads the dialect's event stream from r.
func (a API) NewStream(r io.Reader) *Stream { return &Stream{api: a, events: newEventReader(r)} }

// Next reads one event and gives what it added. It returns after every event, pings too, so that a caller can take each
// as a sign of life.
//
// The error is io.EOF once the answer is whole, and only then: its terminal event came with the blank line behind it.
// Nothing is read after that event. A proxy turns a stream that its upstream cut into one that ends well, so the end of
// the reader proves nothing. Any other end is a *CutError, a *MalformedError, a *LimitError, or an *APIError for an
// error that came inside the HTTP 200. Every later call gives the same error.
func (s *Stream) Next() (Delta, error) {
	if s.err != nil {
		return Delta{}, s.err
	}
	e, err := s.events.Next()
	if err != nil {
		s.err = s.ended(err)
		return Delta{}, s.err
	}
	delta, err := s.read(e)
	if err != nil {
		s.err = err
		return Delta{}, err
	}
	return delta, nil
}

// Buffered reports whether Next can give at least one more event without another Read. It is false once the answer is
// whole, so a writer that flushes when it is false has put out everything.
func (s *Stream) Buffered() bool { return s.err == nil && s.events.Buffered() }

// Events counts the events so far.
func (s *Stream) Events() int { return s.events.Count() }

// Answer is what is known of the answer so far. Its Text is empty: the caller has it, piece by piece.
func (s *Stream) Answer() Answer {
	out := Answer{ID: s.id, Model: s.model, StopReason: s.stop}
	switch {
	case s.usage != nil:
		out.Usage = s.usage.sum()
	case s.rawUsage == nil:
	case s.api == Chat:
		out.Usage = chatUsage(object{"usage": s.rawUsage})
	default:
		out.Usage = usage(object{"usage": s.rawUsage})
	}
	if s.refused && !s.spoke && s.stop == "stop" {
		out.StopReason = "refusal"
	}
	return out
}

// ended makes the error of a stream that the reader ended. Only a limit of ferry's own is no cut.
func (s *Stream) ended(err error) error {
	var limit *LimitError
	if errors.As(err, &limit) {
		return err
	}
	if err == io.EOF { //nolint:errorlint // a wrapped io.EOF is a reader's failure, not the end
		err = nil
	}
	return s.cut(err)
}

func (s *Stream) cut(err error) error { return &CutError{Events: s.events.Count(), Err: err} }

// finish makes the answer whole, or says why it is not.
func (s *Stream) finish(whole bool, otherwise error) error {
	if !whole {
		return s.cut(otherwise)
	}
	s.err = io.EOF
	return nil
}

// Ends that prove nothing: the server says that it is done, and what it sent is no whole answer.
var (
	errNoStart = errors.New("message_stop without a message_start")
	errEarly   = errors.New("[DONE] before the end of the answer")
	errNoText  = errors.New("a stop reason without a completion")
)

// done is what the OpenAI-style servers send last.
const done = "[DONE]"

func (s *Stream) read(e event) (Delta, error) {
	word := bytes.TrimSpace(e.Data)
	switch {
	case e.Name == "error":
		s.chunk.read(s.api, e.Data)
		return Delta{}, s.chunk.apiError(s.api, e.Data)
	case e.Name == "ping" || len(word) == 0: // some gateways keep a line alive with bare data lines
		return Delta{}, nil
	case string(word) == done:
		return Delta{}, s.finish(s.api == Chat && s.stop != "", errEarly)
	case !s.api.knows(e.Name):
		return Delta{}, nil
	case !s.chunk.read(s.api, e.Data):
		return Delta{}, s.malformed(e)
	case s.chunk.failed(s.api, e.Name):
		return Delta{}, s.chunk.apiError(s.api, e.Data)
	}
	switch s.api {
	case Complete:
		return s.readComplete()
	case Chat:
		return s.readChat(), nil
	default:
		return s.readMessages(e)
	}
}

func (s *Stream) malformed(e event) error {
	return &MalformedError{Event: s.events.Count(), Body: bytes.Clone(e.Data)}
}

// knows reports whether the dialect has events of the name. "" and "message" are the standard's names for one without a
// name: its data say what it is. The standard and the vendors ask for others to be ignored.
func (a API) knows(name string) bool {
	switch name {
	case "", "message":
		return true
	case "completion":
		return a == Complete
	case "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop":
		return a == Messages
	}
	return a == Chat // which has no names: a gateway that gives its chunks one means chunks
}

// CutError is a stream that ended before the answer was whole.
type CutError struct {
	// Events is how many came.
	Events int
	// Err is the error of the reader, or what is wrong with the end that came; nil where the stream just ended.
	Err error
}

func (e *CutError) Error() string {
	events := "events"
	if e.Events == 1 {
		events = "event"
	}
	if e.Err != nil {
		return fmt.Sprintf("cut after %d %s: %v", e.Events, events, e.Err)
	}
	return fmt.Sprintf("cut after %d %s", e.Events, events)
}

// Unwrap gives Err.
func (e *CutError) Unwrap() error { return e.Err }

// MalformedError is an event whose data are not the JSON that they should be.
type MalformedError struct {
	// Event is its number, from 1.
	Event int
	// Body is its data, raw.
	Body []byte
}

func (e *MalformedError) Error() string {
	return fmt.Sprintf("event %d of the stream is malformed", e.Event)
}

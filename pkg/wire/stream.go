package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"ferry/pkg/text"
)

// Delta is what one event added to the answer. An event that adds nothing, such as a ping, gives an empty one.
type Delta struct {
	// Text is of the answer, Reasoning of the thinking before it, valid until the next call of Next. They are whole UTF-8
	// characters unless the server sent bytes that are not UTF-8, which are kept.
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
	// ended says that a stop reason came and no text since; settled that nothing but a formal end is to come.
	ended, settled bool
	// closing says that a chunk with the usage and without choices came last, which is the end that some servers make.
	closing bool
	// spoke and thought say that text and reasoning came; refused that a refusal did, and answered that other text did.
	spoke, thought, refused, answered bool
	counted                           bool // chat: a usage came

	ids             idReader
	counts          counts
	text, reasoning textReader
	choice          choiceReader
}

// NewStream reads the dialect's event stream from r.
func (a API) NewStream(r io.Reader) *Stream {
	events := newEventReader(r)
	events.tolerant = true
	return &Stream{api: a, events: events, counts: noCounts()}
}

// Next reads one event and gives what it added. It returns after every event, pings too, so that a caller can take each
// as a sign of life.
//
// The error is io.EOF once the answer is whole, and only then: the server said that it ended, by the dialect's last event
// or by a stop reason behind which the stream ended. A proxy turns a stream that its upstream cut into one that ends
// well, so the end of the reader alone proves nothing. Any other end is a *CutError, a *MalformedError, a *text.LimitError, or
// an *APIError for an error that came inside the HTTP 200. What came with the last event is given beside it. Every later
// call gives the same error.
func (s *Stream) Next() (Delta, error) {
	if s.err != nil {
		return Delta{}, s.err
	}
	e, err := s.events.Next()
	if err == io.EOF { //nolint:errorlint // a wrapped io.EOF is a reader's failure, not the end
		if rest, ok := s.events.Rest(); ok && isComplete(rest) {
			e, err = rest, nil
		}
	}
	var delta Delta
	if err != nil {
		s.err = s.over(err)
	} else if delta, err = s.read(e); err != nil {
		s.err = err
	}
	if s.err == io.EOF { //nolint:errorlint // of a stream that was cut, half a character is not shown
		delta.Text = append(delta.Text[:len(delta.Text):len(delta.Text)], s.text.end()...)
	}
	s.spoke = s.spoke || len(delta.Text) > 0
	s.thought = s.thought || len(delta.Reasoning) > 0
	if err == nil {
		return delta, nil
	}
	return delta, s.err
}

// isComplete reports whether an event that the end of the stream cut off lacks nothing but its end.
func isComplete(e event) bool {
	word := bytes.TrimSpace(e.Data)
	if string(word) == done || e.Name == "error" {
		return true
	}
	l := lexer{b: e.Data}
	return l.peek() == '{' && l.value() != nil && l.whole()
}

// Buffered reports whether Next can give at least one more event without another Read. It is false once the answer is
// whole, so a writer that flushes when it is false has put out everything.
func (s *Stream) Buffered() bool { return s.err == nil && s.events.Buffered() }

// Events counts the events so far.
func (s *Stream) Events() int { return s.events.Count() }

// How long the formal end of a stream is waited for once the answer in it has ended.
const (
	lingerForUsage = 2 * time.Second
	lingerForEnd   = 100 * time.Millisecond // lets a server finish, so that its connection can be used again
)

// Linger is how long to wait for more once the answer has said that it ended, 0 while it has not: the usage may come
// behind the end. Reading that ends then, for whatever reason, makes the answer whole.
func (s *Stream) Linger() time.Duration {
	switch {
	case s.err != nil || !s.ended:
		return 0
	case s.settled:
		return lingerForEnd
	}
	return lingerForUsage
}

// Answer is what is known of the answer so far. Its Text is empty: the caller has it, piece by piece.
func (s *Stream) Answer() Answer {
	out := Answer{
		ID: s.id, Model: s.model, StopReason: s.stop, Usage: s.counts.usage(),
		Empty: !s.spoke, Thought: s.thought, NotUTF8: s.text.encoding.wrong(),
	}
	if s.refused && !s.answered && s.stop == "stop" {
		out.StopReason = "refusal"
	}
	return out
}

// over makes the error of a stream that the reader ended.
func (s *Stream) over(err error) error {
	var limit *text.LimitError
	switch {
	case s.ended:
		return io.EOF
	case errors.As(err, &limit):
		return err
	case err == io.EOF: //nolint:errorlint // a wrapped io.EOF is a reader's failure, not the end
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
	errSpliced = errors.New("a second answer began in it")
)

// done is what the OpenAI-style servers send last.
const done = "[DONE]"

func (s *Stream) read(e event) (Delta, error) {
	word := bytes.TrimSpace(e.Data)
	switch {
	case e.Name == "error":
		return Delta{}, s.fault(e)
	case e.Name == "ping" || len(word) == 0: // some gateways keep a line alive with bare data lines
		return Delta{}, nil
	case string(word) == done:
		return Delta{}, s.finish(s.ended || s.closing || s.api == Chat && s.stop != "", errEarly)
	case !s.api.knows(e.Name):
		if s.chunk.read(s.api, e.Data) && s.chunk.failed(s.api) {
			return Delta{}, s.fault(e)
		}
		return Delta{}, nil
	case !s.chunk.read(s.api, e.Data):
		return Delta{}, s.malformed(e)
	case s.chunk.failed(s.api):
		return Delta{}, s.fault(e)
	}
	if s.chunk.mayBeFault(s.api, e.Name) {
		if fields, _ := parse(e.Data); s.api.faultIn(fields) != nil {
			return Delta{}, s.fault(e)
		}
	}
	if s.chunk.usage != nil {
		s.counts.add(s.chunk.usage)
	}
	switch s.api {
	case Complete:
		return s.readComplete()
	case Chat:
		return s.readChat()
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

package wire

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"time"
	"unicode/utf8"

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
	reader reader
	fields []field // of the data of an event
	lexer  lexer
	chunk  chunk
	err    error // what Next gives from now on

	id, model, stop string
	// ended says that a stop reason came and no text since; settled that nothing but a formal end is to come.
	ended, settled bool
	// hasText and thought say that text and reasoning came; refused that a refusal did, and answered that other text did.
	hasText, thought, refused, answered bool

	counts          counts
	text, reasoning textReader
	encoding        encodingCheck
}

// reader reads the events of one answer in a dialect.
type reader interface {
	// reset forgets what the last event held.
	reset()
	// isAnswer reports whether an event has a part of an answer: any other may be an error.
	isAnswer(name string) bool
	// read takes what the event says.
	read(e event) (Delta, error)
	// isEnd reports whether the answer is whole where the server says [DONE].
	isEnd() bool
}

// chunk holds the raw values of an event's data that all dialects look for.
type chunk struct {
	kind, id, model, usage, fault, status, base []byte
	// inFault and inUsage stand in a choice.
	inFault, inUsage []byte
}

// NewStream reads the dialect's event stream from r.
func (a API) NewStream(r io.Reader) *Stream { return a.newStream(newEventReader(r)) }

func (a API) newStream(events *eventReader) *Stream {
	s := &Stream{api: a, events: events}
	c := &s.chunk
	s.reader, s.fields = a.Dialect().reader(s)
	s.fields = append(s.fields,
		field{name: "type", to: &c.kind}, field{name: "id", to: &c.id}, field{name: "model", to: &c.model},
		field{name: "usage", to: &c.usage}, field{name: "error", to: &c.fault}, field{name: "status", to: &c.status},
		field{name: "base_resp", to: &c.base})
	return s
}

// Next reads one event and gives what it added. It returns after every event, pings too, so that a caller can take each
// as a sign of life.
//
// The error is io.EOF once the answer is whole, and only then: the server said that it ended, by the dialect's last event
// or by a stop reason behind which the stream ended. A proxy turns a stream that its upstream cut into one that ends
// well, so the end of the reader alone proves nothing. Any other end is a *CutError, a *MalformedError, a *NotAnswerError,
// a *text.LimitError, or an *APIError for an error that came inside the HTTP 200. What came with the last event is given
// beside it. Every later call gives the same error.
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
		s.err = s.endError(err)
	} else if delta, err = s.read(e); err != nil {
		s.err = err
	}
	if s.err == io.EOF { //nolint:errorlint // of a stream that was cut, half a character is not shown
		delta.Text = append(delta.Text[:len(delta.Text):len(delta.Text)], s.text.end()...)
	}
	s.encoding.add(delta.Text)
	s.hasText = s.hasText || len(delta.Text) > 0
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
func (s *Stream) Events() int { return s.events.count }

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
		Empty: !s.hasText, Thought: s.thought, NotUTF8: s.encoding.broken || len(s.encoding.rest) > 0,
	}
	if s.refused && !s.answered && s.stop == "stop" {
		out.StopReason = "refusal"
	}
	return out
}

// endError makes the error of a stream that the reader ended.
func (s *Stream) endError(err error) error {
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

func (s *Stream) cut(err error) error { return &CutError{Events: s.events.count, Err: err} }

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
	errEarly   = errors.New("[DONE] before the end of the answer")
	errSpliced = errors.New("a second answer began in it")
)

func (s *Stream) read(e event) (Delta, error) {
	word := bytes.TrimSpace(e.Data)
	switch {
	case e.Name == "error":
		return Delta{}, s.fault(e)
	case e.Name == "ping" || len(word) == 0: // some gateways keep a line alive with bare data lines
		return Delta{}, nil
	case string(word) == done:
		return Delta{}, s.finish(s.reader.isEnd(), errEarly)
	}
	// "message" is the standard's name for an event without one: its data say what it is.
	known := e.Name == "" || e.Name == "message" || s.api.Dialect().knows(e.Name)
	isObject := s.parse(e.Data)
	switch {
	case !isObject && known:
		return Delta{}, s.malformed(e)
	case isObject && s.failed():
		return Delta{}, s.fault(e)
	case !known:
		return Delta{}, nil
	case !s.reader.isAnswer(e.Name):
		if fields, _ := parse(e.Data); s.api.faultIn(fields) != nil {
			return Delta{}, s.fault(e)
		}
	}
	s.counts.add(s.chunk.usage)
	return s.reader.read(e)
}

// parse takes the data of an event apart, and reports whether they are a JSON object.
func (s *Stream) parse(data []byte) bool {
	s.chunk = chunk{}
	s.reader.reset()
	s.lexer = lexer{b: data}
	isObject := s.lexer.pick(s.fields) && s.lexer.whole()
	c := &s.chunk
	if c.inFault != nil && !isFault(c.fault) {
		c.fault = c.inFault
	}
	if c.inUsage != nil && isNull(c.usage) {
		c.usage = c.inUsage
	}
	return isObject
}

// failed reports whether an event is an error: its data say so, or hold an error or, as a gateway's envelope does, a
// status that is one.
func (s *Stream) failed() bool {
	c := &s.chunk
	base, _ := parse(c.base)
	return c.status != nil && s.api.effectiveStatus(200, c.status) != 200 ||
		string(unquote(c.kind)) == "error" || isFault(c.fault) || isCode(base["status_code"])
}

// fault is the error that an event holds.
func (s *Stream) fault(e event) error {
	fields, _ := parse(e.Data)
	f := s.api.faultIn(fields)
	if f == nil {
		f = &APIError{HTTPStatus: 200}
		f.readBody(e.Data)
	}
	f.Body, f.Status = bytes.Clone(e.Data), f.statusInside()
	switch status := s.api.effectiveStatus(200, fields["status"]); {
	case status == 200:
	case status != unreadable:
		f.Status = status
	case !isFault(fields["error"]):
		f.Status = 0
	}
	return f
}

// addText takes text of the answer. Text behind a stop reason shows that it was not the end.
func (s *Stream) addText(text []byte) []byte {
	s.ended = s.ended && len(text) == 0
	return text
}

// stopped takes a stop reason, if there is one, as the end of an answer that has begun. The error comes from a reason
// which reports a failure.
func (s *Stream) stopped(raw []byte, begun bool) error {
	reason := stopReason(raw)
	if reason == "" {
		return nil
	}
	s.stop, s.ended = reason, begun
	if EndingOf(s.stop) == Failed {
		return s.api.stopFailure(s.stop)
	}
	return nil
}

// stopReason is the text of a stop reason, empty where there is none.
func stopReason(raw []byte) string {
	if word := stringOf(raw); word != "null" {
		return word
	}
	return ""
}

// identify keeps what the chunks of the data-only dialects repeat.
func (s *Stream) identify() {
	if s.id == "" {
		s.id = stringOf(s.chunk.id)
	}
	if s.model == "" {
		s.model = stringOf(s.chunk.model)
	}
}

// idReader is what the chunks' ids say.
type idReader struct {
	last     []byte // raw
	repeated bool   // it came in two chunks: the gateway does not give each its own
}

// isSecond reports whether a chunk belongs to a second answer: behind text of the id that the chunks had so far, one of
// another id adds something. Usage and the end may come with any id.
func (r *idReader) isSecond(s *Stream, adds bool) bool {
	id := s.chunk.id
	switch {
	case !isText(id) || len(id) == len(`""`):
		return false
	case bytes.Equal(id, r.last):
		r.repeated = true
		return false
	case r.repeated && s.hasText && !isLaterTime(r.last, id):
		return adds
	}
	r.last, r.repeated = append(r.last[:0], id...), false
	return false
}

// isLaterTime reports whether two ids end in a number that begins alike: some gateways give each chunk the time as its
// id.
func isLaterTime(before, id []byte) bool {
	same := 0
	for same < min(len(before), len(id)) && before[same] == id[same] {
		same++
	}
	const digits = "0123456789"
	return same-len(bytes.TrimRight(id[:same], digits)) >= 5 && string(bytes.TrimLeft(id[same:], digits)) == `"`
}

func (s *Stream) malformed(e event) error {
	return &MalformedError{Event: s.events.count, Body: bytes.Clone(e.Data)}
}

// encodingCheck finds bytes that are not UTF-8 in texts that continue each other. A character may be cut over two.
type encodingCheck struct {
	broken bool
	rest   []byte // the beginning of a character
}

func (c *encodingCheck) add(piece []byte) {
	if len(c.rest) > 0 {
		piece = append(c.rest, piece...)
	}
	whole := text.WholeRunes(piece)
	c.rest = slices.Clone(piece[len(whole):])
	c.broken = c.broken || !utf8.Valid(whole)
}

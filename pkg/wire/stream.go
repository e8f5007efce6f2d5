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

// Delta is what one event added to the answer. It is empty for an event that adds nothing, such as a ping.
type Delta struct {
	// Text belongs to the answer, Reasoning to the thinking before it. Both are valid until the next call of Next.
	// They are complete UTF-8 characters unless the server sent bytes that are not UTF-8, which are kept.
	Text, Reasoning []byte
}

// Stream reads one answer from an event stream.
type Stream struct {
	api    API
	events *eventReader
	reader reader
	fields []field // in an event's data
	lexer  lexer
	chunk  chunk
	err    error // what Next returns from now on

	id, model, stop string
	// ended reports that a stop reason arrived and no text after it, onlyEndMissing that only the formal end is
	// missing.
	ended, onlyEndMissing bool
	// hasText and hasReasoning report that text and reasoning arrived, refused that a refusal arrived, answered that
	// other text did.
	hasText, hasReasoning, refused, answered bool

	counts          counts
	text, reasoning textReader
	encoding        encodingCheck
}

// reader reads the events of one answer in a dialect.
type reader interface {
	// reset clears the values of the last event.
	reset()
	// isAnswer reports whether an event contains a part of an answer. Other events may be errors.
	isAnswer(name []byte) bool
	// read returns what the event adds to the answer.
	read(e event) (Delta, error)
	// isEnd reports whether the answer is complete when the server sends [DONE].
	isEnd() bool
}

// chunk holds the raw values in an event's data that all dialects use.
type chunk struct {
	kind, id, model, usage, fault, status, base []byte
	// inFault and inUsage are inside a choice.
	inFault, inUsage []byte
}

// NewStream returns a reader of the dialect's event stream in r.
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

// Next reads one event and returns what it added. It returns after every event, pings included, so that a caller can
// take each one as a sign of life.
//
// The error is io.EOF only if the answer is complete: the server ended it with the dialect's last event, or with a
// stop reason followed by the end of the stream. The end of the reader alone proves nothing, because a proxy can end
// a stream normally that its upstream cut. Any other end is a *TruncatedError, a *MalformedError, a *NotAnswerError, a
// *text.LimitError, or an *APIError for an error inside the HTTP 200. What the last event added is returned with the
// error. Every later call returns the same error.
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
	if s.err == io.EOF { //nolint:errorlint // in a stream that was cut, half a character is not shown
		delta.Text = append(delta.Text[:len(delta.Text):len(delta.Text)], s.text.end()...)
	}
	s.encoding.add(delta.Text)
	s.hasText = s.hasText || len(delta.Text) > 0
	s.hasReasoning = s.hasReasoning || len(delta.Reasoning) > 0
	if err == nil {
		return delta, nil
	}
	return delta, s.err
}

// isComplete reports whether an event that the end of the stream cut off lacks only the blank line at its end.
func isComplete(e event) bool {
	word := bytes.TrimSpace(e.Data)
	if string(word) == done || string(e.Name) == "error" {
		return true
	}
	l := lexer{b: e.Data}
	return l.peek() == '{' && l.value() != nil && l.whole()
}

// Buffered reports whether Next can return at least one more event without another Read. It is false when the answer
// is complete. So a caller that flushes its output whenever it is false has flushed everything.
func (s *Stream) Buffered() bool { return s.err == nil && s.events.buffered() }

// How long to wait for the formal end of a stream after the answer in it has ended.
const (
	lingerForUsage = 2 * time.Second
	lingerForEnd   = 100 * time.Millisecond // lets the server finish, so that its connection can be reused
)

// Linger returns how long to wait for more after the answer has ended, 0 before: the usage may follow the end. If
// reading ends during that time, for whatever reason, the answer is complete.
func (s *Stream) Linger() time.Duration {
	switch {
	case s.err != nil || !s.ended:
		return 0
	case s.onlyEndMissing:
		return lingerForEnd
	}
	return lingerForUsage
}

// Answer returns what is known of the answer so far. Its Text is empty, because the caller has received the text
// piece by piece.
func (s *Stream) Answer() Answer {
	out := Answer{
		ID: s.id, Model: s.model, StopReason: s.stop, Usage: s.counts.usage(),
		Empty: !s.hasText, HasReasoning: s.hasReasoning, NotUTF8: s.encoding.broken || len(s.encoding.rest) > 0,
	}
	if s.refused && !s.answered && s.stop == "stop" {
		out.StopReason = "refusal"
	}
	return out
}

// endError returns the error for a stream whose reader ended.
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
	return s.truncated(err)
}

func (s *Stream) truncated(err error) error { return &TruncatedError{Events: s.events.count, Err: err} }

// finish completes the answer if whole is set, else it returns a *TruncatedError with the reason.
func (s *Stream) finish(whole bool, otherwise error) error {
	if !whole {
		return s.truncated(otherwise)
	}
	s.err = io.EOF
	return nil
}

// Ends that prove nothing: the server reports the end, but what it sent is not a complete answer.
var (
	errEarly   = errors.New("[DONE] before the end of the answer")
	errSpliced = errors.New("a second answer began in it")
)

func (s *Stream) read(e event) (Delta, error) {
	word := bytes.TrimSpace(e.Data)
	switch {
	case string(e.Name) == "error":
		return Delta{}, s.fault(e)
	case string(e.Name) == "ping" || len(word) == 0: // some gateways send empty data lines to keep a connection alive
		return Delta{}, nil
	case string(word) == done:
		return Delta{}, s.finish(s.reader.isEnd(), errEarly)
	}
	// "message" is the standard's name for an event without a name: its data show what it is.
	known := len(e.Name) == 0 || string(e.Name) == "message" || s.api.Dialect().knows(e.Name)
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

// parse parses the data of an event, and reports whether they are a JSON object.
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

// failed reports whether an event is an error: its data have the type error, contain an error or, in a gateway's
// envelope, a failure status.
func (s *Stream) failed() bool {
	c := &s.chunk
	base, _ := parse(c.base)
	return s.api.effectiveStatus(200, c.status) != 200 ||
		string(unquote(c.kind)) == "error" || isFault(c.fault) || isCode(base["status_code"])
}

// fault returns the error in an event.
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
	case status != noStatus:
		f.Status = status
	case !isFault(fields["error"]):
		f.Status = 0
	}
	return f
}

// addText records text of the answer. Text after a stop reason shows that the reason was not the end.
func (s *Stream) addText(text []byte) []byte {
	s.ended = s.ended && len(text) == 0
	return text
}

// stopped records a stop reason, if there is one, as the end of an answer that has begun. It returns an error if the
// reason reports a failure.
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

// stopReason returns the value of a stop reason, "" if there is none.
func stopReason(raw []byte) string {
	if word := stringOf(raw); word != "null" {
		return word
	}
	return ""
}

// identify stores the id and the model, which every chunk of the dialects without event names repeats.
func (s *Stream) identify() {
	if s.id == "" {
		s.id = stringOf(s.chunk.id)
	}
	if s.model == "" {
		s.model = stringOf(s.chunk.model)
	}
}

// idReader tracks the ids of the chunks.
type idReader struct {
	last     []byte // raw
	repeated bool   // it came in two chunks: the gateway does not give each chunk its own id
}

// isSecond reports whether a chunk belongs to a second answer: text has arrived in chunks with one repeated id, and
// this chunk adds something under another id. Usage and the end may have any id.
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

// isLaterTime reports whether two ids end in numbers with the same first digits: some gateways use the current time
// as each chunk's id.
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

// encodingCheck finds bytes that are not UTF-8 in strings that continue each other. A character may be split between
// two of them.
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

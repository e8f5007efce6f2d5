package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

const (
	pacedEvents = 300
	shortEvents = 20_000
	longEvents  = 200_000
	// pieceSize is what the server writes at once of a stream that is not paced.
	pieceSize = 64 << 10
)

// script is a stream as the server sends it: its bytes cut into pieces, one write each.
type script struct {
	name   string
	events int
	pieces [][]byte
	all    []byte
	text   string // what a reader makes of it
	// gaps says how long the server waits before each piece, nil for not at all. Then each piece but the first and the
	// last carries one event, and that event's mark.
	gaps []time.Duration
}

func (s *script) path() string { return "/" + s.name + messagesPath }

const streamHead = `event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-haiku-5-5",` +
	`"content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":8,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

`

const deltaStart = `event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":`

const streamTail = `event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":300}}

event: message_stop
data: {"type":"message_stop"}

`

// fragments are texts as a model sends them: some words each, now and then a line end, a quotation or a letter that is
// not ASCII. None has the first character of a mark. One ends in the letter that the key begins with: whoever masks keys
// may hold that back until the next event, and here it shows.
var fragments = []string{
	" The ferry leaves at seven", " and comes back at noon,", " which is \"early\" for", " most of us.\n\n- First,",
	" buy a ticket on board", " (the crew takes cards)", "; then find a seat", " on the lee side — drier",
	" than windward.\n", " In Hongkong: 天星小輪", " crosses in nine minutes", ", café and all",
	" included. After that", " `go run .` works too",
}

// deltaEvent is one event with text in it, as Claude's API writes it.
func deltaEvent(text string) string {
	var quoted strings.Builder
	encoder := json.NewEncoder(&quoted)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(text); err != nil {
		panic(err) // a string always encodes
	}
	return deltaStart + strings.TrimSuffix(quoted.String(), "\n") + "}}\n\n"
}

// pacedScript carries one event a piece, 2 to 4 ms apart, each with a mark that counts them.
func pacedScript(seed uint64) *script {
	s := &script{name: "paced", events: pacedEvents}
	jitter := rand.New(rand.NewPCG(seed, 1))
	s.add(0, []byte(streamHead))
	var text strings.Builder
	for i := range pacedEvents {
		part := mark(i) + fragments[i%len(fragments)]
		text.WriteString(part)
		gap := 2*time.Millisecond + time.Duration(jitter.Int64N(int64(2*time.Millisecond)))
		s.add(gap, []byte(deltaEvent(part)))
	}
	s.add(0, []byte(streamTail))
	s.text = text.String()
	return s
}

func (s *script) add(gap time.Duration, piece []byte) {
	s.gaps, s.pieces, s.all = append(s.gaps, gap), append(s.pieces, piece), append(s.all, piece...)
}

// burstScript is to be sent as fast as it goes, cut where it happens to be cut.
func burstScript(name string, events int) *script {
	ready := make([]string, len(fragments))
	for i, fragment := range fragments {
		ready[i] = deltaEvent(fragment)
	}
	var all, text strings.Builder
	all.WriteString(streamHead)
	for i := range events {
		all.WriteString(ready[i%len(ready)])
		text.WriteString(fragments[i%len(fragments)])
	}
	all.WriteString(streamTail)
	s := &script{name: name, events: events, all: []byte(all.String()), text: text.String()}
	for rest := s.all; len(rest) > 0; {
		n := min(pieceSize, len(rest))
		s.pieces, rest = append(s.pieces, rest[:n]), rest[n:]
	}
	return s
}

// markSize is the length of every mark.
const markSize = 7

// mark begins the text of event i; nothing else in a stream has its first character.
func mark(i int) string { return fmt.Sprintf("#%06d", i) }

// play sends the script and calls wrote just before each write.
func (s *script) play(w http.ResponseWriter, wrote func(time.Time)) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	to := http.NewResponseController(w)
	for i, piece := range s.pieces {
		if s.gaps != nil {
			time.Sleep(s.gaps[i])
		}
		wrote(time.Now())
		if _, err := w.Write(piece); err != nil {
			return // whoever stopped reading is found out by what is missing
		}
		if s.gaps != nil && to.Flush() != nil {
			return
		}
	}
}

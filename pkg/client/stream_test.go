package client

import (
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ferry/pkg/retry"
	"ferry/pkg/wire"
)

// listener is a sink that records its calls.
type listener struct {
	words, raw strings.Builder
	resets     int
	flushes    int
	shown      bool
	fails      error // returned by Flush once there is text
}

func (l *listener) Reset()             { l.resets++; l.words.Reset(); l.raw.Reset() }
func (l *listener) Shown() bool        { return l.shown }
func (l *listener) Raw(b []byte) error { l.raw.Write(b); return nil }

func (l *listener) Delta(d wire.Delta) error {
	l.words.Write(d.Text)
	return nil
}

func (l *listener) Flush() error {
	l.flushes++
	if l.words.Len() == 0 {
		return nil
	}
	l.shown = true
	return l.fails
}

// sinkIf returns the sink of a call that streams.
func sinkIf(streams bool, sink Sink) Sink {
	if streams {
		return sink
	}
	return nil
}

// Parts of a stream in the complete dialect.
const (
	piece = "event: completion\ndata: {\"completion\":\"hel\",\"stop_reason\":null}\n\n"
	rest  = "event: completion\ndata: {\"completion\":\"lo\",\"stop_reason\":\"stop_sequence\"}\n\n"
	ping  = "event: ping\ndata: {}\n\n"
	busy  = "event: error\ndata: {\"error\":{\"type\":\"rate_limit_error\",\"message\":\"slowly\"}}\n\n"
)

const streamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"

func events(parts ...string) reply { return reply{raw: streamHead + strings.Join(parts, "")} }

// encoded returns a stream whose header names an encoding.
func encoded(name, body string) reply {
	return reply{raw: strings.Replace(streamHead, "\r\n", "\r\nContent-Encoding: "+name+"\r\n", 1) + body}
}

// TestStream checks when a stream is retried: only if no text has been shown, and never after a reset.
func TestStream(t *testing.T) {
	reset, stalled := events(ping), events(ping)
	reset.reset, stalled.stall = true, true
	late := events(piece)
	late.reset = true
	const s = time.Second
	for _, test := range []struct {
		name     string
		replies  []reply
		waits    []time.Duration
		class    Class
		gaveUp   bool
		requests int
		words    string
	}{
		{"whole", []reply{events(ping, piece, rest)}, nil, "", false, 1, "hello"},
		{"nothing is read after the end", []reply{events(piece, rest, busy)}, nil, "", false, 1, "hello"},
		{"whole JSON instead", []reply{answer}, nil, "", false, 1, "hello"},
		{"429, whole", []reply{status(429), events(piece, rest)}, []time.Duration{5 * s}, "", false, 2, "hello"},
		{"an error event first, whole", []reply{events(busy), events(piece, rest)}, []time.Duration{5 * s}, "", false, 2, "hello"},
		{"an error event after text", []reply{events(piece, busy)}, nil, RateLimited, false, 1, "hel"},
		{"cut before text, whole", []reply{events(ping), events(piece, rest)}, []time.Duration{s}, "", false, 2, "hello"},
		{"cut before text, always", []reply{events(ping)}, []time.Duration{s, 2 * s}, Truncated, true, 3, ""},
		{"cut after text", []reply{events(piece)}, nil, Truncated, false, 1, "hel"},
		{"reset before text", []reply{reset}, nil, Truncated, false, 1, ""},
		{"reset after text", []reply{late}, nil, Truncated, false, 1, "hel"},
		{"malformed", []reply{events(piece, "data: {\n\n")}, nil, NotAnAnswer, false, 1, "hel"},
		{"no gzip", []reply{encoded("gzip", piece+rest)}, nil, NotAnAnswer, false, 1, ""},
		{"brotli", []reply{encoded("br", "\x0b\x02\x80hello\x03")}, nil, NotAnAnswer, false, 1, ""},
		{"gzip that no header names", []reply{events("\x1f\x8b\x08\x00")}, nil, NotAnAnswer, false, 1, ""},
		{"UTF-16", []reply{events("d\x00a\x00t\x00a\x00:\x00")}, nil, NotAnAnswer, false, 1, ""},
		{"plain text that is called brotli", []reply{encoded("br", piece+rest)}, nil, "", false, 1, "hello"},
		{"a page", []reply{body("<html>")}, []time.Duration{s, 2 * s}, NotAnAnswer, true, 3, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			trial, server := newServed(t, test.replies...)
			trial.Rule.Policy = retry.RetryAfter
			if test.replies[0].reset {
				trial.Transport = notifyingTransport{trial.Transport, server.got}
			}
			sink := &listener{}
			_, err := trial.do(t.Context(), sink, AsAnswer)
			var failed *Error
			errors.As(err, &failed)
			switch {
			case test.class == "" && err != nil:
				t.Errorf("failed: %v", err)
			case test.class != "" && (failed == nil || failed.Class != test.class || failed.GaveUp != test.gaveUp):
				t.Errorf("%+v, want class %s, gave up %t", err, test.class, test.gaveUp)
			}
			if got := sink.words.String(); got != test.words {
				t.Errorf("text %q, want %q", got, test.words)
			}
			if want := ping + piece + rest; test.name == "whole" && sink.raw.String() != want {
				t.Errorf("the bytes are %q, want %q", sink.raw.String(), want)
			}
			if !slices.Equal(trial.clock.waits, test.waits) || server.count() != test.requests || sink.resets != test.requests {
				t.Errorf("waits %v, %d requests, %d resets; want %v, %d", trial.clock.waits, server.count(), sink.resets,
					test.waits, test.requests)
			}
		})
	}
}

// TestBilledUnfinished checks that the usage at the start of an incomplete stream is not taken as final.
func TestBilledUnfinished(t *testing.T) {
	const (
		start = "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n"
		words = "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"hello\"}}\n\n"
		end   = "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":30}}\n\n"
		fails = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"error\"}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":30}}\n\n"
	)
	for _, test := range []struct {
		name   string
		api    wire.API
		events reply
		want   [2]int64
	}{
		{"whole", wire.Messages, events(start, words, end), [2]int64{9, 30}},
		{"cut", wire.Messages, events(start, words), [2]int64{20, 400}},
		{"an error event", wire.Messages, events(start, words, busy), [2]int64{20, 400}},
		{"a failure that it ends with", wire.Chat, events(fails), [2]int64{9, 30}},
	} {
		for _, sink := range []Sink{nil, &listener{}} {
			trial, _ := newServed(t, test.events)
			trial.Endpoint.API, trial.request.Model = test.api, "m"
			result, err := trial.do(t.Context(), sink, AsAnswer)
			if input, output := result.Attempts[0].billedTokens(20, 400); [2]int64{input, output} != test.want {
				t.Errorf("%s, streams %t: got %d and %d tokens, want %d: %v", test.name, sink != nil, input, output, test.want, err)
			}
		}
	}
}

// TestStreamPings checks that a server that sends pings is not idle.
func TestStreamPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trial := newTrial(t, mustURL(t, "http://node.test"))
		trial.IdleTimeout = 90 * time.Second
		trial.Transport = pipe(t, func(conn net.Conn) {
			_, _ = io.WriteString(conn, streamHead)
			for range 5 {
				time.Sleep(time.Minute) // fake time
				_, _ = io.WriteString(conn, ping)
			}
			_, _ = io.WriteString(conn, piece+rest)
		})
		result, err := trial.do(t.Context(), &listener{}, AsAnswer)
		if err != nil || result.Latency != 5*time.Minute {
			t.Errorf("got %v after %s, want an answer after 5m0s", err, result.Latency)
		}
	})
}

// TestStreamSinkFails checks that an error of the sink ends the call without a retry.
func TestStreamSinkFails(t *testing.T) {
	full := errors.New("full")
	trial, server := newServed(t, events(piece, rest))
	trial.Rule.Policy = retry.Backoff
	_, err := trial.do(t.Context(), &listener{fails: full}, AsAnswer)
	if failed, ok := errors.AsType[*Error](err); !errors.Is(err, full) || !ok || failed.Class != Output || server.count() != 1 {
		t.Errorf("%v after %d requests", err, server.count())
	}
}

// TestLinger checks how long ask and stream wait after the end of an answer if the server keeps the stream open: 2 s
// for the usage, 100 ms for the formal end. Pings do not extend the wait.
func TestLinger(t *testing.T) {
	const (
		start  = "data: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":3}}}\n\n"
		hel    = "data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"hello\"}}\n\n"
		reason = "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":2}}\n\n"
		chat   = "data: {\"choices\":[{\"delta\":{\"content\":\"hello\"}}]}\n\n"
		finish = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
		both   = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n"
		usage  = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n"
	)
	const moment = 100 * time.Millisecond
	for _, test := range []struct {
		name   string
		api    wire.API
		events []string // one a second
		took   time.Duration
		usage  bool
	}{
		{"a stop_reason", wire.Messages, []string{start, hel, reason}, 4 * time.Second, true},
		{"pings behind it", wire.Messages, []string{start, hel, reason, ping, ping, ping}, 4 * time.Second, true},
		{"a finish_reason", wire.Chat, []string{chat, finish}, 3 * time.Second, false},
		{"its usage behind it", wire.Chat, []string{chat, finish, usage}, 2*time.Second + moment, true},
		{"its usage with it", wire.Chat, []string{chat, both}, time.Second + moment, true},
		{"text behind it", wire.Chat, []string{chat, finish, chat, both}, 3*time.Second + moment, true},
	} {
		for _, streams := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				trial := newTrial(t, mustURL(t, "http://node.test"))
				trial.Endpoint.API, trial.request.Model = test.api, "m"
				trial.Transport = pipe(t, func(conn net.Conn) {
					_, _ = io.WriteString(conn, streamHead)
					for _, event := range test.events {
						_, _ = io.WriteString(conn, event)
						time.Sleep(time.Second) // fake time
					}
					_, _ = io.Copy(io.Discard, conn)
				})
				sink := &listener{}
				result, err := trial.do(t.Context(), sinkIf(streams, sink), AsAnswer)
				text := strings.Repeat("hello", 1+strings.Count(test.name, "text"))
				got, usage := result.Answer.Text+sink.words.String(), result.Answer.Usage
				if err != nil || got != text || (usage != nil) != test.usage {
					t.Errorf("%s, streams %t: %q, usage %v: %v", test.name, streams, got, usage, err)
				}
				if result.Latency != test.took {
					t.Errorf("%s, streams %t: took %s, want %s", test.name, streams, result.Latency, test.took)
				}
				time.Sleep(time.Minute) // until the server has ended
			})
		}
	}
}

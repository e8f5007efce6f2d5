package demo

import (
	"bufio"
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// eventNames returns the names of a stream's events, or for unnamed events what they contain.
func eventNames(t *testing.T, list []sse) []string {
	t.Helper()
	var out []string
	for _, e := range list {
		name := e.event
		if name == "" && e.data == "[DONE]" {
			name = "DONE"
		}
		// Consecutive events with one name count as one, because the number of deltas depends on the answer.
		if len(out) == 0 || out[len(out)-1] != name {
			out = append(out, name)
		}
	}
	return out
}

// TestStreams checks the events of each dialect, and compares their text with the answer that is not streamed.
func TestStreams(t *testing.T) {
	url, client := serve(t, Options{})
	withUsage := strings.TrimSuffix(streamed(chatAsk), "}") + `,"stream_options":{"include_usage":true}}`
	blocks := []string{"message_start", "content_block_start", "ping", "content_block_delta", "content_block_stop", "message_delta", "message_stop"}
	for _, test := range []struct {
		path, whole, ask string
		names            []string
		ends             int    // number of events from the one with the stop reason on
		reason           string // its path
		first, last      map[string]any
	}{
		{
			"/v1/messages", messagesAsk, streamed(messagesAsk), blocks, 2, "delta.stop_reason",
			map[string]any{"message.stop_reason": nil, "message.usage.input_tokens": 2.0},
			map[string]any{"delta.stop_reason": "end_turn"},
		},
		{
			"/v1/complete", completeAsk, streamed(completeAsk), []string{"completion"}, 1, "stop_reason",
			nil, map[string]any{"stop_reason": "stop_sequence"},
		},
		{
			"/chat/completions", chatAsk, streamed(chatAsk), []string{"", "DONE"}, 2, "choices.0.finish_reason",
			map[string]any{"choices.0.delta.role": "assistant", "choices.0.delta.content": ""},
			map[string]any{"choices.0.finish_reason": "stop"},
		},
		{
			"/chat/completions", chatAsk, withUsage, []string{"", "DONE"}, 3, "choices.0.finish_reason",
			map[string]any{"choices.0.delta.role": "assistant", "choices.0.delta.content": ""},
			map[string]any{"choices.0.finish_reason": "stop"},
		},
	} {
		r := post(t, client, url+test.path, test.ask)
		list, tail := events(t, r.body)
		if got := eventNames(t, list); !slices.Equal(got, test.names) || tail != "" || len(list) < 5 || r.header.Get("Content-Type") != "text/event-stream; charset=utf-8" {
			t.Fatalf("%s: got the events %v, tail %q, type %q, want %v", test.path, got, tail, r.header.Get("Content-Type"), test.names)
		}
		last := len(list) - test.ends
		expect(t, test.path, list[0].data, test.first)
		expect(t, test.path, list[last].data, test.last)
		for i, e := range list[:last] {
			if v := decode(t, e.data); valueAt(v, test.reason) != nil {
				t.Errorf("%s: got a stop reason in event %d of %d, want one at the end alone: %s", test.path, i, len(list), e.data)
			}
		}
		whole := post(t, client, url+test.path, test.whole).body
		got, want := streamText(t, list), textOf(t, whole)
		errorIf(t, got != want, "%s: got the text %q, want %q", test.path, got, want)
		switch test.path {
		case "/v1/messages":
			for _, e := range list {
				expect(t, test.path, e.data, map[string]any{"type": e.event})
			}
			content, _ := valueAt(decode(t, list[0].data), "message.content").([]any)
			errorIf(t, content == nil || len(content) > 0, "got %s, want a start without content", list[0].data)
			expect(t, test.path, list[last].data, map[string]any{"usage.output_tokens": valueAt(decode(t, whole), "usage.output_tokens")})
		case "/chat/completions":
			for i, e := range list[:len(list)-1] {
				usage, has := decode(t, e.data)["usage"]
				if isUsage := i > last; isUsage && (valueAt(usage, "total_tokens") == nil || !strings.Contains(e.data, `"choices":[]`)) ||
					!isUsage && (usage != nil || has != (test.ask == withUsage)) {
					t.Errorf("got chunk %d of %d %s, want the usage in the last one alone", i, len(list), e.data)
				}
			}
		}
	}
}

func TestEventsAreFlushedAndPaced(t *testing.T) {
	step := make(chan struct{})
	done := make(chan Record, 1)
	url, client := serve(t, Options{OnRequest: func(r Record) { done <- r }, Sleep: func(ctx context.Context, d time.Duration) error {
		if d != 7*time.Millisecond {
			return nil
		}
		select {
		case <-step:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}})
	for _, a := range asks {
		resp, err := client.Do(request(t, url+a.path+"?pace=7ms", streamed(a.body)))
		check(t, err)
		// The node waits before every event except the first, so what is read before the step was flushed.
		r := bufio.NewReader(resp.Body)
		for range 4 {
			for line := "x"; line != "\n"; {
				line, err = r.ReadString('\n')
				check(t, err)
			}
			step <- struct{}{}
		}
		resp.Body.Close()
		<-done // otherwise the next request's steps could be counted here
	}
}

func TestBrokenStreams(t *testing.T) {
	url, client := serve(t, Options{})
	terminal := map[string]string{"/v1/messages": "message_stop", "/v1/complete": `"stop_reason":"`, "/chat/completions": "[DONE]"}
	for _, a := range asks {
		full, _ := events(t, post(t, client, url+a.path, streamed(a.body)).body)
		for _, c := range []struct {
			query          string
			broken, inside bool
			last           string
		}{
			{"truncate", true, true, ""}, {"truncate=clean", false, false, ""}, {"error-event", false, false, "Overloaded"}, {"truncate&chunk=100000", true, true, ""},
		} {
			r := post(t, client, url+a.path+"?"+c.query, streamed(a.body))
			list, tail := events(t, r.body)
			errorIf(t, r.status != 200 || (r.err != nil) != c.broken || (tail != "") != c.inside,
				"%s?%s: %d %v, tail %q", a.path, c.query, r.status, r.err, tail)
			errorIf(t, strings.Contains(r.body, terminal[a.path]) && c.query != "truncate&chunk=100000" || len(list) >= len(full) || streamText(t, list) == "",
				"%s?%s: %s", a.path, c.query, r.body)
			if c.last != "" && !strings.Contains(list[len(list)-1].data, c.last) {
				t.Errorf("%s?%s: got the last event %v, want %s in it", a.path, c.query, list[len(list)-1], c.last)
			}
		}
	}
	list, _ := events(t, post(t, client, url+"/v1/messages?error-event", streamed(messagesAsk)).body)
	if last := list[len(list)-1]; last.event != "error" || valueAt(decode(t, last.data), "error.type") != "overloaded_error" {
		t.Errorf("got the last event %v, want an error", last)
	}
	// A fault before the stream is an ordinary error.
	if r := post(t, client, url+"/v1/messages?status=529", streamed(messagesAsk)); r.status != 529 || decode(t, r.body)["type"] != "error" {
		t.Errorf("status before a stream: %d %s", r.status, r.body)
	}
}

func TestDripAndStallOfStreams(t *testing.T) {
	var n fakeSleeper
	done := make(chan Record, 1)
	url, client := serve(t, Options{Sleep: n.sleep, OnRequest: func(r Record) { done <- r }})
	pings := map[string]string{"/v1/messages": "event: ping\n", "/v1/complete": "event: ping\n", "/chat/completions": ": ping\n"}
	for _, a := range asks {
		for _, fault := range []string{"drip", "stall-mid"} {
			ctx, cancel := context.WithCancel(t.Context())
			resp, err := client.Do(request(t, url+a.path+"?"+fault, streamed(a.body)).WithContext(ctx))
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Fatal(err, resp)
			}
			r := bufio.NewReader(resp.Body)
			for seen := 0; seen < 5; {
				line, err := r.ReadString('\n')
				fatalIf(t, err != nil, "%s?%s: %v", a.path, fault, err)
				if fault == "stall-mid" && strings.HasPrefix(line, "data: ") || line == pings[a.path] {
					seen++
				}
			}
			cancel()
			resp.Body.Close()
			rec := <-done
			errorIf(t, rec.Fault != fault, "record %+v", rec)
		}
	}
	errorIf(t, n.total() < 4*dripInterval, "slept for %s in all", n.total())
}

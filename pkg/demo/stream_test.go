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

// names returns a stream's events by name; unnamed ones by what they carry.
func names(t *testing.T, list []sse) []string {
	t.Helper()
	var out []string
	for _, e := range list {
		name := e.event
		if name == "" && e.data == "[DONE]" {
			name = "DONE"
		}
		// Runs of one name are one: the number of deltas is the answer's own affair.
		if len(out) == 0 || out[len(out)-1] != name {
			out = append(out, name)
		}
	}
	return out
}

func TestStreamOfMessages(t *testing.T) {
	url, client := serve(t, Options{})
	r := post(t, client, url+"/v1/messages", streamed(messagesAsk))
	list, tail := events(t, r.body)
	want := []string{"message_start", "content_block_start", "ping", "content_block_delta", "content_block_stop", "message_delta", "message_stop"}
	if got := names(t, list); !slices.Equal(got, want) || tail != "" || !strings.HasPrefix(r.header.Get("Content-Type"), "text/event-stream") {
		t.Fatalf("events %v, tail %q, type %q", got, tail, r.header.Get("Content-Type"))
	}
	for _, e := range list {
		if v := decode(t, e.data); v["type"] != e.event {
			t.Errorf("event %s says it is %v", e.event, v["type"])
		}
	}
	start := decode(t, list[0].data)
	if dig(start, "message.stop_reason") != nil || len(dig(start, "message.content").([]any)) != 0 || dig(start, "message.usage.input_tokens") != 2.0 {
		t.Errorf("message_start: %s", list[0].data)
	}
	full := decode(t, post(t, client, url+"/v1/messages", messagesAsk).body)
	last := decode(t, list[len(list)-2].data)
	if dig(last, "delta.stop_reason") != "end_turn" || dig(last, "usage.output_tokens") != dig(full, "usage.output_tokens") {
		t.Errorf("message_delta: %v", last)
	}
	if got := streamText(t, list); got != dig(full, "content.0.text") {
		t.Errorf("text %q", got)
	}
}

func TestStreamOfComplete(t *testing.T) {
	url, client := serve(t, Options{})
	list, tail := events(t, post(t, client, url+"/v1/complete", streamed(completeAsk)).body)
	if got := names(t, list); !slices.Equal(got, []string{"completion"}) || tail != "" || len(list) < 5 {
		t.Fatalf("events %v, tail %q", got, tail)
	}
	for i, e := range list {
		v := decode(t, e.data)
		if last := i == len(list)-1; (v["stop_reason"] == "stop_sequence") != last || !last && v["stop_reason"] != nil {
			t.Errorf("event %d of %d: %s", i, len(list), e.data)
		}
	}
	if got := streamText(t, list); got != textOf(t, post(t, client, url+"/v1/complete", completeAsk).body) {
		t.Errorf("text %q", got)
	}
}

func TestStreamOfChat(t *testing.T) {
	url, client := serve(t, Options{})
	full := textOf(t, post(t, client, url+"/chat/completions", chatAsk).body)
	for _, usage := range []bool{false, true} {
		body := streamed(chatAsk)
		if usage {
			body = strings.TrimSuffix(body, "}") + `,"stream_options":{"include_usage":true}}`
		}
		list, tail := events(t, post(t, client, url+"/chat/completions", body).body)
		if got := names(t, list); !slices.Equal(got, []string{"", "DONE"}) || tail != "" {
			t.Fatalf("events %v, tail %q", got, tail)
		}
		chunks := list[:len(list)-1]
		if first := decode(t, chunks[0].data); dig(first, "choices.0.delta.role") != "assistant" || dig(first, "choices.0.delta.content") != "" {
			t.Errorf("prelude: %s", chunks[0].data)
		}
		for i, e := range chunks {
			v := decode(t, e.data)
			u, has := v["usage"]
			if isLast := usage && i == len(chunks)-1; isLast {
				if len(v["choices"].([]any)) != 0 || dig(u, "total_tokens") == nil {
					t.Errorf("usage chunk: %s", e.data)
				}
			} else if has != usage || u != nil {
				t.Errorf("chunk %d: %s", i, e.data)
			}
		}
		finish := chunks[len(chunks)-1]
		if usage {
			finish = chunks[len(chunks)-2]
		}
		if dig(decode(t, finish.data), "choices.0.finish_reason") != "stop" {
			t.Errorf("finish chunk: %s", finish.data)
		}
		if got := streamText(t, list); got != full {
			t.Errorf("text %q, want %q", got, full)
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
		if err != nil {
			t.Fatal(err)
		}
		// The node waits before every event but the first: what is read before the step was flushed.
		r := bufio.NewReader(resp.Body)
		for range 4 {
			for line := "x"; line != "\n"; {
				if line, err = r.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
			}
			step <- struct{}{}
		}
		resp.Body.Close()
		<-done // or the next request's steps could be this one's
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
			if r.status != 200 || (r.err != nil) != c.broken || (tail != "") != c.inside {
				t.Errorf("%s?%s: %d %v, tail %q", a.path, c.query, r.status, r.err, tail)
			}
			if strings.Contains(r.body, terminal[a.path]) && c.query != "truncate&chunk=100000" || len(list) >= len(full) || streamText(t, list) == "" {
				t.Errorf("%s?%s: %s", a.path, c.query, r.body)
			}
			if c.last != "" && !strings.Contains(list[len(list)-1].data, c.last) {
				t.Errorf("%s?%s: last event %v", a.path, c.query, list[len(list)-1])
			}
		}
	}
	list, _ := events(t, post(t, client, url+"/v1/messages?error-event", streamed(messagesAsk)).body)
	if last := list[len(list)-1]; last.event != "error" || dig(decode(t, last.data), "error.type") != "overloaded_error" {
		t.Errorf("error event: %v", last)
	}
	// A failure before the stream is an ordinary error.
	if r := post(t, client, url+"/v1/messages?status=529", streamed(messagesAsk)); r.status != 529 || decode(t, r.body)["type"] != "error" {
		t.Errorf("status before a stream: %d %s", r.status, r.body)
	}
}

func TestDripAndStallOfStreams(t *testing.T) {
	var n naps
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
				if err != nil {
					t.Fatalf("%s?%s: %v", a.path, fault, err)
				}
				if fault == "stall-mid" && strings.HasPrefix(line, "data: ") || line == pings[a.path] {
					seen++
				}
			}
			cancel()
			resp.Body.Close()
			if rec := <-done; rec.Fault != fault {
				t.Errorf("record %+v", rec)
			}
		}
	}
	if n.total() < 4*dripEvery {
		t.Errorf("slept for %s in all", n.total())
	}
}

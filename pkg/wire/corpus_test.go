package wire

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// testCase is one case of a file in testdata: a line "=== TITLE", the head, a line "---", and the body up to the next
// case. What is before the first case describes the file.
type testCase struct{ title, head, body string }

// readCases reads the cases of a file.
func readCases(t testing.TB, file string) (all []testCase) {
	t.Helper()
	content, err := os.ReadFile(file)
	check(t, err)
	for _, part := range strings.Split(string(content), "\n=== ")[1:] {
		head, body, _ := strings.Cut(part+"\n", "\n---\n")
		title, head, _ := strings.Cut(head, "\n")
		all = append(all, testCase{title, head, strings.TrimRight(body, "\n")})
	}
	fatalIf(t, len(all) < 13, "%s: %d cases, want at least 13", file, len(all))
	return all
}

// sample is the body of one case of testdata/wire. TestCorpus in cmd checks its expected result.
type sample struct {
	api  API
	body string
}

// samples reads the bodies of all cases.
func samples(t testing.TB) (all []sample) {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join("..", "..", "testdata", "wire", "*.txt"))
	for _, file := range files {
		named, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".txt"), "-")
		for _, c := range readCases(t, file) {
			api, head := named, "\n"+c.head
			if _, own, ok := strings.Cut(head, "\napi: "); ok {
				api, _, _ = strings.Cut(own, "\n")
			}
			if plain, err := strconv.Unquote(c.body); err == nil && strings.Contains(head, "\nquoted: yes") {
				c.body = plain
			} else if isEvents([]byte(c.body)) && !strings.Contains(head, "\nend: ") {
				c.body += "\n\n"
			}
			all = append(all, sample{API(api), c.body})
		}
	}
	fatalIf(t, len(all) < 120, "%d cases, want at least 120", len(all))
	return all
}

// FuzzCorpus cuts, joins and reorders the bodies of testdata/wire, and checks what must always be true: an answer is
// successful only with an explicit end and without a failure, a stream and a complete body give the same result, the
// text of a cut body is a beginning of the complete text, and the texts of two answers are never joined.
func FuzzCorpus(f *testing.F) {
	all := samples(f)
	for i := range all {
		f.Add(uint16(i), uint16(i+1), uint16(len(all[i].body)/2), uint16(3), uint8(i))
	}
	f.Fuzz(func(t *testing.T, which, other, from, to uint16, how uint8) {
		first := all[int(which)%len(all)]
		body := first.body
		cut := body[:int(from)%(len(body)+1)]
		whole := read(t, first.api, body)
		switch how % 4 {
		case 0:
			left := read(t, first.api, cut)
			fatalIf(t, !strings.HasPrefix(whole.text, left.text),
				"%s: %q of\n%s\nis no beginning of %q", first.api, left.text, cut, whole.text)
			several := strings.Contains(body, `{"index":1,`) && strings.Contains(body, `{"index":0,`) // a cut may leave only the other choice
			if partial := first.api.Partial([]byte(cut)); !several && !strings.HasPrefix(whole.partial, partial) {
				t.Fatalf("%s: Partial is %q of\n%s\nwhich is no beginning of %q", first.api, partial, cut, whole.partial)
			}
		case 1:
			second := all[int(other)%len(all)]
			read(t, first.api, cut+second.body)
		case 2:
			events := strings.SplitAfter(body, "\n\n")
			i, j := int(from)%len(events), int(to)%len(events)
			events[i], events[j] = events[j], events[i]
			read(t, first.api, strings.Join(events, ""))
		default:
			second := all[int(other)%len(all)]
			join(t, first, second, int(from))
		}
	})
}

// join appends a complete messages stream to the beginning of another one: their texts must never form one answer.
func join(t *testing.T, first, second sample, from int) {
	t.Helper()
	if first.api == Chat && second.api == Chat {
		joinChat(t, first, second)
	}
	if first.api != Messages || second.api != Messages || !isEvents([]byte(first.body)) || !isEvents([]byte(second.body)) {
		return
	}
	events := strings.SplitAfter(first.body, "\n\n")
	before := strings.Join(events[:from%len(events)], "")
	one, two := read(t, Messages, before), read(t, Messages, second.body)
	both := read(t, Messages, before+second.body)
	fatalIf(t, one.err != nil && one.text != "" && two.text != "" && strings.Contains(second.body, "message_start") && both.text == one.text+two.text,
		"two answers are one: %q\n%s", both.text, before+second.body)
}

// joinChat appends a stream to a cut one, with a different id for each: their texts must never form one answer.
func joinChat(t *testing.T, first, second sample) {
	t.Helper()
	if !strings.HasPrefix(first.body, "data: {") || !strings.HasPrefix(second.body, "data: {") {
		return
	}
	named := func(body, id string) string {
		return strings.ReplaceAll(strings.ReplaceAll(body, `"id":`, `"was":`), "data: {", `data: {"id":"`+id+`",`)
	}
	before, behind := named(first.body, "a"), named(second.body, "b")
	before = before[:strings.LastIndex(strings.TrimRight(before, "\n"), "\n\n")+2]
	one, two := read(t, Chat, before), read(t, Chat, behind)
	both := read(t, Chat, before+behind)
	fatalIf(t, strings.Count(before, `"id":`) > 1 && one.err != nil && one.text != "" && two.text != "" && both.err == nil && both.text != one.text,
		"two answers are one: %q\n%s", both.text, before+behind)
}

// readings are the results of reading a body.
type readings struct {
	text, partial string
	err           error // nil for a complete answer
}

// read reads a complete body and, if it is a stream, also as a stream, and checks the results against its content.
func read(t *testing.T, api API, body string) readings {
	t.Helper()
	answer, err := api.Decode(200, []byte(body))
	out := readings{answer.Text, api.Partial([]byte(body)), err}
	found(t, err) // no error of another type
	fatalIf(t, err == nil && EndingOf(answer.StopReason) == Failed,
		"%s: a failure is taken for a whole answer:\n%s", api, body)
	fatalIf(t, err == nil && answer.Empty != (answer.Text == ""),
		"%s: empty is %t of %q", api, answer.Empty, answer.Text)
	if _, isOne := parse(trimDone([]byte(body))); isOne || !isEvents([]byte(body)) {
		fatalIf(t, err == nil && containsFailure(api, body), "%s: a failure is taken for a whole answer:\n%s", api, body)
		return out
	}
	s := api.NewStream(strings.NewReader(body))
	streamed := readStream(s)
	isSecond := err != nil && jsonLines([]byte(body)) && strings.HasSuffix(err.Error(), errSpliced.Error()) // a stream is not read after its end
	fatalIf(t, (streamed.err == io.EOF) != (err == nil) && !isSecond || streamed.text != answer.Text || streamed.answer.StopReason != answer.StopReason,
		"%s: streamed %q, %v; whole %q, %v:\n%s", api, streamed.text, streamed.err, answer.Text, err, body)
	if err != nil {
		return out
	}
	fatalIf(t, !hasEnd(api, []byte(body)), "%s: a whole answer without an end:\n%s", api, body)
	r := newEventReader(strings.NewReader(body))
	for range streamed.events {
		e, err := r.Next()
		if err != nil {
			e, _ = r.Rest()
		}
		fields, _ := parse(e.Data)
		if api == Messages && fields["type"] == nil && isText(fields["stop_reason"]) && fields["error"] == nil && fields["base_resp"] == nil {
			continue // an event of the complete dialect, which has no meaning in this one
		}
		fatalIf(t, containsFailure(api, string(e.Data)), "%s: an answer with a failure in it is taken for whole:\n%s", api, body)
	}
	return out
}

// containsFailure reports whether an object contains a failure, without using the reader's code: an error next to or
// inside choices, a stop reason that is a failure, or a status code as MiniMax sends.
func containsFailure(api API, data string) bool {
	var in struct {
		Type   any
		Status any
		Error  any
		Delta  struct {
			Reason any `json:"stop_reason"`
		}
		Reason  any                       `json:"stop_reason"`
		Base    struct{ Status_code any } `json:"base_resp"`
		Choices []struct {
			Index  any
			Error  any
			Reason any `json:"finish_reason"`
		}
	}
	if json.Unmarshal([]byte(data), &in) != nil {
		return false
	}
	if api == Complete && (in.Status == 200.0 || in.Status == "200") {
		in.Error = nil // the script read only the status
	}
	failures := []any{"error", "network_error", "insufficient_system_resource", "aborted", "overloaded_error"}
	isFailure := func(reason any) bool { return slices.Contains(failures, reason) }
	says := func(e any) bool {
		switch e := e.(type) {
		case string:
			return e != ""
		case map[string]any:
			return e["message"] != nil && e["message"] != ""
		}
		return false
	}
	switch api {
	case Chat:
		if len(in.Choices) == 1 && (says(in.Choices[0].Error) || isFailure(in.Choices[0].Reason)) {
			return true
		}
	case Complete:
		if isFailure(in.Reason) {
			return true
		}
	default:
		if isFailure(in.Reason) && in.Type != "message_stop" || in.Type == "message_delta" && isFailure(in.Delta.Reason) {
			return true
		}
	}
	code, _ := in.Base.Status_code.(float64)
	return says(in.Error) || in.Type == "error" || code != 0
}

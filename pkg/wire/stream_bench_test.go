package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
)

const benchEvents = 200_000

// longStream returns a messages stream of n text events, in Claude's framing.
func longStream(n int) []byte {
	var b bytes.Buffer
	b.WriteString("event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n")
	b.WriteString("event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n")
	for i := range n {
		word := someWords[i%len(someWords)]
		fmt.Fprintf(&b, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"%s\"}}\n\n", word)
	}
	b.WriteString("event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":7}}\n\n")
	b.WriteString("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n")
	return b.Bytes()
}

// someWords are the texts of the long streams, as JSON strings.
var someWords = []string{" the", " quick", "，你好", " brown fox", "\\n\\n", " \\\"quoted\\\"", " jumps over", " 😀"}

// longChat returns a chat stream of n text events, each with a usage, as some servers send.
func longChat(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "data: {\"id\":\"c-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%s\"},\"finish_reason\":null}],"+
			"\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":%d}}\n\n", someWords[i%len(someWords)], i+1)
	}
	b.WriteString("data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
	return b.Bytes()
}

func BenchmarkStream(b *testing.B) { benchmarkStream(b, Messages, longStream(benchEvents)) }

func BenchmarkChatStream(b *testing.B) { benchmarkStream(b, Chat, longChat(benchEvents)) }

func benchmarkStream(b *testing.B, api API, stream []byte) {
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		n, err := readThrough(api.NewStream(bytes.NewReader(stream)))
		if !errors.Is(err, io.EOF) || n == 0 {
			b.Fatal(n, err)
		}
	}
}

func readThrough(s *Stream) (n int, err error) {
	for {
		delta, err := s.Next()
		if err != nil {
			return n, err
		}
		n += len(delta.Text)
	}
}

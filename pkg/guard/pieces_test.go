package guard

import (
	"fmt"
	"strings"
	"testing"
)

func TestPieces(t *testing.T) {
	const key = "sk-canary/0001"
	cut := func(size int, format string) string {
		var all strings.Builder
		for i := 0; i < len(key); i += size {
			all.WriteString(strings.ReplaceAll(format, "%", key[i:min(i+size, len(key))]))
		}
		return all.String()
	}
	for name, format := range map[string]string{
		"text":               `data: {"delta":{"type":"text_delta","text":"%"}}` + "\n\n",
		"reasoning":          `data: {"delta":{"thinking":"%"}}` + "\n\n",
		"a signature":        `data: {"delta":{"signature":"%"}}` + "\n\n",
		"tool input":         `data: {"delta":{"partial_json":"%"}}` + "\r\n\r\n",
		"an escaped name":    `data: {"delta":{"te\u0078t":"%"}}` + "\n\n",
		"ids":                "id: %\ndata: {\"type\":\"ping\"}\n\n",
		"ids, ended by CR":   "id:%\rdata: {}\r\r",
		"comments":           ": %\n\nevent: ping\n\n",
		"event names":        "event: %\ndata: {}\n\n",
		"data that are text": "data: %\n\n",
		"JSON on many lines": "{\n  \"text\" : \"%\",\n  \"type\": \"text\"\n},\n",
		"content blocks":     `{"type":"text","text":"%"},`,
		"an array":           `"%",`,
	} {
		for _, size := range []int{1, 3, len(key) - 1} {
			m := newMasker(key)
			body := cut(size, format)
			equal(t, name+": the mask alone", string(m.Bytes([]byte(body))), body)
			errorIf(t, !m.InPieces([]byte(body)),
				"%s, cut every %d bytes: the key is not found in\n%s", name, size, body)
			whole := string(m.Bytes([]byte(cut(len(key), format))))
			errorIf(t, m.InPieces([]byte(whole)) || !strings.Contains(whole, "***"),
				"%s: a key in one piece should be masked, and none found in\n%s", name, whole)
			errorIf(t, !m.InPieces([]byte(whole+body)),
				"%s, cut every %d bytes, behind a whole key: not found", name, size)
		}
	}
}

func TestPiecesOfStrings(t *testing.T) {
	longName := strings.Repeat("n", maxName+1)
	many := "{"
	for i := range 2 * maxNames {
		many += fmt.Sprintf(`"name %d":"v",`, i)
	}
	tests := []struct {
		name, body string
		want       bool
	}{
		{"nothing", "", false},
		{"a part", `{"text":"sk-canary"}{"text":"/000"}`, false},
		{"parts of two texts", `{"text":"sk-canary"}{"id":"/0001"}`, false},
		{"parts in the wrong order", `{"text":"/0001"}{"text":"sk-canary"}`, false},
		{"cut inside a string", `{"text":"sk-canary`, false},
		{"cut inside an escape", `{"text":"sk-canary\`, false},
		{"escapes of a text in a text", `{"json":"\\u0073k-can"}{"json":"ary\\u002"}{"json":"f0001"}`, true},
		{"in one piece, with such escapes", `{"json":"\\u0073k-canary/0001"}`, true},
		{"in a string that is cut", `{"text":"sk-canary"}{"text":"/0001`, true},
		{"around other strings", `{"text":"sk-canary"` + strings.Repeat(`,"n":"a"`, 1000) + `}{"text":"/0001"}`, true},
		{"under names beyond the most that are kept apart", many + `"one":"sk-canary"}{"one":"/0001"}`, true},
		{"under long names", `{"` + longName + `":"sk-canary"}{"` + longName + `":"/0001"}`, true},
		{"a key with which another begins", `{"text":"sk-can"}{"text":"ary-0002"}`, true},
	}
	for _, test := range tests {
		m := newMasker("sk-canary/0001", "sk-canary-0002", "sk-canary-0002-and-more")
		got := m.InPieces([]byte(test.body))
		errorIf(t, got != test.want, "%s: found %t, want %t, in %.200s", test.name, got, test.want, test.body)
	}
}

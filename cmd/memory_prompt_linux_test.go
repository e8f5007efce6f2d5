package cmd_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// TestMemoryOfLongPrompts holds the memory of a process to its bound while a prompt is long, more so as JSON.
func TestMemoryOfLongPrompts(t *testing.T) {
	long(t, "prompts of 32 MiB")
	if raceEnabled {
		t.Skip("the race detector needs memory of its own; make memory runs it without")
	}
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, `{"content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn"}`)
	}))
	defer server.Close()
	for _, test := range []struct {
		name, unit string
		bytes      int
		code       int
		says       string
		requests   int64
	}{
		{"plain text", "word ", 32 << 20, 0, "", 1},
		{"control characters that fit", "\x01", 10 << 20, 0, "", 1},
		{"control characters", "\x01", 31 << 20, 2, "the request would have 186 MiB as JSON, over the limit of 64 MiB", 0},
		{"quotes", `"`, 31 << 20, 0, "", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			home := t.TempDir()
			prompt := filepath.Join(home, "prompt.txt")
			write(t, prompt, strings.Repeat(test.unit, test.bytes/len(test.unit)))
			kib, code, said := peakOf(t, home, nil, "ask", "-n", server.URL, "-f", prompt)
			if code != test.code || !strings.Contains(said, test.says) {
				t.Errorf("exit code %d, want %d with %q: %.500s", code, test.code, test.says, said)
			}
			if got := requests.Swap(0); got != test.requests {
				t.Errorf("%d requests were sent, want %d", got, test.requests)
			}
			if kib > mostMemory {
				t.Errorf("%d MiB in memory, at most %d are allowed", kib>>10, mostMemory>>10)
			}
			t.Logf("%d MiB", kib>>10)
		})
	}
}

package cmd_test

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ferry/cmd"
)

// TestStreamCutAtEveryByte cuts a recorded stream of each dialect at every byte, once as a proxy does it, with a
// well-formed end, and once by dropping the connection: nothing before the event that says why the answer ended is a
// success, from there on all is, and what is printed is the beginning of the whole.
func TestStreamCutAtEveryByte(t *testing.T) {
	long(t, "three streams, cut at every byte, twice each")
	for _, api := range []string{"messages", "complete", "chat"} {
		t.Run(api, func(t *testing.T) {
			t.Parallel()
			recorded, err := os.ReadFile(filepath.Join("..", "testdata", "streams", api+".sse"))
			check(t, err)
			server := newCutter(t, recorded)
			whole, code, stderr := server.stream(t, api, len(recorded), false)
			if code != 0 || len(whole) < 40 || !strings.HasSuffix(whole, "\n") {
				t.Fatalf("the whole stream: exit code %d, %q, %s", code, whole, stderr)
			}
			all := saysEnd.FindAllIndex(recorded, -1) // before the last one, another choice's
			if all == nil {
				t.Fatal("no event says why it ended")
			}
			said := all[len(all)-1][1]
			for n := range len(recorded) + 1 {
				for _, drop := range []bool{false, true} {
					got, code, stderr := server.stream(t, api, n, drop)
					isWhole, isCut := code == 0 && got == whole, code == 1 && strings.HasPrefix(whole, got)
					if n < said && !isCut || n >= said && !isWhole && !(drop && isCut) { // what is dropped can have lost its last bytes
						t.Fatalf("cut at byte %d of %d (drop %t): exit code %d, %q, %s", n, len(recorded), drop, code, got, stderr)
					}
				}
			}
		})
	}
}

// saysEnd matches a recorded stream's line of data that says why the answer ended, to the end of its JSON.
var saysEnd = regexp.MustCompile(`(?m)^data: .*"(stop_reason|finish_reason)":"[^\r\n]*`)

// cutter serves the beginning of a stream.
type cutter struct {
	*httptest.Server
	recorded []byte
}

func newCutter(t *testing.T, recorded []byte) *cutter {
	c := &cutter{recorded: recorded}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var n int
		var drop bool
		if _, err := fmt.Sscan(r.URL.Query().Get("n")+" "+r.URL.Query().Get("drop"), &n, &drop); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(c.recorded[:n])
		w.(http.Flusher).Flush()
		if drop {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_ = conn.(*net.TCPConn).SetLinger(0)
				conn.Close()
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *cutter) stream(t *testing.T, api string, n int, drop bool) (stdout string, code int, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	at := fmt.Sprintf("%s?n=%d&drop=%t", c.URL, n, drop)
	code = cmd.Run(t.Context(), []string{"stream", "-q", "--no-stdin", "-m", "some", "--api", api, "-n", at, "hello"},
		testEnv(nil, &out, &errs))
	return out.String(), code, errs.String()
}

package transport

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
)

// TestPhase stops a request at each step and reads its trace meanwhile.
func TestPhase(t *testing.T) {
	mute := listen(t)
	silent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/half" {
			_, _ = io.WriteString(w, "half")
			w.(http.Flusher).Flush()
		}
		<-r.Context().Done()
	}))
	defer silent.Close()
	never := func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
	for _, test := range []struct {
		name, target string
		o            Options
		want         Phase
	}{
		{"TCP", "http://node.test", Options{Dial: never}, Connecting},
		{"TLS", "https://" + mute.Addr().String(), Options{}, Securing},
		{"the model", silent.URL, Options{}, Waiting},
		{"the rest", silent.URL + "/half", Options{}, Receiving},
	} {
		test.o.Target = mustURL(t, test.target)
		rt := build(t, test.o)
		trace := new(Trace)
		equalPhase(t, test.name+", not begun", trace, Resolving)
		ctx, cancel := context.WithCancel(WithTrace(t.Context(), trace))
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _, _ = roundTrip(rt, request(t, test.target, body("the prompt")).WithContext(ctx)) // ends with its context
		}()
		for trace.Phase() < test.want && t.Context().Err() == nil {
			runtime.Gosched()
		}
		equalPhase(t, test.name, trace, test.want)
		cancel()
		<-ended
		equalPhase(t, test.name+", ended", trace, test.want)
	}
}

func equalPhase(t *testing.T, what string, trace *Trace, want Phase) {
	t.Helper()
	errorIf(t, trace.Phase() != want, "%s: phase %d, want %d", what, trace.Phase(), want)
}

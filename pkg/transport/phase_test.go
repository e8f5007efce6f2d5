package transport

import (
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"testing"
)

// TestPhase stops a request at each step and reads its trace meanwhile.
func TestPhase(t *testing.T) {
	mute := listen(t)
	_, silent := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/half" {
			_, _ = io.WriteString(w, "half")
			w.(http.Flusher).Flush()
		}
		<-r.Context().Done()
	})
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
		ended := awaitPhase(rt, request(t, test.target, body("the prompt")).WithContext(ctx), test.want)
		equalPhase(t, test.name, trace, test.want)
		cancel()
		<-ended
		equalPhase(t, test.name+", ended", trace, test.want)
	}
}

// awaitPhase sends a request and waits until its trace reaches a phase. ended receives the error of the request.
func awaitPhase(rt http.RoundTripper, r *http.Request, want Phase) (ended chan error) {
	ended = make(chan error, 1)
	go func() {
		_, _, err := roundTrip(rt, r)
		ended <- err
	}()
	for TraceOf(r.Context()).Phase() < want && r.Context().Err() == nil {
		runtime.Gosched()
	}
	return ended
}

func equalPhase(t *testing.T, what string, trace *Trace, want Phase) {
	t.Helper()
	errorIf(t, trace.Phase() != want, "%s: phase %d, want %d", what, trace.Phase(), want)
}

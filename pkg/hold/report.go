package hold

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	"ferry/pkg/guard"
	"ferry/pkg/text"
	"ferry/pkg/transport"
)

// headerName is the header in which a command and a holder speak of a request. It never goes to the node, and is taken off
// what the node sends.
const headerName = "Ferry-Hold"

// What a command says in the header, beside how long the holder is to live: "5m0s".
const (
	wantStatus = "status"
	wantEnd    = "end"
	wantReady  = "ready"
)

// report is what a holder says of a request: how it went to the node, and what it failed with.
type report struct {
	DNS, Connect, TLS time.Duration
	Remote            string
	TLSVersion        uint16
	HTTP3, Reused     bool
	Handshakes        int
	Answered          bool   // a byte of an answer came
	Fault             *fault `json:",omitempty"`
}

func reportOf(t *transport.Trace, err error) report {
	return report{
		DNS: t.DNS, Connect: t.Connect, TLS: t.TLS, Remote: t.Remote, TLSVersion: t.TLSVersion, HTTP3: t.HTTP3,
		Reused: t.Reused, Handshakes: int(t.Handshakes.Load()), Answered: !t.First.IsZero(), Fault: faultOf(err),
	}
}

// readReport takes the report off an answer. Without one the other side is no holder.
func readReport(resp *http.Response) (r report, ok bool) {
	err := json.Unmarshal([]byte(resp.Header.Get(headerName)), &r)
	resp.Header.Del(headerName)
	return r, err == nil
}

// tell writes the report into the trace of the command's request.
func (r report) tell(t *transport.Trace) {
	t.DNS, t.Connect, t.TLS = r.DNS, r.Connect, r.TLS
	t.Remote, t.TLSVersion, t.HTTP3, t.Reused, t.Held = r.Remote, r.TLSVersion, r.HTTP3, r.Reused, true
	t.Handshakes.Add(int64(r.Handshakes))
	if r.Fault != nil && !r.Answered {
		t.First = time.Time{} // what came was the holder's
	}
}

// fault is what a request failed with, before the header of an answer.
type fault struct {
	// Kind is one of the words below.
	Kind string
	// Text, Host and Advice come from the error.
	Text, Host, Advice string
	Limit              int64
}

const (
	unsent    = "unsent" // no byte left: the command can ask the node directly
	late      = "late"   // so it is, but the connect timeout is over
	early     = "early"
	reset     = "reset"
	ended     = "ended"
	timedOut  = "timed out"
	distrust  = "distrust"
	tooLarge  = "too large"
	otherwise = "other"
)

func faultOf(err error) *fault {
	var over *transport.ConnectTimeoutError
	var stray *transport.EarlyError
	var trust *guard.TrustError
	var large *text.LimitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &over):
		return &fault{Kind: late}
	case transport.Unsent(err):
		return &fault{Kind: unsent}
	case errors.As(err, &stray):
		return &fault{Kind: early}
	case errors.As(err, &trust):
		return &fault{Kind: distrust, Host: trust.Host, Text: trust.Reason, Advice: string(trust.Advice)}
	case errors.As(err, &large):
		return &fault{Kind: tooLarge, Text: large.What, Limit: large.Limit}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &fault{Kind: ended}
	case transport.IsReset(err), errors.Is(err, net.ErrClosed):
		return &fault{Kind: reset}
	case transport.IsTimeout(err):
		return &fault{Kind: timedOut}
	}
	return &fault{Kind: otherwise, Text: err.Error()}
}

// error is the fault as the transport of the options would say it.
func (f *fault) error(o transport.Options) error {
	switch f.Kind {
	case late:
		return o.TooLate()
	case early:
		return &transport.EarlyError{}
	case distrust:
		return &guard.TrustError{Host: f.Host, Reason: f.Text, Advice: text.Advice(f.Advice)}
	case tooLarge:
		return &text.LimitError{What: f.Text, Limit: f.Limit}
	case ended:
		return io.EOF
	case reset:
		return &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	case timedOut:
		return &net.OpError{Op: "read", Net: "tcp", Err: syscall.ETIMEDOUT}
	}
	return errors.New(f.Text)
}

// lostError says that the holder went away with the request, or is stopped. It counts as a reset: what was sent may have
// arrived.
type lostError struct{ stopped bool }

func (e *lostError) Error() string {
	if e.stopped {
		return "the process that holds it does not answer"
	}
	return "the process that held it has ended"
}

// HolderLost tells it from a connection that the server closed.
func (*lostError) HolderLost() bool { return true }

// Is makes it the reset of a connection.
func (*lostError) Is(target error) bool { return target == syscall.ECONNRESET }

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

// headerName is the header that a command and a holder use to exchange data about a request. It is never sent to the
// node, and is removed if the node sends it.
const headerName = "Ferry-Hold"

// The values of the header in a request to a holder. Any other value is the time that the holder should live, such as
// "5m0s".
const (
	wantStatus = "status"
	wantEnd    = "end"
	wantReady  = "ready"
)

// report is what a holder reports about a request: the connection to the node, and the error.
type report struct {
	DNS, Connect, TLS time.Duration
	Remote            string
	TLSVersion        uint16
	HTTP3, Reused     bool
	Handshakes        int
	Answered          bool   // a byte of an answer arrived
	Fault             *fault `json:",omitempty"`
}

func reportOf(t *transport.Trace, err error) report {
	return report{
		DNS: t.DNS, Connect: t.Connect, TLS: t.TLS, Remote: t.Remote, TLSVersion: t.TLSVersion, HTTP3: t.HTTP3,
		Reused: t.Reused, Handshakes: int(t.Handshakes.Load()), Answered: !t.First.IsZero(), Fault: toFault(err),
	}
}

// readReport removes the report from an answer. Without a report, the other side is not a holder.
func readReport(resp *http.Response) (r report, ok bool) {
	err := json.Unmarshal([]byte(resp.Header.Get(headerName)), &r)
	resp.Header.Del(headerName)
	return r, err == nil
}

// copyTo copies the report into the trace of the command's request.
func (r report) copyTo(t *transport.Trace) {
	t.DNS, t.Connect, t.TLS = r.DNS, r.Connect, r.TLS
	t.Remote, t.TLSVersion, t.HTTP3, t.Reused, t.Held = r.Remote, r.TLSVersion, r.HTTP3, r.Reused, true
	t.Handshakes.Add(int64(r.Handshakes))
	if r.Fault != nil && !r.Answered {
		t.First = time.Time{} // the received bytes were the holder's
	}
}

// fault is the error of a request that failed before the header of an answer.
type fault struct {
	// Kind is one of the constants below.
	Kind string
	// Text, Host and Advice are copied from the error.
	Text, Host, Advice string
	Limit              int64
	Handshake          bool // of a guard.TrustError
}

const (
	unsent     = "unsent" // no byte was sent: the command can send the request directly
	late       = "late"   // no byte was sent, but the connect timeout is over
	early      = "early"
	reset      = "reset"
	ended      = "ended"
	timedOut   = "timed out"
	untrusted  = "distrust"
	tooLarge   = "too large"
	otherFault = "other"
)

func toFault(err error) *fault {
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
		return &fault{Kind: untrusted, Host: trust.Host, Text: trust.Reason, Advice: string(trust.Advice), Handshake: trust.Handshake}
	case errors.As(err, &large):
		return &fault{Kind: tooLarge, Text: large.What, Limit: large.Limit}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &fault{Kind: ended}
	case transport.IsReset(err), errors.Is(err, net.ErrClosed):
		return &fault{Kind: reset}
	case transport.IsTimeout(err):
		return &fault{Kind: timedOut}
	}
	return &fault{Kind: otherFault, Text: err.Error()}
}

// error returns the error that a transport with these options would return.
func (f *fault) error(o transport.Options) error {
	switch f.Kind {
	case late:
		return o.NewConnectTimeoutError()
	case early:
		return &transport.EarlyError{}
	case untrusted:
		return &guard.TrustError{Host: f.Host, Reason: f.Text, Handshake: f.Handshake, Advice: text.Advice(f.Advice)}
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

// lostError reports that the holder ended during a request, or that it is stopped. It counts as a reset: the node may
// have received the request.
type lostError struct{ stopped bool }

func (e *lostError) Error() string {
	if e.stopped {
		return "the process that holds the connection does not answer"
	}
	return "the process that held the connection has ended"
}

// HolderLost distinguishes the error from a connection that the server closed.
func (*lostError) HolderLost() bool { return true }

// Is reports that the error is a connection reset.
func (*lostError) Is(target error) bool { return target == syscall.ECONNRESET }

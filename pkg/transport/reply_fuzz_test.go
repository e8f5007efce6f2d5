package transport

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// fuzzBody is the most of a body that FuzzReply reads.
const fuzzBody = 64 << 10

// replyConn is a connection to a server that has read the request when it replies, and closes the connection.
type replyConn struct {
	reply        *bytes.Reader
	asked, ended context.Context // has the request been written, has this end been closed
	ask, end     func()
	one          sync.Mutex
}

func newReplyConn(reply []byte) *replyConn {
	c := &replyConn{reply: bytes.NewReader(reply)}
	c.asked, c.ask = context.WithCancel(context.Background())
	c.ended, c.end = context.WithCancel(context.Background())
	return c
}

func (c *replyConn) Read(p []byte) (int, error) {
	select {
	case <-c.asked.Done():
	case <-c.ended.Done():
		return 0, net.ErrClosed
	}
	c.one.Lock()
	defer c.one.Unlock()
	return c.reply.Read(p)
}

// taken is how much of the reply was read.
func (c *replyConn) taken() int64 {
	c.one.Lock()
	defer c.one.Unlock()
	return c.reply.Size() - int64(c.reply.Len())
}

func (c *replyConn) Write(p []byte) (int, error) { c.ask(); return len(p), nil } // the request is one write
func (c *replyConn) Close() error                { c.end(); return nil }

func (c *replyConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *replyConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *replyConn) SetDeadline(time.Time) error      { return nil }
func (c *replyConn) SetReadDeadline(time.Time) error  { return nil }
func (c *replyConn) SetWriteDeadline(time.Time) error { return nil }

func (c *replyConn) dial(context.Context, string, string) (net.Conn, error) { return c, nil }

// FuzzReply has a server reply with any bytes: ferry's transport ends as http.Transport does, within its bounds, and
// keeps the connection if the reply was one answer. A part of the reply is repeated, so that the bounds are met.
func FuzzReply(f *testing.F) {
	log.SetOutput(io.Discard) // net/http logs what no request asked for
	f.Cleanup(func() { log.SetOutput(os.Stderr) })
	for _, b := range behaviours(f) {
		if reply := strings.Join(b.pieces, ""); len(reply) < 2000 {
			f.Add([]byte(reply), uint16(0), uint16(0), uint16(0))
		}
	}
	f.Add([]byte(withHeader("X-B: bbb\r\n")), uint16(17), uint16(10), uint16(6600))
	f.Add([]byte(good["1xx before"]), uint16(0), uint16(25), uint16(3000))
	f.Add([]byte(chunked("1\r\nx\r\n0\r\n\r\n")), uint16(47), uint16(6), uint16(3000))
	f.Add([]byte(chunked("1;x\r\nx\r\n0\r\n\r\n")), uint16(49), uint16(1), uint16(20000))
	f.Fuzz(func(t *testing.T, reply []byte, at, size, times uint16) {
		begin := min(int(at), len(reply))
		end := min(begin+int(size), len(reply))
		if n := (end - begin) * int(times); n > 0 && n < 4*MaxHeader {
			reply = bytes.Join([][]byte{reply[:begin], bytes.Repeat(reply[begin:end], int(times)), reply[end:]}, nil)
		}
		ours, theirs := newReplyConn(reply), newReplyConn(reply)
		rt, err := New(Options{Target: mustURL(t, "http://node.test"), Dial: ours.dial, MaxBody: fuzzBody})
		check(t, err)
		judge := &http.Transport{DialContext: theirs.dial, DisableCompression: true, MaxResponseHeaderBytes: MaxHeader}
		ask := func(rt http.RoundTripper) string {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			return result(t, rt, request(t, "http://node.test", body("prompt")).WithContext(ctx))
		}
		got, want := ask(rt), ask(boundedJudge{judge})
		errorIf(t, got != want, " got %.999s\nwant %.999s", got, want)
		errorIf(t, strings.HasPrefix(got, "no answer") && ours.taken() > MaxHeader,
			"%d bytes of a header were read", ours.taken())
		failed := strings.HasPrefix(got, "no answer") || strings.HasPrefix(got, "broken") // a gzip body may be whole and bad
		kept, fit := rt.Idle() == 1, oneAnswer(reply[:ours.taken()])
		errorIf(t, kept && !fit || fit && !kept && !failed, "kept %t, fit for a next request %t, after %.999s", kept, fit, got)
		rt.CloseIdleConnections()
		judge.CloseIdleConnections()
	})
}

// boundedJudge is http.Transport with what ferry differs in: bodies are bounded and unpacked, and none is a
// bare connection.
type boundedJudge struct{ *http.Transport }

func (j boundedJudge) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := j.Transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		resp.Body.Close()
		resp.Body = http.NoBody
	}
	return bounded(resp, fuzzBody), nil
}

// oneAnswer reports whether what was read of a reply is one whole answer, after which the connection stays open.
func oneAnswer(reply []byte) bool {
	in := bufio.NewReader(bytes.NewReader(reply))
	for {
		resp, err := http.ReadResponse(in, &http.Request{Method: http.MethodPost})
		if err != nil {
			return false
		}
		if resp.StatusCode/100 == 1 && resp.StatusCode != http.StatusSwitchingProtocols {
			continue
		}
		_, err = io.Copy(io.Discard, resp.Body)
		_, more := in.ReadByte()
		return err == nil && more == io.EOF && !resp.Close && resp.StatusCode >= 200
	}
}

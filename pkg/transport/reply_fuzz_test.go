package transport

import (
	"bufio"
	"bytes"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
)

// fuzzBody is the maximum body size in FuzzReply.
const fuzzBody = 64 << 10

// FuzzReply sends arbitrary bytes as a response: ferry's transport must have the same result as http.Transport,
// within its limits, and keep the connection if the bytes were exactly one response. A part of the bytes is repeated
// to reach the limits.
func FuzzReply(f *testing.F) {
	log.SetOutput(io.Discard) // net/http logs unexpected bytes
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
		ask := func(useNetHTTP bool) (got string, kept, taken int) {
			l := newLink(t, inMemory, false)
			l.options.MaxBody = fuzzBody
			tr := l.start(t, useNetHTTP, func(conn net.Conn) {
				defer conn.Close()
				for range requests(conn) {
					break
				}
				if len(reply) > 0 {
					n, _ := conn.Write(reply)
					if !useNetHTTP { // http.Transport may use more than one connection
						taken = n
					}
				}
			})
			defer tr.end()
			if useNetHTTP {
				return outcome(t, boundedNetHTTP{tr}, l.target()), 0, 0
			}
			got = outcome(t, tr, l.target())
			kept = tr.RoundTripper.(*Transport).Idle()
			tr.end()
			return got, kept, taken
		}
		got, kept, taken := ask(false)
		want, _, _ := ask(true)
		errorIf(t, got != want, " got %.999s\nwant %.999s", got, want)
		errorIf(t, strings.HasPrefix(got, "no answer") && taken > MaxHeader, "%d bytes of a header were read", taken)
		failed := strings.HasPrefix(got, "no answer") || strings.HasPrefix(got, "broken") // a complete gzip body may be invalid
		fit := oneAnswer(reply[:taken])
		errorIf(t, kept == 1 && !fit || fit && kept != 1 && !failed, "kept %d, fit for a next request %t, after %.999s", kept, fit, got)
	})
}

// boundedNetHTTP is http.Transport with ferry's differences: bodies are limited and decompressed, and no body is a raw
// connection.
type boundedNetHTTP struct{ http.RoundTripper }

func (j boundedNetHTTP) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := j.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		resp.Body.Close()
		resp.Body = http.NoBody
	}
	return limitBody(resp, fuzzBody), nil
}

// oneAnswer reports whether the bytes read are exactly one complete response, after which the connection stays open.
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

package transport

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// hello is a complete response.
const hello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

// withHeader returns a complete response with additional header lines.
func withHeader(lines string) string {
	return "HTTP/1.1 200 OK\r\n" + lines + "Content-Length: 5\r\n\r\nhello"
}

// chunked returns a response with a chunked body.
func chunked(body string) string {
	return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body
}

// ofSize returns a response whose header section has exactly size bytes, in lines of at most line bytes.
func ofSize(size, line int) string {
	const before, after = "HTTP/1.1 200 OK\r\n", "Content-Length: 5\r\n\r\n"
	var lines strings.Builder
	for left := size - len(before) - len(after); left > 0; {
		n := min(left, line)
		if left-n < 8 {
			n = left
		}
		lines.WriteString("X-B: " + strings.Repeat("b", n-7) + "\r\n")
		left -= n
	}
	return before + lines.String() + after + "hello"
}

// good are responses that HTTP allows.
var good = map[string]string{
	"a length":         hello,
	"chunks":           chunked("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"),
	"chunk extensions": chunked("5;a=b;c=\"d\"\r\nhello\r\n0;e\r\n\r\n"),
	"trailers": "HTTP/1.1 200 OK\r\nTrailer: X-T\r\n" +
		"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: t\r\n\r\n",
	"no content":   "HTTP/1.1 204 No Content\r\n\r\n",
	"not modified": "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
	"1xx before":   "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" + hello,
	"close":        withHeader("Connection: close\r\n"),
	"an error": "HTTP/1.1 500 Internal Server Error\r\n" +
		"Content-Type: text/plain\r\nContent-Length: 3\r\n\r\nbad",
	"HTTP/1.0 with length":  "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
	"HTTP/1.0 kept":         "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
	"events":                chunked("e\r\ndata: {\"a\":1}\n\r\n1\r\n\n\r\ne\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"),
	"an empty body":         "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
	"an empty chunked body": chunked("0\r\n\r\n"),
}

// untilEOF are responses whose body ends with the connection.
var untilEOF = map[string]string{
	"a body until EOF":            "HTTP/1.1 200 OK\r\n\r\nhello",
	"an HTTP/1.0 body until EOF":  "HTTP/1.0 200 OK\r\n\r\nhello",
	"a body until EOF, kept":      "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\nhello",
	"a body until EOF, closed":    "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
	"an unknown coding until EOF": "HTTP/1.0 200 OK\r\nTransfer-Encoding: identity\r\n\r\nhello",
	"an empty body until EOF":     "HTTP/1.1 200 OK\r\n\r\n",
}

// statusLines are status lines, most of them invalid.
var statusLines = []string{
	"HTTP/1.1 200", "HTTP/1.1 200 ", "HTTP/1.1  200 OK", "HTTP/1.1   200   OK", "HTTP/1.0 200 OK", "HTTP/1.2 200 OK",
	"HTTP/1.9 200 OK", "HTTP/2.0 200 OK", "HTTP/2 200 OK", "HTTP/3 200 OK", "HTTP/0.9 200 OK", "HTTP/1 200 OK",
	"HTTP/11 200 OK", "HTTP/1.10 200 OK", "HTTP/01.1 200 OK", "HTTP/-1.1 200 OK", "http/1.1 200 OK", "HTTP /1.1 200 OK",
	"HTTP/1.1 099 X", "HTTP/1.1 000 X", "HTTP/1.1 1000 X", "HTTP/1.1 abc X", "HTTP/1.1 -20 X", "HTTP/1.1 +20 X",
	"HTTP/1.1 20 X", "HTTP/1.1 999 X", "HTTP/1.1 600 X", "HTTP/1.1 0x1 X", "HTTP/1.1 2_0 X", "HTTP/1.1 20O X",
	"HTTP/1.1 ２０ X", "HTTP/1.1\t200 OK", "HTTP/1.1200 OK", "HTTP/1.1 200OK", "HTTP/1.1 200\tOK", "HTTP/1.1 200,OK",
	"HTTP/1.1", "HTTP/1.1 ", "HTTP", "", " ", " HTTP/1.1 200 OK", "\r\nHTTP/1.1 200 OK", "\x00HTTP/1.1 200 OK",
	"ICY 200 OK", "PRI * HTTP/2.0", "POST / HTTP/1.1", "SSH-2.0-OpenSSH_9.2", "220 mail.test ESMTP",
	"<!DOCTYPE html><html>", `{"id": 1}`, "\x15\x03\x01\x00\x02\x02\x28", "\xff\xfe\x00", "\xef\xbb\xbfHTTP/1.1 200 OK",
	"HTTP/1.1 200 \x00", "HTTP/1.1 200 O\rK", "HTTP/1.1 200 \x1b[31mred", "HTTP/1.1 200 \xff\xfe", "HTTP/1.1 200 ÖK",
	"HTTP/1.1 200 " + strings.Repeat("x", 5000), strings.Repeat("x", 5000),
}

// each returns every value between the same texts.
func each(before, after string, values ...string) (all []string) {
	for _, value := range values {
		all = append(all, before+value+after)
	}
	return all
}

// headers returns a header line for each value.
func headers(name string, values ...string) []string { return each(name+": ", "\r\n", values...) }

// headerLines are header lines of a 200 with a Content-Length.
var headerLines = slices.Concat(
	each("", "\r\n",
		"no colon", "nocolon", ": no name", "X : space before", " X: space first", "\tX: tab first", "X:", "X:tight",
		"X\r: name", "X\x00: NUL", "É: x", "X Y: z", "X(Y): z", "X/Y: z", "\"X\": z", "\x7f: del", "x-lower: a\r\nX-LOWER: b",
		"Host: elsewhere", "Set-Cookie: a=b", "Upgrade: h2c", "Alt-Svc: h3=\":443\"", "Location: /x", "Pragma: no-cache",
		"Content-Encoding: br", "Content-Type", "Trailer: X-T", "Trailer: Content-Length", "Proxy-Connection: close",
		"Keep-Alive: timeout=0", strings.Repeat("X", 5000)+": x"),
	headers("X",
		"a\r\n b: folded", "a\r\n\tfolded by a tab", "a\r\n ", "", " loose  ", "lone\rCR", "CR before\r", "NUL \x00",
		"bell \x07", "\xff\xfe", "é", "a\r\nX: b", "del \x7f", "tab\tin", "a: b", strings.Repeat("x", 5000)),
	headers("Connection",
		"close", "Close", "keep-alive, close", "keep-alive", "closed", "close\r\nConnection: keep-alive", "upgrade"),
	[]string{"X: bare LF\n", "X: a\nY: b\n", strings.Repeat("X: x\r\n", 2000)},
)

// lengths are header lines about the length of the body hello. The connection ends after the body.
var lengths = slices.Concat(
	headers("Content-Length",
		"4", "6", "0", "-1", "+5", "05", "5 ", "", "5,5", "5, 5", "5, 6", "5;6", "5.0", "0x5", "5e0", "five", "5 5",
		"9223372036854775807", "9223372036854775808", "18446744073709551621", "99999999999999999999999999999999"),
	headers("Transfer-Encoding",
		"identity", "gzip, chunked", "chunked, chunked", "xchunked", "CHUNKED", "chunked;q=1", "\x0bchunked"),
	[]string{
		"Content-Length:\r\n", "Content_Length: 5\r\n", "Content-Length : 5\r\n", "Transfer-Encoding:\r\n",
		"Content-Length: 5\r\nContent-Length: 5\r\n", "Content-Length: 5\r\nContent-Length: 6\r\n",
		"Content-Length: 5\r\ncontent-length: 4\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
		"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nConnection: close\r\n",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
		"Content-Range: bytes 0-4/5\r\n", "Content-Type: multipart/byteranges; boundary=x\r\n",
	})

// chunks are chunked bodies, most of them invalid. The connection ends after the body.
var chunks = slices.Concat(
	each("", "\r\nhello\r\n0\r\n\r\n", // sizes of a chunk
		"5 ", " 5", "05", "0000000000000005", "00000000000000005", "0x5", "-5", "+5", "g", "", "\r\n5", "5;", "5;a\nb",
		"ffffffffffffffff", "fffffffffffffffff", "5;"+strings.Repeat("x", 5000), "0\r\n\r\n5"),
	each("5\r\nhello\r\n", "", // ends of a body
		"0\r\n", "0", "", "00\r\n\r\n", "-0\r\n\r\n", "0\r\n\r", "0\r\nX-T: t\r\n\r\n", "0\r\nno colon\r\n\r\n",
		"0\r\nX-T: t\r\n", "0\r\nX-T: t", "0\r\n: t\r\n\r\n", "0\r\nX-T: a\r\n b\r\n\r\n", "0\r\nX-T: t\n\n",
		"0\r\nContent-Length: 9\r\n\r\n", "0\r\nX-T: "+strings.Repeat("t", 5000)+"\r\n\r\n", "0\r\nX\x00: t\r\n\r\n"),
	[]string{
		"5\nhello\n0\n\n", "5\r\nhello", "5\r\nhelloX\r\n0\r\n\r\n", "5\r\nhello\n0\r\n\r\n", "5\r\nhello0\r\n\r\n",
		"5\r\nhel\r\n0\r\n\r\n", "5\rhello\r\n0\r\n\r\n", "7fffffffffffffff\r\nhello", "8000000000000000\r\nhello",
		"A\r\nhelloworld\r\n0\r\n\r\n", "hello", strings.Repeat("1\r\na\r\n", 3000) + "0\r\n\r\n",
		strings.Repeat("1;"+strings.Repeat("x", 3000)+"\r\na\r\n", 10) + "0\r\n\r\n",
	})

// other are other responses, most of them invalid. The connection ends after the response.
var other = map[string]string{
	"nothing":                     "",
	"no header end":               "HTTP/1.1 200 OK\r\nX: y\r\n",
	"a status line alone":         "HTTP/1.1 200 OK\r\n",
	"bare LF throughout":          "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
	"lone CR throughout":          "HTTP/1.1 200 OK\rContent-Length: 5\r\rhello",
	"a status line and a bare LF": "HTTP/1.1 200 OK\n\r\nContent-Length: 5\r\n\r\nhello",
	"an HTTP/0.9 body":            "hello, this is the body\n",
	"an HTTP/2 preface":           "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
	"an HTTP/2 settings frame":    "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64",
	"a TLS alert":                 "\x15\x03\x03\x00\x02\x02\x28",
	"1xx alone":                   "HTTP/1.1 100 Continue\r\n\r\n",
	"1xx and half a header":       "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 O",
	"a 1xx with a length":         "HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\nhello" + hello,
	"a 1xx of HTTP/1.0":           "HTTP/1.0 100 Continue\r\n\r\n" + hello,
	"a 199":                       "HTTP/1.1 199 X\r\n\r\n" + hello,
	"a bad 1xx":                   "HTTP/1.1 100 Continue\r\nno colon\r\n\r\n" + hello,
	"many 1xx":                    strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 1000) + hello,
	"too many 1xx":                strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 3000) + hello,
	"a 204 that is chunked":       "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
	"a 304 that is chunked":       "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
	"chunks of HTTP/1.0":          "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	"trailers that are not said":  chunked("5\r\nhello\r\n0\r\nX-A: a\r\nX-B: b\r\nX-A: c\r\n\r\n"),
	"trailers, one of two": "HTTP/1.1 200 OK\r\nTrailer: X-A, X-B\r\n" +
		"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-B: b\r\n\r\n",
	"said trailers of a length": withHeader("Trailer: X-A\r\n") + "X-A: a\r\n\r\n",
	"a 408":                     "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
	"a 426": "HTTP/1.1 426 Upgrade Required\r\n" +
		"Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n",
	"a redirect": "HTTP/1.1 307 Temporary Redirect\r\n" +
		"Location: http://elsewhere.test/\r\nContent-Length: 0\r\n\r\n",
	"a long body": fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", 100<<10) +
		strings.Repeat("x", 100<<10),
	"a header of 64 KiB less 1": ofSize(MaxHeader-1, 100),
	"a header of 64 KiB":        ofSize(MaxHeader, 100),
	"a header of 64 KiB and 1":  ofSize(MaxHeader+1, 100),
	"a line of 64 KiB less 1":   ofSize(MaxHeader-1, MaxHeader),
	"a line of 64 KiB":          ofSize(MaxHeader, MaxHeader),
	"a line of 64 KiB and 1":    ofSize(MaxHeader+1, MaxHeader),
	"a header of 1 MiB":         ofSize(1<<20, 100),
	"a status line of 1 MiB":    "HTTP/1.1 200 " + strings.Repeat("x", 1<<20),
	"a name of 1 MiB":           "HTTP/1.1 200 OK\r\n" + strings.Repeat("x", 1<<20),
}

// particular are the behaviours in which ferry differs from http.Transport, or which http.Transport does not handle
// the same way each time.
func particular(t testing.TB) []behaviour {
	const races = "it may write the second request before it has read what came unasked"
	const switched = `HTTP/1.1 101 Switching Protocols, 0 of 0 bytes "", ` +
		"header map[Connection:[Upgrade] Upgrade:[x]], trailer map[]"
	list := []behaviour{{
		name:    "a 101",
		pieces:  []string{"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nbytes of x"},
		end:     fin,
		differs: "another protocol was not asked for, and the bare connection has no bounds",
		want:    switched,
	}, {
		name: "gzip",
		pieces: []string{fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s",
			len(zipped(t, []byte("hello"))), zipped(t, []byte("hello")))},
		differs: "ferry unpacks what it did not ask for",
		want:    `HTTP/1.1 200 OK, 5 of -1 bytes "hello", header map[Content-Length:[29]], trailer map[]`,
	}}
	for name, more := range map[string]string{
		"another answer": "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong", "one byte": "\x00", "an empty line": "\r\n",
		"a part of an answer": "HTTP/1.1 2", "a 408": other["a 408"], "a 100": "HTTP/1.1 100 Continue\r\n\r\n",
		"much": strings.Repeat("x", 10<<10),
	} {
		for first, answer := range map[string]string{
			"a length": hello, "chunks": good["chunks"], "no content": good["no content"], "trailers": good["trailers"],
		} {
			list = append(list,
				behaviour{name: first + " and " + more + " at once", pieces: []string{answer + more}, incomparable: races},
				behaviour{name: first + " and " + name + " behind it", pieces: []string{answer, more}, incomparable: races},
				behaviour{name: first + ", " + name + " and the end", pieces: []string{answer, more}, end: fin, incomparable: races})
		}
	}
	return list
}

// behaviours returns all behaviours to compare.
func behaviours(t testing.TB) (all []behaviour) {
	add := func(name, answer string, ends ...ending) {
		for _, end := range ends {
			if end == rst && runtime.GOOS != "linux" {
				continue // elsewhere it is not known whether a response before the reset is read
			}
			all = append(all, behaviour{name: fmt.Sprintf("%s, end %d", name, end), pieces: []string{answer}, end: end})
		}
	}
	for name, answer := range good {
		add(name, answer, open, fin, rst)
	}
	for name, answer := range untilEOF {
		add(name, answer, fin, rst)
	}
	for _, line := range statusLines {
		add(fmt.Sprintf("the status line %.40q", line), line+"\r\nContent-Length: 5\r\n\r\nhello", open)
	}
	for _, lines := range headerLines {
		add(fmt.Sprintf("the header %.40q", lines), withHeader(lines), open)
		add(fmt.Sprintf("the header %.40q first", lines), "HTTP/1.1 200 OK\r\n"+lines+"\r\n", fin)
	}
	for _, lines := range lengths {
		add(fmt.Sprintf("the length %.40q", lines), "HTTP/1.1 200 OK\r\n"+lines+"\r\nhello", fin)
		add(fmt.Sprintf("the length %.40q of a 204", lines), "HTTP/1.1 204 No Content\r\n"+lines+"\r\n", fin)
	}
	for _, body := range chunks {
		add(fmt.Sprintf("the chunks %.40q", body), chunked(body), fin)
	}
	for name, answer := range other {
		add(name, answer, fin)
	}
	return append(all, particular(t)...)
}

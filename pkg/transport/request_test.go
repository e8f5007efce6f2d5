package transport

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestRequestAsWritten checks that a request has exactly the same bytes as with http.Transport.
func TestRequestAsWritten(t *testing.T) {
	untold := func(words string) io.Reader { return struct{ io.Reader }{strings.NewReader(words)} }
	written := func(useNetHTTP bool, change func(*http.Request), body io.Reader) string {
		var got bytes.Buffer
		l := newLink(t, inMemory, false)
		tr := l.start(t, useNetHTTP, func(conn net.Conn) {
			defer conn.Close()
			for range requests(io.TeeReader(conn, &got)) {
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello")
				return
			}
		})
		r := request(t, l.target()+"/v1/messages?a=b", body)
		change(r)
		got.WriteString(result(t, tr, r) + "\n")
		tr.end()
		return got.String()
	}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header[name] = append(r.Header[name], value) }
	}
	for name, test := range map[string]struct {
		change  func(*http.Request)
		body    func() io.Reader
		differs string // why ferry differs
	}{
		"a body":        {body: func() io.Reader { return strings.NewReader("hello") }},
		"an empty body": {body: func() io.Reader { return strings.NewReader("") }},
		"no body":       {body: func() io.Reader { return http.NoBody }},
		"nil":           {body: func() io.Reader { return nil }},
		"a GET": {body: func() io.Reader { return nil },
			change: func(r *http.Request) { r.Method = http.MethodGet }},
		"a long body":      {body: func() io.Reader { return strings.NewReader(strings.Repeat("x", 100<<10)) }},
		"an untold length": {body: func() io.Reader { return untold("hello") }},
		"a long untold":    {body: func() io.Reader { return untold(strings.Repeat("x", 100<<10)) }},
		"untold and empty": {body: func() io.Reader { return untold("") }},
		"too short":        {change: func(r *http.Request) { r.ContentLength = 9 }},
		"too long":         {change: func(r *http.Request) { r.ContentLength = 3 }},
		"headers":          {change: header("X-B", "b")},
		"several values":   {change: func(r *http.Request) { r.Header["X-B"] = []string{"b", "a"} }},
		"an odd name":      {change: header("x-lower", "b")},
		"an own host":      {change: func(r *http.Request) { r.Host = "other.test" }},
		"an own agent":     {change: header("User-Agent", "ferry")},
		"no agent":         {change: header("User-Agent", "")},
		"an own coding":    {change: header("Accept-Encoding", "br")},
		"an own close":     {change: func(r *http.Request) { r.Close = true }, differs: "Options.Cold says this"},
		"an own length":    {change: header("Content-Length", "9")},
		"an own chunking":  {change: header("Transfer-Encoding", "chunked")},
		"a path":           {change: func(r *http.Request) { r.URL.Path = "/a b/\x00" }},
		"an opaque path":   {change: func(r *http.Request) { r.URL.Opaque = "/a\r\nX: b" }},
		"a bad host":       {change: func(r *http.Request) { r.Host = "a\r\nX: b" }},
		"spaces around":    {change: header("X-B", " \tb ")},
		"a line break":     {change: header("X-B", "b\r\nX-C: c"), differs: "it is checked before, and written as spaces"},
		"a bad name":       {change: header("X B", "b"), differs: "it is checked before, and left out"},
	} {
		if test.body == nil {
			test.body = func() io.Reader { return strings.NewReader("hello") }
		}
		if test.change == nil {
			test.change = func(*http.Request) {}
		}
		got, want := written(false, test.change, test.body()), written(true, test.change, test.body())
		errorIf(t, (got == want) != (test.differs == ""), "%s: differs as %q\n got %.500q\nwant %.500q",
			name, test.differs, got, want)
		errorIf(t, strings.Contains(got, "\r\nX-C"), "%s: a value became a header", name)
	}
}

// TestManyAtOnce makes many calls at the same time over one transport, whose server often closes connections. Each
// call must get its own response.
func TestManyAtOnce(t *testing.T) {
	for _, secured := range []bool{false, true} {
		l := newLink(t, overTCP(t), secured)
		tr := l.start(t, false, func(conn net.Conn) {
			defer conn.Close()
			n := 0
			for _, words := range requests(conn) {
				n++
				switch answer := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n", len(words)); {
				case n%7 == 0:
					fmt.Fprintf(conn, "%sConnection: close\r\n\r\n%s", answer, words)
					return
				case n%3 == 0:
					_, _ = io.WriteString(conn, chunked(fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(words), words)))
				default:
					fmt.Fprintf(conn, "%s\r\n%s", answer, words)
				}
			}
		})
		var all sync.WaitGroup
		for caller := range 16 {
			all.Go(func() {
				for n := range 40 {
					words := fmt.Sprintf("%d of %d %s", n, caller, strings.Repeat("x", 1+(n*caller*977)%20000))
					_, got, err := postOn(t, tr, Options{Target: mustURL(t, l.target())}, []byte(words))
					errorIf(t, err != nil || got != words, "caller %d, call %d: %.40q, %v; want %.40q",
						caller, n, got, err, words)
				}
			})
		}
		all.Wait()
		kept := tr.RoundTripper.(*Transport).Idle()
		errorIf(t, kept > 16 || kept == 0, "%d connections are kept, want 1 to 16", kept)
		tr.end()
	}
}

// TestExpect uses a server that accepts a body or rejects it. The clock is fake.
func TestExpect(t *testing.T) {
	const patience = 3 * time.Second
	const at = time.Hour
	const taken, later = "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 102 Processing\r\n\r\n"
	const refusal = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 5\r\n\r\n"
	type said struct {
		after time.Duration
		words string
	}
	for name, test := range map[string]struct {
		says    []said
		want    string
		unsent  bool
		took    time.Duration
		refused bool // no byte of the body is sent
	}{
		"taken":                  {says: []said{{2 * time.Second, taken}}, want: "hello", took: 2 * time.Second},
		"taken later":            {says: []said{{time.Second, later}, {at, taken}}, want: "hello", took: at + time.Second},
		"silence":                {says: []said{{time.Minute, taken}}, unsent: true, took: patience, refused: true},
		"refused":                {says: []said{{0, refusal}, {0, "large"}}, want: "large", refused: true},
		"refused later":          {says: []said{{0, later}, {at, refusal + "large"}}, want: "large", took: at, refused: true},
		"refused in two parts":   {says: []said{{0, refusal}, {at, "large"}}, want: "large", took: at, refused: true},
		"the end":                {says: []said{{time.Second, ""}}, unsent: true, took: time.Second, refused: true},
		"the end later":          {says: []said{{0, later}, {at, ""}}, unsent: true, took: at, refused: true},
		"the end when it is due": {says: []said{{0, taken}, {0, ""}}},
	} {
		synctest.Test(t, func(t *testing.T) {
			near, far, _ := inMemory()
			o := Options{Target: mustURL(t, "http://node.test"), Expect: patience, Dial: dialTo(near)}
			words := strings.Repeat("x", 20<<10)
			body := make(chan int)
			go func() {
				in := bufio.NewReader(far)
				r, err := http.ReadRequest(in)
				errorIf(t, err != nil || r.Header.Get("Expect") != "100-continue", "%s: %v, %v; want a request that expects 100", name, r, err)
				ends := false
				for _, next := range test.says {
					time.Sleep(next.after)
					_, _ = io.WriteString(far, next.words)
					ends = ends || next.words == ""
				}
				if ends {
					far.Close()
				}
				n, _ := io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(far, hello)
				far.Close()
				body <- int(n)
			}()
			started := time.Now()
			rt := build(t, o)
			_, got, err := postOn(t, rt, o, []byte(words))
			took := time.Since(started)
			closeIdle(rt)
			errorIf(t, got != test.want || (err == nil) != (got != "") || Unsent(err) != test.unsent || took != test.took,
				"%s: %q, %v, unsent %t, after %v; want %q, unsent %t, after %v",
				name, got, err, Unsent(err), took, test.want, test.unsent, test.took)
			n := <-body
			errorIf(t, test.refused && n > 0 || test.want == "hello" && n != len(words), "%s: %d bytes of a body were sent",
				name, n)
		})
	}
}

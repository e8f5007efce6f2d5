package transport

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"ferry/pkg/text"
)

func zipped(t *testing.T, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(plain)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestBodyCap(t *testing.T) {
	const limit = 1 << 20
	exact := bytes.Repeat([]byte("x"), limit)
	over := append(bytes.Clone(exact), 'y')
	bomb := bytes.Repeat([]byte{0}, 8*limit)
	tests := []struct {
		name    string
		body    []byte
		gzip    bool
		chunked bool
		fits    bool
	}{
		{"just fits", exact, false, false, true},
		{"just fits, chunked", exact, false, true, true},
		{"one byte over", over, false, false, false},
		{"one byte over, chunked", over, false, true, false},
		{"just fits after decompression", zipped(t, exact), true, false, true},
		{"one byte over after decompression", zipped(t, over), true, false, false},
		{"a bomb", zipped(t, bomb), true, false, false},
	}
	for _, test := range tests {
		o, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			if test.gzip {
				w.Header().Set("Content-Encoding", "gzip")
			}
			if test.chunked {
				w.(http.Flusher).Flush()
			}
			_, _ = w.Write(test.body)
		})
		o.MaxBody = limit
		_, got, err := post(t, o)
		if test.fits {
			if err != nil || got != string(exact) {
				t.Errorf("%s: %d bytes, %v", test.name, len(got), err)
			}
			continue
		}
		var over *text.LimitError
		if !errors.As(err, &over) || over.Limit != limit || len(got) != limit {
			t.Errorf("%s: %d bytes, %v", test.name, len(got), err)
			continue
		}
		if err.Error() != "a reply is over 1 MiB" {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	if got := (&text.LimitError{What: "a reply", Limit: 1000}).Error(); got != "a reply is over 1000 bytes" {
		t.Error(got)
	}
}

// TestLimitStays holds that reading on after the limit gives nothing, not the rest.
func TestLimitStays(t *testing.T) {
	b := &cappedBody{under: io.NopCloser(strings.NewReader("abcdefgh")), left: 3, limit: 3}
	got, err := io.ReadAll(b)
	n, again := b.Read(make([]byte, 8))
	var over *text.LimitError
	if string(got) != "abc" || !errors.As(err, &over) || n != 0 || !errors.As(again, &over) {
		t.Errorf("%q, %v; then %d bytes, %v", got, err, n, again)
	}
}

// TestDefaultBodyCap reads 64 MiB and one byte.
func TestDefaultBodyCap(t *testing.T) {
	resp := bounded(&http.Response{Body: io.NopCloser(io.LimitReader(zeros{}, DefaultMaxBody+1))}, 0)
	n, err := io.Copy(io.Discard, resp.Body)
	if n != DefaultMaxBody || err == nil || err.Error() != "a reply is over 64 MiB" {
		t.Errorf("%d bytes, %v", n, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// TestCompression holds that no compression is asked for, and that gzip is undone where a server compresses unasked.
func TestCompression(t *testing.T) {
	asked := make(chan string, 1)
	var reply []byte
	var encoding string
	o, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Header.Get("Accept-Encoding")
		w.Header().Set("Content-Encoding", encoding)
		_, _ = w.Write(reply)
	})
	whole := zipped(t, []byte("hello"))
	tests := []struct {
		encoding string
		reply    []byte
		want     string
		err      error
	}{
		{"", []byte("hello"), "hello", nil},
		{"gzip", whole, "hello", nil},
		{"GZIP", whole, "hello", nil},
		{"gzip", append(bytes.Clone(whole), whole...), "hellohello", nil},
		{"gzip", nil, "", nil},
		{"gzip", whole[:len(whole)-4], "hello", io.ErrUnexpectedEOF},
		{"gzip", whole[:5], "", io.ErrUnexpectedEOF},
		{"gzip", []byte("this is no gzip"), "", gzip.ErrHeader},
		{"br", []byte("hello"), "hello", nil}, // not ours to undo: the body is passed on as it is
	}
	for _, test := range tests {
		encoding, reply = test.encoding, test.reply
		resp, text, err := post(t, o)
		if text != test.want || !errors.Is(err, test.err) {
			t.Errorf("%s of %q: %q, %v; want %q, %v", test.encoding, test.reply, text, err, test.want, test.err)
		}
		if got := <-asked; got != "" {
			t.Errorf("Accept-Encoding %q", got)
		}
		if left := resp.Header.Get("Content-Encoding"); strings.EqualFold(test.encoding, "gzip") && (left != "" || resp.ContentLength != -1) {
			t.Errorf("Content-Encoding %q and a length of %d are left", left, resp.ContentLength)
		}
	}
	b := &cappedBody{under: io.NopCloser(strings.NewReader("this is no gzip, and never will be")), gzip: true, left: 99, limit: 99}
	for range 2 {
		if n, err := b.Read(make([]byte, 9)); n != 0 || err == nil {
			t.Errorf("%d bytes, %v", n, err)
		}
	}
}

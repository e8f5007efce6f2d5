package transport

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"ferry/pkg/text"
)

// bounded bounds the body of an answer, after decompression where a server compressed it unasked. 0 is DefaultMaxBody.
func bounded(resp *http.Response, limit int64) *http.Response {
	if limit == 0 {
		limit = DefaultMaxBody
	}
	body := &cappedBody{ReadCloser: resp.Body, from: resp.Body, left: limit, limit: limit}
	if strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
		body.from = nil
		resp.Header.Del("Content-Encoding")
		resp.ContentLength = -1
	}
	resp.Body = body
	return resp
}

// cappedBody is the body of an answer within its bound.
type cappedBody struct {
	io.ReadCloser
	from        io.Reader // the body as it is, or what it unpacks to, nil before its gzip header was read
	left, limit int64
}

func (b *cappedBody) Read(p []byte) (int, error) {
	if b.from == nil {
		unzip, err := gzip.NewReader(b.ReadCloser) // which fails with io.EOF for an empty body: that has no header
		if errors.Is(err, gzip.ErrHeader) {
			return 0, fmt.Errorf("the reply says gzip and is not: %w", err)
		}
		if err != nil {
			return 0, err
		}
		b.from = unzip
	}
	if b.left < 0 {
		return 0, &text.LimitError{What: "a reply", Limit: b.limit}
	}
	// One byte more than is left shows whether there is more.
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.from.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		return n - 1, &text.LimitError{What: "a reply", Limit: b.limit}
	}
	return n, err
}

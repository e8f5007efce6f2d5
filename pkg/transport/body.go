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
	body := &cappedBody{under: resp.Body, left: limit, limit: limit}
	if strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
		body.gzip = true
		resp.Header.Del("Content-Encoding")
		resp.ContentLength = -1
	}
	resp.Body = body
	return resp
}

type cappedBody struct {
	under       io.ReadCloser
	from        io.Reader
	gzip        bool
	left, limit int64
}

func (b *cappedBody) Read(p []byte) (int, error) {
	if b.from == nil {
		if err := b.open(); err != nil {
			return 0, err
		}
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

// open reads the gzip header where there is one. An empty body has none.
func (b *cappedBody) open() error {
	if !b.gzip {
		b.from = b.under
		return nil
	}
	unzip, err := gzip.NewReader(b.under)
	if errors.Is(err, gzip.ErrHeader) {
		return fmt.Errorf("the reply says gzip and is not: %w", err)
	}
	if err != nil {
		return err
	}
	b.from = unzip
	return nil
}

func (b *cappedBody) Close() error { return b.under.Close() }

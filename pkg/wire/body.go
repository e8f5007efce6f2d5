package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// Body is the body of a request. Files are encoded as base64 while they are read, so each is in memory only once.
type Body []BodyPart

// BodyPart is a piece of JSON, followed by the content of a file if File is not nil.
type BodyPart struct {
	JSON []byte
	File *File
}

// Len returns the number of bytes.
func (b Body) Len() int64 {
	var n int64
	for _, part := range b {
		n += int64(len(part.JSON))
		if part.File != nil {
			n += int64(base64.StdEncoding.EncodedLen(len(part.File.Data)))
		}
	}
	return n
}

// Reader returns a reader of the body from its beginning.
func (b Body) Reader() io.Reader {
	if len(b) == 1 {
		return bytes.NewReader(b[0].JSON)
	}
	var readers []io.Reader
	for _, part := range b {
		readers = append(readers, bytes.NewReader(part.JSON))
		if part.File != nil {
			readers = append(readers, &base64Reader{left: part.File.Data})
		}
	}
	return io.MultiReader(readers...)
}

// Display returns the JSON with a short description in place of each file's content.
func (b Body) Display() []byte {
	if len(b) == 1 {
		return b[0].JSON
	}
	var out []byte
	for _, part := range b {
		out = append(out, part.JSON...)
		if part.File != nil {
			out = append(out, "<"+part.File.String()+">"...)
		}
	}
	return out
}

// base64Reader reads bytes as base64, encoded piece by piece.
type base64Reader struct {
	left    []byte
	encoded []byte // the part of piece that was not read yet
	piece   [8 << 10]byte
}

func (r *base64Reader) Read(p []byte) (int, error) {
	if len(r.encoded) == 0 {
		if len(r.left) == 0 {
			return 0, io.EOF
		}
		n := min(len(r.piece)/4*3, len(r.left))
		r.encoded = base64.StdEncoding.AppendEncode(r.piece[:0], r.left[:n])
		r.left = r.left[n:]
	}
	n := copy(p, r.encoded)
	r.encoded = r.encoded[n:]
	return n, nil
}

// member is one member of a body's top level.
type member struct {
	name  string
	value any
}

// members are the members of a body, in order.
type members []member

// sampling adds the sampling parameters, and the stop sequences under the dialect's name.
func (m members) sampling(r Request, stop string) members {
	if r.Temperature != nil {
		m = append(m, member{"temperature", *r.Temperature})
	}
	if r.TopP != nil {
		m = append(m, member{"top_p", *r.TopP})
	}
	if len(r.Stop) > 0 {
		m = append(m, member{stop, r.Stop})
	}
	return m
}

type bodyWriter struct {
	bytes.Buffer
	enc  *json.Encoder
	body Body
	done int // bytes already in body
}

// encode writes the members as one JSON object. size is the number of bytes of its texts.
func (m members) encode(size int) (Body, error) {
	var w bodyWriter
	w.Grow(size + 128)
	w.enc = json.NewEncoder(&w.Buffer)
	w.enc.SetEscapeHTML(false)
	before := "{"
	for _, one := range m {
		w.WriteString(before)
		err := w.json(one.name)
		w.WriteByte(':')
		if list, ok := one.value.(messageList); ok {
			err = errors.Join(err, w.messages(list))
		} else {
			err = errors.Join(err, w.json(one.value))
		}
		if err != nil {
			return nil, fmt.Errorf("encode the request: %w", err)
		}
		before = ","
	}
	w.WriteByte('}')
	w.endPart(nil)
	return w.body, nil
}

// maxPiece is the maximum number of bytes of a string that are encoded at once: the encoder copies what it writes.
const maxPiece = 1 << 20

func (w *bodyWriter) json(v any) error {
	if s, ok := v.(string); ok && len(s) > maxPiece {
		return w.long(s)
	}
	err := w.enc.Encode(v)
	if err == nil {
		w.Truncate(w.Len() - 1) // remove the line feed at the end
	}
	return err
}

// long writes a string in several pieces.
func (w *bodyWriter) long(s string) error {
	w.WriteByte('"')
	for len(s) > 0 {
		n := min(len(s), maxPiece)
		for n < len(s) && n > maxPiece-utf8.UTFMax && !utf8.RuneStart(s[n]) {
			n--
		}
		start := w.Len()
		if err := w.json(s[:n]); err != nil {
			return err
		}
		copy(w.Bytes()[start:], w.Bytes()[start+1:])
		w.Truncate(w.Len() - 2) // without the quotes of the piece
		s = s[n:]
	}
	return w.WriteByte('"')
}

// endPart ends a part of the body; f follows it, nil for none.
func (w *bodyWriter) endPart(f *File) {
	w.body = append(w.body, BodyPart{w.Bytes()[w.done:], f})
	w.done = w.Len()
}

func (w *bodyWriter) messages(list messageList) error {
	before := `[{"role":`
	for _, turn := range list.turns {
		w.WriteString(before)
		err := w.json(turn.Role)
		w.WriteString(`,"content":`)
		if len(turn.Files) > 0 {
			w.WriteByte('[')
			for _, f := range turn.Files {
				open, end := list.file(f)
				w.WriteString(open)
				w.endPart(f)
				w.WriteString(end + ",")
			}
			w.WriteString(`{"type":"text","text":`)
		}
		if err = errors.Join(err, w.json(turn.Text)); err != nil {
			return err
		}
		if len(turn.Files) > 0 {
			w.WriteString("}]")
		}
		before = `},{"role":`
	}
	w.WriteString("}]")
	return nil
}

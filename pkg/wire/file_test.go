package wire

import (
	"bytes"
	"encoding/base64"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// pictures returns real files of each kind. They are encoded by packages that NewFile does not use; WebP and PDF are
// written by hand.
func pictures(t testing.TB) map[string][]byte {
	t.Helper()
	picture := image.NewPaletted(image.Rect(0, 0, 40, 30), color.Palette{color.Black, color.White, color.Gray{Y: 99}})
	for i := range picture.Pix {
		picture.Pix[i] = uint8(i * i % 3)
	}
	out := map[string][]byte{
		"image/webp": []byte("RIFF\x10\x00\x00\x00WEBPVP8 \x04\x00\x00\x00abcd"),
		pdf:          []byte("%PDF-1.4\n%\xe2\xe3\xcf\xd3\n%%EOF"),
	}
	for name, write := range map[string]func(io.Writer) error{
		"image/png":  func(w io.Writer) error { return png.Encode(w, picture) },
		"image/jpeg": func(w io.Writer) error { return jpeg.Encode(w, picture, nil) },
		"image/gif":  func(w io.Writer) error { return gif.Encode(w, picture, nil) },
	} {
		var b bytes.Buffer
		check(t, write(&b))
		out[name] = b.Bytes()
	}
	return out
}

// TestNewFile checks that each kind is detected from its content, complete and cut at every byte.
func TestNewFile(t *testing.T) {
	for mime, whole := range pictures(t) {
		f, err := NewFile("x", whole)
		fatalIf(t, err != nil || f == nil || f.Type != mime || len(f.Data) != len(whole), "%s: got %v, %v", mime, f, err)
		if f, err := NewFile("x", append(bytes.Clone(whole), "what a camera adds"...)); err != nil || f == nil || f.Type != mime {
			t.Errorf("%s with something behind it: got %v, %v", mime, f, err)
		}
		for n := 24; n < len(whole); n++ {
			if _, err := NewFile("x", whole[:n]); err == nil || !strings.Contains(err.Error(), "cut short") {
				t.Fatalf("%s cut after %d of %d bytes: %v, want that it is cut short", mime, n, len(whole), err)
			}
		}
	}
	preview := pictures(t)["image/jpeg"] // inside a segment of another picture, with its own end marker
	segment := append([]byte{0xff, 0xe1, byte((len(preview) + 2) >> 8), byte(len(preview) + 2)}, preview...)
	for whole, jpg := range map[bool][]byte{true: append([]byte{0xff, 0xd8}, append(segment, preview[2:]...)...), false: append([]byte{0xff, 0xd8}, segment...)} {
		if f, err := NewFile("x", jpg); (err == nil) != whole || (f != nil) != whole {
			t.Errorf("a JPEG file with a preview, whole %t: %v, %v", whole, f, err)
		}
	}
	for _, test := range []struct{ name, content, want string }{
		{"a.txt", "plain", ""},
		{"a.svg", "<svg xmlns='http://www.w3.org/2000/svg'/>", ""},
		{"bmw.txt", "BMW is a maker of cars", ""},
		{"a.bin", "\x00\x01\x02", ""}, // this is refused as text
		{"a.PNG", "plain", "a.PNG is not what its name says: its content is text/plain"},
		{"a.pdf", "", "a.pdf is not what its name says: its content is empty"},
		{"a.jpeg", "\x00\x01\x02", "a.jpeg is not what its name says: its content is application/octet-stream"},
		{"a", "BM\x00\x01\x02", "a is not a type of file that the APIs accept: JPEG, PNG, GIF, WebP and PDF"},
		{"a.heic", "\x00\x00\x00\x18ftypheic", "a.heic is not a type of file that the APIs accept: JPEG, PNG, GIF, WebP and PDF"},
	} {
		f, err := NewFile(test.name, []byte(test.content))
		got := errorText(err)
		errorIf(t, f != nil || got != test.want, "%s: got %v, %q, want %q", test.name, f, got, test.want)
	}
	large := append(bytes.Clone(pictures(t)["image/png"]), make([]byte, maxImage)...)
	if _, err := NewFile("x.png", large); errorText(err) != "x.png is too large: it has 10.0 MiB, and a picture may have 10" {
		t.Errorf("a picture of over 10 MiB: %v", err)
	}
	long := append(pictures(t)[pdf], make([]byte, maxImage)...) // the first end marker belongs to an earlier version
	if _, err := NewFile("x.pdf", long); err == nil || !strings.Contains(err.Error(), "x.pdf is cut short") {
		t.Errorf("a PDF with its only end far from its last byte: %v, want that it is cut short", err)
	}
	_, err := NewFile("x.pdf", append(long, "%%EOF\n"...))
	errorIf(t, err != nil, "a PDF of over 10 MiB: %v", err)
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// FuzzNewFile checks that NewFile handles any content.
func FuzzNewFile(f *testing.F) {
	for _, whole := range pictures(f) {
		f.Add(whole)
		f.Add(whole[:len(whole)-1])
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		file, err := NewFile("x", content)
		fatalIf(t, file != nil && (err != nil || !bytes.Equal(file.Data, content)), "got %v, %v", file, err)
	})
}

// TestEncodeFiles checks the bodies of requests with files, read in pieces of several sizes.
func TestEncodeFiles(t *testing.T) {
	for size := range 8 {
		content := []byte("\xff\x00abcdefgh"[:size+1])
		encoded := base64.StdEncoding.EncodeToString(content)
		r := Request{Model: "m", MaxTokens: 1, Prompt: "p", Files: []*File{{Type: "image/png", Data: content}},
			Turns: []Turn{{Role: "user", Text: "t", Files: []*File{{Type: pdf, Data: content}, {Type: "image/gif", Data: content}}}, {Role: "assistant", Text: "a"}}}
		source := func(kind, mime string) string {
			return `{"type":"` + kind + `","source":{"type":"base64","media_type":"` + mime + `","data":"` + encoded + `"}},`
		}
		url := func(mime string) string {
			return `{"type":"image_url","image_url":{"url":"data:` + mime + `;base64,` + encoded + `"}},`
		}
		for api, want := range map[API]string{
			Messages: `[{"role":"user","content":[` + source("document", pdf) + source("image", "image/gif") + `{"type":"text","text":"t"}]},` +
				`{"role":"assistant","content":"a"},{"role":"user","content":[` + source("image", "image/png") + `{"type":"text","text":"p"}]}]`,
			Chat: `[{"role":"user","content":[` + url("image/jpeg") + url("image/gif") + `{"type":"text","text":"t"}]},` +
				`{"role":"assistant","content":"a"},{"role":"user","content":[` + url("image/png") + `{"type":"text","text":"p"}]}]`,
		} {
			if api == Chat {
				r.Turns[0].Files[0].Type = "image/jpeg"
			} else {
				r.Turns[0].Files[0].Type = pdf
			}
			want = `{"model":"m","max_tokens":1,"messages":` + want + `,"stream":false}`
			body, err := api.Encode(r)
			fatalIf(t, err != nil || body.Len() != int64(len(want)), "%s: %d bytes, %v, want %d", api, body.Len(), err, len(want))
			for i, reader := range []io.Reader{body.Reader(), iotest.OneByteReader(body.Reader()), iotest.HalfReader(body.Reader()), body.Reader()} {
				if got, err := io.ReadAll(reader); err != nil || string(got) != want {
					t.Errorf("%s, reader %d: got %s, %v\nwant %s", api, i, got, err, want)
				}
			}
			if shown := string(body.Display()); !strings.Contains(shown, "bytes image/png>\"}") && !strings.Contains(shown, "<1 byte image/png>") {
				t.Errorf("%s: shown as %s", api, shown)
			}
		}
	}
	for api, want := range map[API]string{Complete: "the complete api has no pictures and documents", Chat: "the chat api has no PDF documents"} {
		_, err := api.Encode(Request{Prompt: "p", Files: []*File{{Type: pdf}}})
		unsupported, ok := errors.AsType[*UnsupportedError](err)
		errorIf(t, !ok || err.Error() != want || unsupported.Hint() == "",
			"%s: got %v, want %s with a hint", api, err, want)
	}
	most := []*File{{Type: pdf, Data: make([]byte, 13<<20)}, {Type: pdf, Data: make([]byte, 13<<20)}}
	if _, err := Messages.Encode(Request{Files: most}); errorText(err) != "the request would have 34.7 MiB with its files, over the limit of 32 MiB" {
		t.Errorf("26 MiB of files: %v", err)
	}
}

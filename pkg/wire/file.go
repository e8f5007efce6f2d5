package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"ferry/pkg/text"
)

// File is a picture or a document that is sent with a prompt.
type File struct {
	// Name is the file's name as the user wrote it.
	Name string
	// Type is its media type.
	Type string
	Data []byte
	// Again reports that the file can be read again by its name.
	Again bool
}

const pdf = "application/pdf"

const (
	// maxImage and MaxRequest are the maximum size in bytes of a picture and of a request that the APIs accept.
	maxImage   = 10 << 20
	MaxRequest = 32 << 20
)

type fileType struct {
	name, mime string
	isWhole    func([]byte) bool
}

// fileTypes are the media types that the APIs accept, each with the check of whether the content is complete.
var fileTypes = []fileType{
	{"JPEG", "image/jpeg", wholeJPEG},
	{"PNG", "image/png", wholePNG},
	{"GIF", "image/gif", wholeGIF},
	{"WebP", "image/webp", wholeWebP},
	{"PDF", pdf, wholePDF},
}

// NewFile detects the type of a file from its content; nil means text, or nothing that is sent as a file. It refuses
// a file with the name of a picture or a PDF and other content, a file that is cut short, and a file that is too
// large.
func NewFile(name string, content []byte) (*File, error) {
	mime, _, _ := strings.Cut(http.DetectContentType(content), ";")
	for _, t := range fileTypes {
		switch {
		case t.mime != mime:
			continue
		case !t.isWhole(content):
			return nil, text.Errorf("copy or download it again", "%s is cut short: its end as a %s file is missing", name, t.name)
		case mime != pdf && len(content) > maxImage:
			return nil, text.Errorf("make it smaller, such as with: magick IN -resize '1568x1568>' OUT.jpg",
				"%s is too large: it has %.1f MiB, and a picture may have %d", name, float64(len(content))/(1<<20), maxImage>>20)
		}
		return &File{Name: name, Type: mime, Data: content}, nil
	}
	isText := utf8.Valid(content) && bytes.IndexByte(content, 0) < 0
	switch extension := strings.ToLower(filepath.Ext(name)); {
	case strings.HasPrefix(mime, "image/") && !isText, strings.Contains(" .heic .heif .avif .tif .tiff .bmp .ico ", " "+extension+" "):
		return nil, text.Errorf("convert it, such as with: magick IN OUT.png",
			"%s is not a type of file that the APIs accept: JPEG, PNG, GIF, WebP and PDF", name)
	case strings.Contains(" .jpg .jpeg .png .gif .webp .pdf ", " "+extension+" "):
		if len(content) == 0 {
			mime = "empty"
		}
		return nil, text.Errorf("a text file needs another name; is it an error page that was saved as a picture?",
			"%s is not what its name says: its content is %s", name, mime)
	}
	return nil, nil
}

// String returns the file's size and type for display.
func (f *File) String() string { return megabytes(len(f.Data)) + " " + f.Type }

// Tokens estimates the number of tokens of the file.
func (f *File) Tokens() int {
	tokens, _ := EstimateFile(f.Data, int64(len(f.Data)))
	return tokens
}

// EstimateFile estimates the number of tokens of a file of size bytes from its first bytes, and reports whether it is
// sent as text and not as a file. It rather overestimates: the maximum for a picture, some pages by size for a PDF, a
// third of the bytes for text.
func EstimateFile(head []byte, size int64) (tokens int, isText bool) {
	const imageTokens, pageBytes = 5000, 50 << 10
	mime := http.DetectContentType(head)
	isText = !slices.ContainsFunc(fileTypes, func(t fileType) bool { return t.mime == mime })
	switch {
	case mime == pdf:
		return imageTokens * (1 + int(size/pageBytes)), isText
	case strings.HasPrefix(mime, "image/"):
		return imageTokens, isText
	}
	return int(size/3) + 1, isText
}

// megabytes formats a size in decimal units, as file listings do.
func megabytes(n int) string {
	switch {
	case n < 1000:
		return text.Count(n, "byte")
	case n < 1_000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

// wholePNG looks for the last chunk. Each chunk has a length, a type, content and a checksum.
func wholePNG(b []byte) bool {
	for at := uint64(8); at+12 <= uint64(len(b)); {
		end := at + 12 + uint64(binary.BigEndian.Uint32(b[at:]))
		if string(b[at+4:at+8]) == "IEND" {
			return end <= uint64(len(b))
		}
		at = end
	}
	return false
}

// wholeJPEG looks for the end marker after the segments and scans. An end marker inside a segment belongs to a
// preview.
func wholeJPEG(b []byte) bool {
	for b = b[2:]; ; {
		at := bytes.IndexByte(b, 0xff) // in a scan, the bytes before it are picture data
		if at < 0 || at+1 == len(b) {
			return false
		}
		marker := b[at+1]
		b = b[at+1:]
		switch {
		case marker == 0xd9:
			return true
		case marker == 0xff, marker == 0, marker == 1, marker >= 0xd0 && marker <= 0xd8: // a fill byte, or no length
			continue
		}
		if len(b) < 3 || len(b) < 1+int(binary.BigEndian.Uint16(b[1:])) {
			return false
		}
		b = b[1+int(binary.BigEndian.Uint16(b[1:])):]
	}
}

// wholeGIF looks for the trailer after the blocks.
func wholeGIF(b []byte) bool {
	table := func(flags byte) int { // the size of a color table in bytes
		if flags&0x80 == 0 {
			return 0
		}
		return 3 << (flags&7 + 1)
	}
	if len(b) < 13 {
		return false
	}
	for at := 13 + table(b[10]); at < len(b); {
		switch b[at] {
		case 0x3b:
			return true
		case 0x2c: // a picture, its color table and one byte before its data
			if at+10 > len(b) {
				return false
			}
			at += 11 + table(b[at+9])
		case 0x21: // an extension introducer and its label
			at += 2
		default:
			return false
		}
		for at < len(b) && b[at] > 0 { // the data, in sub-blocks with a length; an empty one is the end
			at += 1 + int(b[at])
		}
		at++
	}
	return false
}

// wholePDF looks for the end marker where readers look for it: an earlier one belongs to an older version of the
// document.
func wholePDF(b []byte) bool { return bytes.Contains(b[max(0, len(b)-1024):], []byte("%%EOF")) }

// wholeWebP compares the length in the file header with the actual length.
func wholeWebP(b []byte) bool {
	return len(b) >= 12 && uint64(binary.LittleEndian.Uint32(b[4:]))+8 <= uint64(len(b))
}

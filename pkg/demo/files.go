package demo

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// block is one part of a content: a text, or a file in the form of one of the two dialects that have them.
type block struct {
	Type   string  `json:"type"`
	Text   *string `json:"text"`
	Source *struct {
		Type      string `json:"type"`
		MediaType string `json:"media_type"`
		Data      string `json:"data"`
	} `json:"source"`
	ImageURL *struct {
		URL string `json:"url"`
	} `json:"image_url"`
}

// fileReader gives the media type of a block that is a file in a dialect, and its content in base64.
type fileReader func(block) (mediaType, data string, ok bool)

const pdf = "application/pdf"

var images = []string{"image/jpeg", "image/png", "image/gif", "image/webp"}

const (
	maxImage   = 10 << 20
	fileTokens = 1500 // that a file counts for
)

// messagesFile reads a block of type image or document.
func messagesFile(b block) (mediaType, data string, ok bool) {
	if b.Source == nil || b.Source.Type != "base64" {
		return "", "", false
	}
	mediaType = b.Source.MediaType
	return mediaType, b.Source.Data, b.Type == "image" && slices.Contains(images, mediaType) || b.Type == "document" && mediaType == pdf
}

// chatFile reads a block of type image_url, whose URL has to have the picture in it: the node fetches nothing.
func chatFile(b block) (mediaType, data string, ok bool) {
	if b.Type != "image_url" || b.ImageURL == nil {
		return "", "", false
	}
	mediaType, data, _ = strings.Cut(strings.TrimPrefix(b.ImageURL.URL, "data:"), ";base64,")
	return mediaType, data, strings.HasPrefix(b.ImageURL.URL, "data:") && slices.Contains(images, mediaType)
}

// content reads a text that is a string or a list of blocks: texts, and where the dialect has them there, files.
func (r *requestBody) content(raw json.RawMessage, where string, file fileReader) (text string, tokens int64) {
	if json.Unmarshal(raw, &text) == nil {
		if text == "" {
			r.fail(where, "%s: text must not be empty", where)
		}
		return text, countTokens(text)
	}
	var blocks []block
	if json.Unmarshal(raw, &blocks) != nil || len(blocks) == 0 {
		r.fail(where, "%s: Input should be a string or a list of text blocks", where)
	}
	parts := make([]string, 0, len(blocks))
	for i, b := range blocks {
		at := fmt.Sprintf("%s.%d", where, i)
		if file != nil && b.Type != "text" {
			parts = append(parts, r.file(b, at, file))
			tokens += fileTokens
			continue
		}
		if b.Type != "text" || b.Text == nil || *b.Text == "" {
			r.fail(at, "%s: the demo node takes blocks of type text, with a text that is not empty", at)
			return "", 0
		}
		parts = append(parts, *b.Text)
		tokens += countTokens(*b.Text)
	}
	return strings.Join(parts, "\n"), tokens
}

// file checks a block that should be a file, and names what came.
func (r *requestBody) file(b block, at string, file fileReader) string {
	mediaType, encoded, ok := file(b)
	content, err := base64.StdEncoding.Strict().DecodeString(encoded)
	found, _, _ := strings.Cut(http.DetectContentType(content), ";")
	switch {
	case !ok:
		r.fail(at, "%s: Input should be a text, or a picture or document in base64 of a type that this API has", at)
	case err != nil || len(content) == 0:
		r.fail(at, "%s: the data is not valid base64", at)
	case found != mediaType:
		r.fail(at, "%s: the media type is %s, but the content appears to be %s", at, mediaType, found)
	case mediaType != pdf && len(content) > maxImage:
		r.fail(at, "%s: image exceeds %d MB maximum: %d bytes > %d bytes", at, maxImage>>20, len(content), maxImage)
	}
	return fmt.Sprintf("[%s of %d bytes]", mediaType, len(content))
}

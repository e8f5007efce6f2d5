package wire

import (
	"bytes"
	"html"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"

	"ferry/pkg/text"
)

// pageWords is what a page in HTML or XML says: its title, or else its first words without the markup. It is "" for
// anything else.
func pageWords(body []byte) string {
	const most = 200
	if len(body) == 0 || body[0] != '<' {
		return ""
	}
	page := body[:min(len(body), 64<<10)]
	words := page
	if title := markup().title.FindSubmatch(page); title != nil {
		words = title[1]
	} else {
		words = markup().unread.ReplaceAll(page, nil)
		words = markup().tag.ReplaceAll(words, []byte(" "))
	}
	said := html.UnescapeString(string(bytes.Join(bytes.Fields(words), []byte(" "))))
	if len(said) > most {
		whole := text.WholeRunes([]byte(said[:most]))
		// The last word goes: half a key would not be masked.
		return strings.TrimRightFunc(string(whole), func(r rune) bool { return r > ' ' && r < utf8.RuneSelf }) + "…"
	}
	return said
}

type pageMarkup struct{ title, unread, tag *regexp.Regexp }

// markup finds the parts of a page. Only a page pays for compiling it.
var markup = sync.OnceValue(func() pageMarkup {
	return pageMarkup{
		title:  regexp.MustCompile(`(?is)<title[^>]*>\s*([^<]*[^<\s])\s*</title`),
		unread: regexp.MustCompile(`(?is)<!--.*?-->|<(script|style|svg)\b.*?</(script|style|svg)[^>]*>`),
		tag:    regexp.MustCompile(`<[^>]*(>|$)`),
	}
})

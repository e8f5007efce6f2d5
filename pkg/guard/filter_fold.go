package guard

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"ferry/pkg/text"
)

// noSymbol stands for a byte that is not UTF-8, and folds to itself: no word has it.
const noSymbol rune = -1

// fold appends to dst what r is compared as: nothing for an invisible character, several symbols for a sign that stands
// for several characters. It looks at r alone, so that a text folds the same however it is cut; marks that came in an
// unusual order are not put in order.
func fold(dst []rune, r rune) []rune {
	switch {
	case r < utf8.RuneSelf:
		return append(dst, foldASCII(r))
	case r >= 0x4e00 && r <= 0x9fff: // the common Han characters stand for themselves
		return append(dst, r)
	case r >= 0xac00 && r <= 0xd7a3:
		return foldHangul(dst, r-0xac00)
	case text.Invisible(r):
		return dst
	case unicode.IsSpace(r):
		return append(dst, ' ')
	}
	var b [utf8.UTFMax]byte
	parts := norm.NFKD.Properties(b[:utf8.EncodeRune(b[:], r)]).Decomposition()
	if parts == nil {
		return foldCase(dst, r)
	}
	for len(parts) > 0 {
		part, size := utf8.DecodeRune(parts)
		dst = foldCase(dst, part)
		parts = parts[size:]
	}
	return dst
}

func foldASCII(r rune) rune {
	switch {
	case r >= 'A' && r <= 'Z':
		return r + 'a' - 'A'
	case r >= '\t' && r <= '\r':
		return ' '
	}
	return r
}

// foldCase goes over the capital, since several small letters can share one: ς and σ.
func foldCase(dst []rune, r rune) []rune {
	switch {
	case r < utf8.RuneSelf:
		return append(dst, foldASCII(r))
	case r == 'ß' || r == 'ẞ':
		return append(dst, 's', 's')
	}
	return append(dst, unicode.ToLower(unicode.ToUpper(r)))
}

// foldHangul takes a syllable apart as chapter 3.12 of the Unicode standard does, so that it equals the same syllable
// typed as its letters, of full or half width.
func foldHangul(dst []rune, index rune) []rune {
	const vowels, finals = 21, 28
	dst = append(dst, 0x1100+index/(vowels*finals), 0x1161+index%(vowels*finals)/finals)
	if final := index % finals; final > 0 {
		dst = append(dst, 0x11a7+final)
	}
	return dst
}

// joins reports whether a symbol changes the letter before it: an accent, a vowel sign, the rest of a Hangul syllable.
func joins(symbol rune) bool {
	return symbol >= 0x300 && (symbol >= 0x1160 && symbol <= 0x11ff || unicode.Is(unicode.Mn, symbol))
}

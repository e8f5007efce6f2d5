package guard

import "strings"

// pass is one way through a text. A span that was taken out counts as a "]" for what follows it, as it will when the
// text is read again.
type pass struct {
	text string
	last int // where the last span ended

	// The run of letters, digits, "_" and "-" that was measured last: where it ends, and its last digit.
	runEnd, runDigit int
}

// What may begin at a byte.
const (
	nothing = iota
	aWord   // a key, or the name of one
	aKey
	aNumber
	aPlus
	aMail
	aURL
	aPEM
	aLabel
)

// begins says what may begin at each byte, so that most of a text is passed over at one look.
var begins = func() [256]uint8 {
	at := [256]uint8{
		'0': aNumber, '1': aNumber, '2': aNumber, '3': aNumber, '4': aNumber,
		'5': aNumber, '6': aNumber, '7': aNumber, '8': aNumber, '9': aNumber,
		'+': aPlus, '@': aMail, ':': aURL, '-': aPEM,
		'A': aWord, 'C': aWord, 'R': aWord, 'S': aWord, 'a': aWord, 'c': aWord, 'r': aWord, 's': aWord,
		'B': aKey, 'b': aKey, 'e': aKey,
		0xe5: aLabel, 0xe6: aLabel, 0xe7: aLabel, 0xe8: aLabel,
	}
	for _, shape := range keyShapes {
		if first := shape.prefix[0]; at[first] == nothing {
			at[first] = aKey
		}
	}
	return at
}()

// at looks for something that begins at i, or in the case of an address has its sign there, and returns it and where
// to go on.
func (p *pass) at(i int) (cut span, next int) {
	switch begins[p.text[i]] {
	case aWord:
		if cut = p.named(i); cut.to == 0 && !isAlnum(p.before(i, 1)) {
			cut, _ = p.key(i)
		}
	case aKey:
		if !isAlnum(p.before(i, 1)) {
			cut, _ = p.key(i)
		}
	case aNumber:
		return p.number(i, i)
	case aPlus:
		if strings.HasPrefix(p.text[i+1:], "86") {
			cut, _ = p.number(i, i+1)
		}
	case aMail:
		cut = p.mail(i)
	case aURL:
		cut = p.userinfo(i)
	case aPEM:
		cut = p.pem(i)
	case aLabel:
		cut = p.labelled(i)
	}
	return cut, i + 1
}

// before is the byte n places before i, a space where the text begins.
func (p *pass) before(i, n int) byte {
	switch {
	case i-n >= p.last:
		return p.text[i-n]
	case p.last > 0:
		return ']'
	}
	return ' '
}

// byteAt is the byte at i, a newline where the text ends.
func (p *pass) byteAt(i int) byte {
	if i < len(p.text) {
		return p.text[i]
	}
	return '\n'
}

// run measures the letters, digits, "_" and "-" from i on: where they end, and whether a digit is among them. Each run
// is measured once, or a text of sk-sk-sk-… would be read again at every sk-.
func (p *pass) run(i int) (end int, digit bool) {
	if i >= p.runEnd {
		p.runEnd, p.runDigit = i, -1
		for p.runEnd < len(p.text) && isRun(p.text[p.runEnd]) {
			if isDigit(p.text[p.runEnd]) {
				p.runDigit = p.runEnd
			}
			p.runEnd++
		}
	}
	return p.runEnd, p.runDigit >= i
}

// spaces returns where the spaces and tabs from i on end.
func (p *pass) spaces(i int) int {
	for i < len(p.text) && (p.text[i] == ' ' || p.text[i] == '\t') {
		i++
	}
	return i
}

// until returns the first of the bytes in ends from i on, or the end of the line. A "[REDACTED]" at i is passed over.
func (p *pass) until(i int, ends string) int {
	if strings.HasPrefix(p.text[i:], redacted) {
		i += len(redacted)
	}
	for i < len(p.text) {
		if c := p.text[i]; c == '\n' || c == '\r' || strings.IndexByte(ends, c) >= 0 {
			break
		}
		i++
	}
	return i
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func isAlnum(c byte) bool { return isDigit(c) || isLetter(c) }

func isRun(c byte) bool { return isAlnum(c) || c == '_' || c == '-' }

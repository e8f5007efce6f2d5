package guard

import (
	"strings"
	"time"
)

// maxGroups and maxDigits limit the numbers that are recognized. The longest one is a card with 19 digits.
const (
	maxGroups = 5
	maxDigits = 19
)

// number finds a mobile, identity card or bank card number whose digits begin at i; from is its "+" if it has one,
// else i. One space or dash may separate groups of digits. Letters may be next to the number, digits may not. next is
// the end of the first group.
func (p *pass) number(from, i int) (cut span, next int) {
	var digits [maxDigits + 1]byte // one more for an X at the end
	type group struct{ shape, digits, end int }
	var groups [maxGroups]group // each includes the groups before it
	n, size := 0, 0
	for to, last := i, (group{}); n < maxGroups && isDigit(p.byteAt(to)); n++ {
		for size = 0; isDigit(p.byteAt(to)); to++ {
			if last.digits+size < maxDigits {
				digits[last.digits+size] = p.text[to]
			}
			size++
		}
		if n == 0 {
			next = to
		}
		if last = (group{last.shape*100 + size, last.digits + size, to}); last.digits > maxDigits {
			break
		}
		groups[n] = last
		if c := p.byteAt(to); c == ' ' || c == '-' {
			to++
		}
	}
	fraction := p.before(from, 1) == '.' && isDigit(p.before(from, 2))
	if isDigit(p.before(i, 1)) || fraction && p.before(from, 2) == '0' {
		return span{}, next
	}
	for ; n > 0; n-- {
		g := groups[n-1]
		to := g.end
		digits[g.digits] = p.byteAt(to) | 0x20
		switch known := string(digits[:g.digits]); {
		case isMobile(g.shape, known):
		case fraction:
			continue
		case isIdentity(g.shape, known):
		case digits[g.digits] == 'x' && isIdentity(g.shape+1, string(digits[:g.digits+1])):
			to++
		case !isCard(g.shape, known):
			continue
		}
		if (p.byteAt(to) != '.' || !isDigit(p.byteAt(to+1))) && !p.inRequestID(from) {
			return span{from, to}, next
		}
		break
	}
	return span{}, next
}

// maxRequestID is the maximum number of bytes of a request id that are checked.
const maxRequestID = 64

// inRequestID reports whether i is inside a request id, such as req_011CSab12, whose digits look like a number by
// chance.
func (p *pass) inRequestID(i int) bool {
	n := 1
	for n <= maxRequestID && (isAlnum(p.before(i, n)) || p.before(i, n) == '_') {
		n++
	}
	id, ok := strings.CutPrefix(p.text[i-n+1:i], "req_")
	return ok && !strings.Contains(id, "_")
}

// A shape encodes the groups of a number, with two decimal digits for the length of each group: 3_04_04 is the shape
// of 138 1234 5678.

// isMobile reports whether digits are a mainland mobile number: 1, then 3 to 9, then nine more digits, after 86,
// 0086, the old 0, or nothing.
func isMobile(shape int, digits string) bool {
	prefix := ""
	switch shape {
	case 11, 3_04_04:
	case 13, 2_11, 2_03_04_04:
		prefix = "86"
	case 15, 4_11, 4_03_04_04:
		prefix = "0086"
	case 12:
		prefix = "0"
	default:
		return false
	}
	own, ok := strings.CutPrefix(digits, prefix)
	return ok && own[0] == '1' && own[1] >= '3'
}

// isIdentity reports whether digits are an identity card number (GB 11643): 18 characters with the province, the date
// of birth and a checksum (ISO 7064 MOD 11-2). The last character may be an x.
func isIdentity(shape int, digits string) bool {
	if shape != 18 && shape != 6_08_04 {
		return false
	}
	// For each first digit, the largest second digit (GB/T 2260). The smallest is 1, except in Chongqing's 50.
	const greatest = "0537645130"
	if digits[1] > greatest[digits[0]-'0'] || digits[1] == '0' && digits[0] != '5' {
		return false
	}
	born, err := time.Parse("20060102", digits[6:14])
	if err != nil || born.Year() < 1900 || born.Year() > 2099 {
		return false
	}
	sum := 0
	for _, digit := range digits[:17] {
		sum = (sum + int(digit-'0')) * 2 % 11
	}
	check := 10
	if last := digits[17]; last != 'x' {
		check = int(last - '0')
	}
	return (sum+check)%11 == 1
}

// isCard reports whether digits are a bank card number: an issuer's prefix, a matching length, and the Luhn checksum
// (ISO/IEC 7812).
func isCard(shape int, digits string) bool {
	switch shape {
	case 13, 14, 15, 16, 17, 18, 19, 4_04_04_04, 4_04_04_04_01, 4_04_04_04_02, 4_04_04_04_03, 4_06_05:
	default:
		return false
	}
	n, two, four := len(digits), digits[:2], digits[:4]
	known := false
	switch {
	case two >= "40" && two <= "49": // Visa
		known = n == 13 || n == 16 || n == 19
	case two == "34" || two == "37": // American Express
		known = n == 15
	case two >= "51" && two <= "55" || four >= "2221" && four <= "2720": // Mastercard
		known = n == 16
	case four >= "3000" && four <= "3059" || two == "36" || two == "38" || two == "39": // Diners Club
		known = n >= 14
	case four >= "3528" && four <= "3589" || four == "9558": // JCB, ICBC
		known = n >= 16
	case two == "50" || two >= "56" && two <= "69": // UnionPay, Discover, Maestro
		known = true
	}
	sum := 0
	for i, digit := range digits {
		v := int(digit - '0')
		if (n-i)%2 == 0 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	return known && sum%10 == 0
}

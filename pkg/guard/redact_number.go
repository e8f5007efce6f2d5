package guard

// number is a number as it is written: its digits, in groups that one space or dash parts.
type number struct {
	digits []byte // values, not characters
	groups []span // of the text
}

// mostGroups and mostDigits bound the longest number that means anything here: a card of 19 digits.
const (
	mostGroups = 5
	mostDigits = 19
)

// number finds a mobile, identity card or bank card number whose digits begin at i; from is its "+", if it has one.
// Next is the end of the first group. Letters may stand on either side, digits may not.
func (p *pass) number(from, i int) (cut span, next int) {
	var digits [mostDigits + 1]byte
	var groups [mostGroups]span
	n := number{digits[:0], groups[:0]}
	next = i
	for to := i; len(n.groups) < mostGroups && isDigit(p.byteAt(to)); {
		group := span{to, to}
		for isDigit(p.byteAt(group.to)) {
			if len(n.digits) <= mostDigits {
				n.digits = append(n.digits, p.text[group.to]-'0')
			}
			group.to++
		}
		if len(n.groups) == 0 {
			next = group.to
		}
		if len(n.digits) > mostDigits {
			break
		}
		n.groups = append(n.groups, group)
		to = group.to
		if c := p.byteAt(to); c == ' ' || c == '-' {
			to++
		}
	}
	fraction := p.before(from, 1) == '.' && isDigit(p.before(from, 2))
	if isDigit(p.before(i, 1)) || fraction && p.before(from, 2) == '0' {
		return span{}, next
	}
	to := p.mobile(n)
	if to == 0 && !fraction {
		if to = p.identity(n); to == 0 {
			to = p.card(n)
		}
	}
	if to == 0 || p.byteAt(to) == '.' && isDigit(p.byteAt(to+1)) {
		return span{}, next
	}
	return span{from, to}, next
}

// size is the length of the group k, 0 where there is none.
func (n number) size(k int) int {
	if k >= len(n.groups) {
		return 0
	}
	return n.groups[k].to - n.groups[k].from
}

// shaped reports whether the groups from k on begin with those sizes.
func (n number) shaped(k int, sizes ...int) bool {
	for i, size := range sizes {
		if n.size(k+i) != size {
			return false
		}
	}
	return true
}

// mobile returns where a mainland mobile number ends, 0 where there is none: 1, then 3 to 9, and nine more, as one or as
// 3-4-4, with 86, 0086 or the old 0 before it.
func (p *pass) mobile(n number) int {
	k, skip := 0, 0
	switch d := n.digits; {
	case n.size(0) == 2 && d[0] == 8 && d[1] == 6:
		k, skip = 1, 2
	case n.size(0) == 4 && d[0] == 0 && d[1] == 0 && d[2] == 8 && d[3] == 6:
		k, skip = 1, 4
	case n.size(0) == 13 && d[0] == 8 && d[1] == 6:
		skip = 2
	case n.size(0) == 15 && d[0] == 0 && d[1] == 0 && d[2] == 8 && d[3] == 6:
		skip = 4
	case n.size(0) == 12 && d[0] == 0:
		skip = 1
	}
	if len(n.digits) < skip+11 || n.digits[skip] != 1 || n.digits[skip+1] < 3 {
		return 0
	}
	switch {
	case k == 0 && n.size(0) == skip+11, k == 1 && n.size(1) == 11:
		return n.groups[k].to
	case n.shaped(k, 3, 4, 4):
		return n.groups[k+2].to
	}
	return 0
}

// identity returns where an identity card number ends, 0 where there is none: 18 characters, as one or as 6-8-4, the
// last of which may be an X (GB 11643).
func (p *pass) identity(n number) int {
	var end int
	switch {
	case n.size(0) == 18, n.size(0) == 17:
		end = n.groups[0].to
	case n.shaped(0, 6, 8, 4), n.shaped(0, 6, 8, 3):
		end = n.groups[2].to
	default:
		return 0
	}
	if n.size(0) == 18 || n.size(2) == 4 {
		if identityHolds(n.digits[:17], n.digits[17]) {
			return end
		}
		return 0
	}
	if p.byteAt(end)|0x20 == 'x' && identityHolds(n.digits[:17], 10) {
		return end + 1
	}
	return 0
}

// identityHolds checks the province, the date of birth and the checksum (ISO 7064 MOD 11-2, 10 for an X).
func identityHolds(d []byte, check byte) bool {
	// By the first digit, the greatest second one (GB/T 2260). It begins at 1, but for Chongqing's 50.
	if greatest := [10]byte{0, 5, 3, 7, 6, 4, 5, 1, 3, 0}; d[1] > greatest[d[0]] || d[1] == 0 && d[0] != 5 {
		return false
	}
	year := int(d[6])*1000 + int(d[7])*100 + int(d[8])*10 + int(d[9])
	month, day := int(d[10])*10+int(d[11]), int(d[12])*10+int(d[13])
	if year < 1900 || year > 2099 || month < 1 || month > 12 || day < 1 || day > daysOf(month, year) {
		return false
	}
	sum := 0
	for _, digit := range d {
		sum = (sum + int(digit)) * 2 % 11
	}
	return (sum+int(check))%11 == 1
}

func daysOf(month, year int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// card returns where a bank card number ends, 0 where there is none: 13 to 19 digits, as one, by fours, or as 4-6-5.
func (p *pass) card(n number) int {
	switch {
	case n.size(0) >= 13:
		if cardHolds(n.digits[:n.size(0)]) {
			return n.groups[0].to
		}
	case n.shaped(0, 4, 4, 4, 4):
		if tail := n.size(4); tail > 0 && tail <= 3 && cardHolds(n.digits[:16+tail]) {
			return n.groups[4].to
		}
		if cardHolds(n.digits[:16]) {
			return n.groups[3].to
		}
	case n.shaped(0, 4, 6, 5):
		if cardHolds(n.digits[:15]) {
			return n.groups[2].to
		}
	}
	return 0
}

// cardHolds checks the issuer's prefix, the length that goes with it, and the Luhn checksum (ISO/IEC 7812).
func cardHolds(d []byte) bool {
	n, two := len(d), int(d[0])*10+int(d[1])
	four := two*100 + int(d[2])*10 + int(d[3])
	switch {
	case d[0] == 4: // Visa
		if n != 13 && n != 16 && n != 19 {
			return false
		}
	case two == 34 || two == 37: // American Express
		if n != 15 {
			return false
		}
	case two >= 51 && two <= 55 || four >= 2221 && four <= 2720: // Mastercard
		if n != 16 {
			return false
		}
	case four >= 3000 && four <= 3059 || two == 36 || two == 38 || two == 39: // Diners Club
		if n < 14 {
			return false
		}
	case four >= 3528 && four <= 3589 || four == 9558: // JCB, ICBC
		if n < 16 {
			return false
		}
	case two != 50 && (two < 56 || two > 69): // UnionPay, Discover, Maestro
		return false
	}
	sum := 0
	for i, digit := range d {
		v := int(digit)
		if (n-i)%2 == 0 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	return sum%10 == 0
}

package config

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"ferry/pkg/guard"
)

func itoa(n int) string { return strconv.Itoa(n) }

// isWord holds for what may be repeated in a message as a misspelt key or name.
func isWord(s string) bool {
	if s == "" || utf8.RuneCountInString(s) > 40 || guard.HideKeys(s) != s {
		return false
	}
	for _, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_.", r) {
			return false
		}
	}
	return true
}

// meant adds the nearest of names to a message about name, when one is near enough to be what was meant.
func meant(msg, name string, names []string) string {
	if n := nearest(name, names); n != "" {
		return msg + "; did you mean " + n + "?"
	}
	return msg
}

// nearest returns the first name at the smallest distance from s, at most 2 and less than the name's length.
func nearest(s string, names []string) string { return within(2, s, names) }

// Closest returns the first name at the smallest distance from s, which is at most half of its length, "" for none.
func Closest(s string, names []string) string { return within(utf8.RuneCountInString(s)/2, s, names) }

// mostCompared is the most characters of a name that is compared: the cost grows with the product of two.
const mostCompared = 40

func within(most int, s string, names []string) string {
	best, found := most+1, ""
	if utf8.RuneCountInString(s) > mostCompared {
		return ""
	}
	for _, n := range names {
		if len(n) > 4*mostCompared {
			continue
		}
		if d := distance(s, n); d < best && d < utf8.RuneCountInString(n) {
			best, found = d, n
		}
	}
	return found
}

// distance counts the insertions, deletions, changes and swaps of neighbours that turn a into b (the optimal string
// alignment form of Damerau and Levenshtein).
func distance(a, b string) int {
	s, t := []rune(strings.ToLower(a)), []rune(strings.ToLower(b))
	before, last := make([]int, len(t)+1), make([]int, len(t)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(s); i++ {
		row := make([]int, len(t)+1)
		row[0] = i
		for j := 1; j <= len(t); j++ {
			cost := 1
			if s[i-1] == t[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(t)]
}

// printable replaces what a terminal would act on, and cuts at limit bytes.
func printable(s string, limit int) string {
	var b strings.Builder
	for _, r := range s {
		if !unicode.IsPrint(r) {
			r = '?'
		}
		if b.Len()+utf8.RuneLen(r) > limit {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

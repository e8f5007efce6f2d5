package guard

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

func newMasker(secrets ...string) *Masker {
	m := &Masker{}
	for _, s := range secrets {
		m.Add(s)
	}
	return m
}

var maskings = []struct {
	name     string
	secrets  []string
	in, want string
}{
	{"nothing known", nil, "a " + canary, "a " + canary},
	{"nothing there", []string{canary}, "sk-canary-012345678", "sk-canary-012345678"},
	{"empty", []string{canary}, "", ""},
	{"alone", []string{canary}, canary, "***"},
	{"at the start", []string{canary}, canary + " x", "*** x"},
	{"at the end", []string{canary}, "x " + canary, "x ***"},
	{"inside a word", []string{canary}, "x" + canary + "y", "x***y"},
	{"twice", []string{canary}, canary + canary, "******"},
	{"after a false start", []string{"aaab"}, "aaaab", "a***"},
	{"as Bearer", []string{canary}, "Authorization: Bearer " + canary + "\r\n", "Authorization: Bearer ***\r\n"},
	// The escapes of JSON (RFC 8259 section 7) and of a URL (RFC 3986 section 2.1).
	{"JSON's slash", []string{"ab/cd+ef"}, `"ab\/cd+ef"`, `"***"`},
	{"JSON's quote and backslash", []string{`ab"c\d`}, `"ab\"c\\d"`, `"***"`},
	{"JSON's numbers", []string{"ab-cd"}, `"ab\u002dcd \u0061b\u002Dcd"`, `"*** ***"`},
	{"HTML-safe JSON", []string{"ab<c>&d"}, `"ab\u003cc\u003e\u0026d"`, `"***"`},
	{"a URL", []string{"ab/c+d=e"}, "?k=ab%2Fc%2Bd%3De&x", "?k=***&x"},
	{"a URL in small letters", []string{"ab/c"}, "ab%2fc", "***"},
	{"all of it in percents", []string{"abcd"}, "%61%62%63%64", "***"},
	{"a percent in the secret", []string{"ab%cd"}, "ab%25cd ab%cd", "*** ***"},
	{"something like an escape in the secret", []string{"ab%41b"}, "ab%41b ab%2541b", "*** ***"},
	{"a backslash in the secret", []string{`ab\cd`}, `ab\\cd ab\cd`, "*** ***"},
	{"spellings mixed", []string{"ab/c-d"}, `ab\/c%2D\u0064`, "***"},
	// JSON in JSON, as PHP and others write it.
	{"slashes, escaped twice", []string{"ab/cd/e"}, `"{\"k\":\"ab\\\/cd\\/e\"}"`, `"{\"k\":\"***\"}"`},
	{"a slash at the beginning", []string{"/ab+c"}, `\\\/ab+c`, "***"},
	{"quote and backslash, escaped twice", []string{`ab"c\d`}, `ab\\\"c\\\\d`, "***"},
	{"a quote escaped once and again as a number", []string{`ab"cd`}, `ab\u005c\"cd ab\u005c\u0022cd`, "*** ***"},
	{"numbers, escaped twice", []string{"ab-cd"}, `ab\\u002dcd \\u0061b\\u002Dcd ab\\u012dcd`, `*** *** ab\\u012dcd`},
	{"cut in an escape of an escape", []string{"ab/cd"}, `ab\\\`, `ab\\\`},
	// \b, \n and similar escapes are other characters. An escaped backslash before a secret does not belong to it.
	{"JSON's control characters", []string{"nabc"}, `\nabc`, `\***`},
	{"a backslash before it", []string{"keys"}, `C:\\keys`, `C:\\***`},
	{"another number", []string{"ab-cd"}, `ab\u012dcd ab%2Ecd ab\u00`, `ab\u012dcd ab%2Ecd ab\u00`},
	{"cut in an escape", []string{"ab-cd"}, `ab%2`, `ab%2`},
	{"cut in an escape, JSON", []string{"ab/cd"}, `ab\`, `ab\`},
	// HTML's character references.
	{"HTML's names", []string{`ab&c"d<e>'`}, `"ab&amp;c&quot;d&lt;e&gt;&apos;"`, `"***"`},
	{"HTML's numbers", []string{"ab-c_d/"}, `x&#97;b&#45;c&#x5f;d&#X2F;y &#0097;b&#045;c_d&sol;`, `x***y ***`},
	{"HTML without the semicolon", []string{"ab-cd"}, `ab&#45cd ab&#x2dcd`, `*** ab&#x2dcd`}, // the second is U+2DCD
	{"HTML in JSON's escapes", []string{"ab&cd"}, `ab\u0026cd`, `***`},
	{"what looks like one in the secret", []string{"ab&#45;c"}, "ab&#45;c ab&amp;#45;c", "*** ***"},
	{"other references", []string{"ab-cd"}, `ab&#46;cd ab&nope;cd ab&cd ab&#;cd ab&#99999999999;cd`, `ab&#46;cd ab&nope;cd ab&cd ab&#;cd ab&#99999999999;cd`},
	{"cut in a reference", []string{"ab-cd"}, `ab&#4`, `ab&#4`},
	// Other encodings of characters: the NULs of UTF-16 and UTF-32, as bytes and as escapes.
	{"UTF-16, little-endian", []string{"ab-cd"}, "xa\x00b\x00-\x00c\x00d\x00", "x***\x00"},
	{"UTF-16, big-endian", []string{"ab-cd"}, "\x00a\x00b\x00-\x00c\x00d", "\x00***"},
	{"UTF-32", []string{"ab-cd"}, "a\x00\x00\x00b\x00\x00\x00-\x00\x00\x00c\x00\x00\x00d", "***"},
	{"UTF-16 in JSON", []string{"ab-cd"}, `a\u0000b\u0000\u002d\u0000c\u0000d\u0000`, `***\u0000`},
	{"more NULs", []string{"ab-cd"}, "a\x00\x00\x00\x00b-cd", "a\x00\x00\x00\x00b-cd"},
	{"cut behind NULs", []string{"ab-cd"}, "a\x00b\x00-\x00", "a\x00b\x00-\x00"},
	// Hexadecimal and base64 of "sk-canary-0001" (in three alignments, with and without padding), and of a key with +
	// and /.
	{"hexadecimal", []string{"sk-canary-0001"}, "736b2d63616e6172792d30303031 736B2D63616E6172792D30303031", "*** ***"},
	{"base64", []string{"sk-canary-0001"}, "c2stY2FuYXJ5LTAwMDE= c2stY2FuYXJ5LTAwMDE", "***E= ***E"},
	{"base64 of user:key", []string{"sk-canary-0001"}, "Basic dXNlcjpzay1jYW5hcnktMDAwMQ==", "Basic dXNlcjp***Q=="},
	{"base64, one byte before it", []string{"sk-canary-0001"}, "OnNrLWNhbmFyeS0wMDAx", "On***"},
	{"base64 in the alphabet of a URL", []string{"\xfb\xff\xbfabcdef"}, "-_-_YWJjZGVm +/+/YWJjZGVm", "*** ***"},
	{"base64 in JSON and in a URL", []string{"\xfb\xff\xbfabcdef"}, `+\/+\/YWJjZGVm %2B%2F%2B%2FYWJjZGVm`, "*** ***"},
	{"codings of four bytes are too short", []string{"abcd"}, "YWJjZA== FiY2Q", "YWJjZA== FiY2Q"},
	// Several secrets.
	{"one begins with another", []string{"abcd", "abcdefgh"}, "abcdefgh abcd", "*** ***"},
	{"the same, added the other way", []string{"abcdefgh", "abcd"}, "abcdefgh abcd", "*** ***"},
	{"one inside another", []string{"cdef", "abcdefgh"}, "abcdefgh", "***"},
	{"two that overlap", []string{"abcdef", "defghi"}, "xabcdefghiy", "x***y"},
	{"one that overlaps itself", []string{"abab"}, "xabababy", "x***y"},
	{"added twice", []string{canary, canary}, canary, "***"},
	{"bytes that are no UTF-8 around it", []string{canary}, "\xff" + canary + "\xfe", "\xff***\xfe"},
	// A secret of less than four bytes is not masked: it would occur in every answer.
	{"too short", []string{"abc"}, "abc", "abc"},
	{"just long enough", []string{"abcd"}, "abcd", "***"},
}

func TestMask(t *testing.T) {
	for _, test := range maskings {
		m := newMasker(test.secrets...)
		equal(t, test.name, m.String(test.in), test.want)
		in := []byte(test.in)
		equal(t, test.name+", Bytes", string(m.Bytes(in)), test.want)
		equal(t, test.name+", the input", string(in), test.in)
	}
}

func TestMaskLower(t *testing.T) {
	m := newMasker("Canary-Key_00Ab", "bcdE")
	for _, test := range []struct{ in, want string }{
		{"x-canary-key_00ab-y", "x-***-y"},
		{"bcde", "***"},
		{"ytrw4tcxntktmdbbyg", "ytrw4tcxntktmdbbyg"},
		{strings.ToLower("x" + base64.StdEncoding.EncodeToString([]byte("Canary-Key_00Ab"))), "x***"},
		{strings.ToLower("Canary-Key"), "canary-key"},
	} {
		equal(t, test.in, m.Lower().String(test.in), test.want)
	}
	equal(t, "nothing known", (&Masker{}).Lower().String("canary"), "canary")
}

// TestMaskKeepsJSONWhole checks that a masked body is still valid JSON, for readers of -o raw.
func TestMaskKeepsJSONWhole(t *testing.T) {
	m := newMasker("keys-1234")
	for _, echo := range []string{`keys-1234`, `C:\keys-1234`, "\nkeys-1234", `"keys-1234"`} {
		body, err := json.Marshal(map[string]string{"echo": echo})
		must(t, err)
		masked := m.Bytes(body)
		errorIf(t, !json.Valid(masked) || strings.Contains(string(masked), "1234"), "%s became %s", body, masked)
	}
}

// TestMaskCredentials checks that the credentials in a header value are also masked without the scheme.
func TestMaskCredentials(t *testing.T) {
	for _, value := range []string{"Bearer sk-canary-0001", "Basic dXNlcjpzay1jYW5hcnktMDAwMQ=="} {
		m := &Masker{}
		m.AddSecret(Secret{}) // the zero value has no secret
		m.AddSecret(Secret{value: &value})
		_, credentials, _ := strings.Cut(value, " ")
		for _, echo := range []string{value, credentials, "sk-canary-0001"} {
			equal(t, echo+" of "+value, m.String(echo), masked)
		}
	}
}

// TestMaskPlaceholders checks that only the placeholder keys of servers that check no key are not masked.
func TestMaskPlaceholders(t *testing.T) {
	for _, test := range []struct{ value, in, want string }{
		{"ollama", "ollama pull llama3.2", "ollama pull llama3.2"},
		{"EMPTY", "api_key=EMPTY", "api_key=EMPTY"},
		{"1234567890", "01234567890", "01234567890"},
		{"Basic dXNlcjp0ZXN0", "dXNlcjp0ZXN0, a test", "***, a test"}, // user:test
		{"Ollama", "ollama, Ollama", "ollama, ***"},
		{"ollama-1", "ollama ollama-1", "ollama ***"},
		{"empty1", "empty1", "***"},
	} {
		m := &Masker{}
		m.AddSecret(Secret{value: &test.value})
		equal(t, test.value, m.String(test.in), test.want)
	}
}

// TestMaskCost checks that worst-case text is scanned without copying it.
func TestMaskCost(t *testing.T) {
	m := newMasker("sk-canary-key-0123456789", "aaaaaaaaaaaaaaab")
	for _, hostile := range []string{"&", "&#", "&#0", "&#x", "&amp", "%", "\\", "\\u00", "\\\\u00", `sk-canary\\`, "sk-canary-key-01234", "aaaaaaaaaaaaaaa", "736b2d63"} {
		text := strings.Repeat(hostile, 1<<12) + "; that is all"
		for _, m := range []*Masker{m, {}} {
			// The mean is rounded down, so allocations by the runtime do not count.
			for name, mask := range map[string]func(string) string{"String": m.String, "StringCut": m.StringCut} {
				n := testing.AllocsPerRun(10, func() { mask(text) })
				errorIf(t, n > 0, "%s of %q: %g allocations, want none", name, hostile, n)
			}
		}
	}
}

// TestMaskerAtOnce adds and masks in several goroutines at once: no added secret is lost.
func TestMaskerAtOnce(t *testing.T) {
	m := &Masker{}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 20 {
				secret := fmt.Sprintf("secret-%d-%02d-end", i, j)
				m.Add(secret)
				equal(t, "an added secret", m.String("<"+secret+">"), "<***>")
			}
		})
	}
	wg.Wait()
	for i := range 8 {
		for j := range 20 {
			equal(t, "a secret added before", m.String(fmt.Sprintf("secret-%d-%02d-end", i, j)), "***")
		}
	}
}

func FuzzMask(f *testing.F) {
	f.Add(canary, "a ", " b")
	f.Add("ab/c", `ab\`, `/c`)
	f.Add(`a\bc%41`, "a%", "%41")
	f.Add("aaaa", "aaa", "a")
	f.Fuzz(func(t *testing.T, secret, before, behind string) {
		s, err := NewSecret(secret, "fuzz")
		// A secret with a star could be part of the mask itself.
		if err != nil || len(secret) < minMasked || slices.Contains(placeholders[:], secret) || strings.Contains(secret, "*") {
			return
		}
		m := &Masker{}
		m.AddSecret(s)
		for _, text := range []string{before + behind, before + secret + behind, secret + before + secret} {
			if out := m.String(text); strings.Contains(out, secret) {
				t.Fatalf("%q in %q", secret, out)
			}
		}
		quoted, err := json.Marshal(secret)
		must(t, err)
		twice, err := json.Marshal(string(quoted))
		must(t, err)
		for _, spelled := range []string{
			string(quoted[1 : len(quoted)-1]), string(twice[3 : len(twice)-3]), url.QueryEscape(secret), url.PathEscape(secret),
			spell(secret, "%%%02x"), spell(secret, `\u%04X`), spell(secret, "%02x"), spell(secret, "%02X"),
		} {
			equal(t, secret+" in "+spelled, m.String(spelled), masked)
		}
		// Two backslashes in a text with other escapes are read as one.
		if out := m.String(html.EscapeString(secret)); out != masked && !strings.ContainsAny(secret, `\%`) {
			t.Fatalf("%q left %q", secret, out)
		}
		if len(secret) < minCoded {
			return
		}
		for _, alphabet := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding} {
			// At each end, two characters of the encoding depend on the bytes before and after.
			coded := alphabet.EncodeToString([]byte(before + secret + behind))
			if out := m.String(coded); !strings.Contains(out, masked) || len(out) > len(coded)-len(secret)*8/6+len(masked)+2 {
				t.Fatalf("%q left %q of %q", secret, out, coded)
			}
		}
	})
}

// spell formats each byte of s.
func spell(s, format string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, format, c)
	}
	return b.String()
}

// inPieces calls f with pieces of text. The lengths are derived from cuts, repeatedly.
func inPieces(text, cuts []byte, f func(piece []byte)) {
	for i := 0; len(text) > 0; i++ {
		n := len(text)
		if len(cuts) > 0 {
			n = min(n, int(cuts[i%len(cuts)]%7)+1)
		}
		f(bytes.Clone(text[:n]))
		text = text[n:]
	}
}

// FuzzMaskStream checks that the stream gives the same result as Bytes however the text is split, and that it holds
// back no more than the longest encoded form of a secret.
func FuzzMaskStream(f *testing.F) {
	f.Add([]byte("the key sk-canary-1 and sk-canary-"), []byte{1}, "sk-canary-1", "")
	f.Add([]byte(`sk\u002dcanary\/1`), []byte{2, 3}, "sk-canary/1", "nary")
	f.Add([]byte(`ab\\cd%5`), []byte{1, 1, 4}, `ab\cd`, `b\c%`)
	f.Add([]byte(`\\\/sk\\u002dcan\\\"a\\\\`), []byte{1, 2}, `/sk-can"a`, `can"a\`)
	f.Add([]byte("aaaaabaaaa"), []byte{0}, "aaaab", "aaaa")
	f.Add([]byte("sk&#45;canary&#x2d;&amp;1 &am"), []byte{1, 2}, "sk-canary-&1", "nary")
	f.Add([]byte("c2stY2FuYXJ5LTAwMDE= 736b2d63616e6172792d30303031"), []byte{1}, "sk-canary-0001", "nary")
	f.Add([]byte("s\x00k\x00-\x00c&#0;a\\u0000n"), []byte{1}, "sk-can", "k-ca")
	f.Fuzz(func(t *testing.T, text, cuts []byte, one, two string) {
		var m Masker
		for _, secret := range []string{one, two} {
			if _, err := NewSecret(secret, "test"); err == nil {
				m.Add(secret)
			}
		}
		stream := m.Stream()
		var got []byte
		inPieces(text, cuts, func(piece []byte) {
			got = stream.Append(got, piece)
			// Each character of a form may be an escape of at most maxEntity bytes, with three NULs before it,
			// escaped too. The hexadecimal form is the longest.
			if most := 2 * 4 * maxEntity * max(len(one), len(two)); len(stream.held) > most {
				t.Fatalf("holds %d bytes back, at most %d can become a secret", len(stream.held), most)
			}
		})
		got = stream.Flush(got, false)
		equal(t, "in pieces", string(got), string(m.Bytes(bytes.Clone(text))))
	})
}

func TestMaskStreamCut(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"a whole text", "a whole text"},
		{"the key is sk-canary", "the key is ***"},
		{"the key is sk-canary-0001", "the key is ***"},
		{"it is sk-", "it is sk-"}, // three bytes reveal nothing
		{"an escape \\", "an escape \\"},
		{"sk-canary-0001, sk\\u002dcanary", "***, ***"},
	} {
		m := newMasker("sk-canary-0001")
		stream := m.Stream()
		got := stream.Flush(stream.Append(nil, []byte(test.text)), true)
		equal(t, test.text, string(got), test.want)
		equal(t, test.text+" in one piece", m.StringCut(test.text), test.want)
	}
}

package guard

import (
	"bytes"
	"testing"
)

// inPieces gives a text to f in pieces whose lengths come from cuts, over and over.
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

// FuzzMaskStream holds the stream to the answer of the whole, however the text is cut, and to holding back no more than
// the longest spelling of a secret.
func FuzzMaskStream(f *testing.F) {
	f.Add([]byte("the key sk-canary-1 and sk-canary-"), []byte{1}, "sk-canary-1", "")
	f.Add([]byte(`sk\u002dcanary\/1`), []byte{2, 3}, "sk-canary/1", "nary")
	f.Add([]byte(`ab\\cd%5`), []byte{1, 1, 4}, `ab\cd`, `b\c%`)
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
			// Each character of a form may be an escape of so many bytes, and three NULs before it too; hexadecimal is the
			// longest form.
			if most := 2 * 4 * mostEntity * max(len(one), len(two)); len(stream.held) > most {
				t.Fatalf("holds %d bytes back, at most %d can become a secret", len(stream.held), most)
			}
		})
		got = stream.Flush(got, false)
		if want := m.Bytes(bytes.Clone(text)); !bytes.Equal(got, want) {
			t.Errorf("in pieces %q, whole %q", got, want)
		}
	})
}

func TestMaskStreamCut(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"a whole text", "a whole text"},
		{"the key is sk-canary", "the key is ***"},
		{"the key is sk-canary-0001", "the key is ***"},
		{"it is sk-", "it is sk-"}, // three bytes tell nothing
		{"an escape \\", "an escape \\"},
	} {
		var m Masker
		m.Add("sk-canary-0001")
		stream := m.Stream()
		got := stream.Flush(stream.Append(nil, []byte(test.text)), true)
		if string(got) != test.want {
			t.Errorf("%q: %q, want %q", test.text, got, test.want)
		}
	}
}

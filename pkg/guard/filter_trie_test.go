package guard

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
)

// wordList makes n different words of 2 to 12 characters, three in four of them Chinese.
func wordList(n int) []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	seen := map[string]bool{}
	var list bytes.Buffer
	for len(seen) < n {
		word := make([]rune, 2+rng.IntN(11))
		for i := range word {
			if n := len(seen); n%4 != 0 {
				word[i] = 0x4e00 + rune(rng.ExpFloat64()*700)%20000
			} else {
				word[i] = 'a' + rune(rng.IntN(26))
			}
		}
		if w := string(word); !seen[w] {
			seen[w] = true
			fmt.Fprintln(&list, w)
		}
	}
	return list.Bytes()
}

// prose makes a text of about n bytes, half of it Chinese, in the characters of the list.
func prose(n int) string {
	rng := rand.New(rand.NewPCG(3, 4))
	var b strings.Builder
	for b.Len() < n {
		for range 20 {
			b.WriteRune(0x4e00 + rune(rng.ExpFloat64()*700)%20000)
			if rng.IntN(8) == 0 {
				b.WriteString("，")
			}
		}
		b.WriteString("It was the best of times. ")
	}
	return b.String()
}

// TestFilterMemory holds a list of 100,000 words to 50 MB.
func TestFilterMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("long: a list of 100,000 words")
	}
	list := string(wordList(100_000))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f, err := LoadFilter("list", listOf(list))
	if err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if all := (after.TotalAlloc - before.TotalAlloc) >> 20; all > 50 {
		t.Errorf("building took %d MB", all)
	} else {
		t.Logf("building took %d MB, %d nodes", all, len(f.trie.symbol))
	}
}

// TestFilterHostile holds the scan to one pass where every character falls back, and to no copying of what is held.
func TestFilterHostile(t *testing.T) {
	f := mustFilter(t, strings.Repeat("a", 5000)+"b", "ac")
	if m, ok := f.Find(strings.Repeat("a", 1<<20) + "c"); !ok || m.Start != 1<<20-1 {
		t.Errorf("%v %+v", ok, m)
	}
	stream := f.Stream()
	stream.Write([]byte("a"))
	piece, n := []byte("\u200b"), 0
	for range 1 << 18 {
		safe, _ := stream.Write(piece)
		n += len(safe)
	}
	if safe, _ := stream.Close(); n != 0 || len(safe) != 1+3<<18 {
		t.Errorf("let %d bytes pass, then %d", n, len(safe))
	}
}

func BenchmarkFilterLoad(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		list := string(wordList(n))
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := LoadFilter("list", listOf(list)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkFilterFind(b *testing.B) {
	text := prose(1 << 20)
	// Words of three characters and more: the text must be free of them.
	for _, n := range []int{1, 100_000} {
		var words []string
		for _, word := range strings.Fields(string(wordList(n))) {
			if len([]rune(word)) > 5 || n == 1 {
				words = append(words, word)
			}
		}
		f := mustFilter(b, words...)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if m, ok := f.Find(text); ok {
					b.Fatal(m)
				}
			}
		})
	}
	f := mustFilter(b, strings.Fields(string(wordList(10)))...)
	b.Run("pieces", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			stream := f.Stream()
			for rest := []byte(text); len(rest) > 0; rest = rest[min(len(rest), 16):] {
				stream.Write(rest[:min(len(rest), 16)])
			}
			stream.Close()
		}
	})
}

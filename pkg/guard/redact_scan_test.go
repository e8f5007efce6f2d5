package guard

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// hostile are texts at which a careless scanner would begin again at every byte.
var hostile = []string{
	"1", "13812345678", "1 ", "1-", "138 ", "4111 ", `api_key="`, `api_key='`, "api_key=", "api_key:[", "api_key ", "api_key", "Authorization: ", "Authorization:[", "authorization: a1 ",
	"姓名:", "姓名 ", "姓名", "姓名:(", "姓名:a ", "电话:1 ", "电话: (", "sk-", "sk-a", "sk-ant-", "eyJ", "eyJ-", "eyJaaaaaaaa.", "eyJ-----.a", "bce-v3/", "Bearer ", "bearer a1", "Basic ", "basic YTpi ", "Basic YTpi/", "hvs.", "a@", "@", "a.", "a@b.", "a@b.c", "a@b-.",
	"-", "-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "-----END ", "://", "://a", "://a@", `\`, `\u`, `\ud800`, `\"`, `\\u59d3`, "\u200b", "，", "+86", "+86 ", "0086 ", "[REDACTED]", "[REDACTED", "\xff", "(", "x-api-key: [",
}

// TestRedactHostile holds 1 MiB of each to a time that no quadratic scan keeps, which would take minutes, and that a
// machine keeps however busy it is: it takes some 50 ms.
func TestRedactHostile(t *testing.T) {
	if testing.Short() {
		t.Skip("long: 1 MiB of each shape")
	}
	var r Redactor
	const size, most = 1 << 20, 30 * time.Second
	var slowest time.Duration
	for _, unit := range hostile {
		start := time.Now()
		r.String(strings.Repeat(unit, size/len(unit)))
		took := time.Since(start)
		slowest = max(slowest, took)
		if took >= most {
			t.Errorf("%q: %v", unit, took)
		}
		got := r.String(strings.Repeat(unit, size/16/len(unit)))
		if again := r.String(got); again != got {
			t.Errorf("%q: redacted twice it is another text", unit)
		}
	}
	t.Logf("the slowest took %v", slowest)
}

// FuzzRedact holds redaction to be idempotent, to keep a text's UTF-8, and to say the same of bytes.
func FuzzRedact(f *testing.F) {
	for _, test := range redactions {
		f.Add(test.text)
	}
	for _, unit := range hostile {
		f.Add(strings.Repeat(unit, 3) + "13812345678")
	}
	f.Fuzz(func(t *testing.T, text string) {
		var r Redactor
		once := r.String(text)
		if twice := r.String(once); twice != once {
			t.Errorf("%q\n once %q\ntwice %q", text, once, twice)
		}
		if utf8.ValidString(text) && !utf8.ValidString(once) {
			t.Errorf("%q became %q", text, once)
		}
		if b := r.Bytes([]byte(text)); !bytes.Equal(b, []byte(once)) {
			t.Errorf("bytes %q, string %q", b, once)
		}
		if rounds := roundsOf(text); rounds > 4 {
			t.Errorf("%q took %d rounds", text, rounds)
		}
	})
}

// roundsOf counts the rounds that change a text.
func roundsOf(text string) (n int) {
	for next := redactShapes(text); next != text; next = redactShapes(text) {
		text = next
		n++
	}
	return n
}

// FuzzRedactView holds the view to its source: parts side by side in one are side by side in the other.
func FuzzRedactView(f *testing.F) {
	f.Add(`a\u5f20\\\"b，c` + "\u200b\u3000\\ud83d\\ude00\\n")
	f.Add(`\\\\\u\ud800\udc00\ud800x`)
	f.Fuzz(func(t *testing.T, text string) {
		v := newView(text)
		last := 0
		for i := range v.text {
			at := v.position(i)
			if at < last || at > len(text) {
				t.Fatalf("%q: %d is at %d, after %d", text, i, at, last)
			}
			if c := v.text[i]; isAlnum(c) && text[at] != c && text[at] != '\\' && text[at] < utf8.RuneSelf {
				t.Fatalf("%q: %q at %d is %q at %d", text, c, i, text[at], at)
			}
			if utf8.ValidString(text) && at < len(text) && !utf8.RuneStart(text[at]) {
				t.Fatalf("%q: %d is inside a character", text, at)
			}
			last = at
		}
		if v.position(len(v.text)) != len(text) {
			t.Fatalf("%q ends at %d", text, v.position(len(v.text)))
		}
	})
}

func BenchmarkRedact(b *testing.B) {
	english := strings.Repeat("The request to the node took 1234 ms (attempt 2 of 3), status 200; see https://example.com/a/b?c=d. ", 42)[:4096]
	chinese := strings.Repeat("请求经香港代理节点发出，用时 812 毫秒，第二次尝试成功。", 80)[:4096]
	body := strings.Repeat(`{"role":"user","content":"say \"hello\"\nto \u5f20\u4e09, please"},`, 70)[:4096]
	for _, bench := range []struct{ name, text string }{
		{"english", english}, {"chinese", chinese}, {"json", body}, {"hits", strings.Repeat("姓名: 张三，电话: 13812345678, a@b.cn\n", 99)[:4096]},
		{"digits 1 MB", strings.Repeat("1", 1<<20)}, {"api_key 1 MB", strings.Repeat(`api_key="`, 1<<20/9)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			var r Redactor
			b.SetBytes(int64(len(bench.text)))
			b.ReportAllocs()
			for b.Loop() {
				r.String(bench.text)
			}
		})
	}
}

package guard

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"ferry/pkg/text"
)

// identityCard appends the checksum to 17 digits, by the definition of GB 11643.
func identityCard(first17 string) string {
	sum := 0
	for i, c := range first17 {
		weight := 1
		for range 17 - i {
			weight = weight * 2 % 11
		}
		sum += int(c-'0') * weight
	}
	return first17 + string("10X98765432"[sum%11])
}

// bankCard appends the Luhn checksum to a number.
func bankCard(digits string) string {
	for check := range 10 {
		number, sum := fmt.Sprint(digits, check), 0
		for i := range number {
			v := int(number[len(number)-1-i] - '0')
			if i%2 == 1 {
				v = v*2/10 + v*2%10
			}
			sum += v
		}
		if sum%10 == 0 {
			return number
		}
	}
	panic("no checksum")
}

// redactions are texts and their expected results, with R for [REDACTED].
var redactions = []struct{ text, want string }{
	// The two patterns of the original sample, with their spaces and colons.
	{`api_key="abc123"`, `api_key="R"`},
	{`api_key = "abc 123" and more`, `api_key = "R" and more`},
	{`姓名:张三`, `姓名:R`}, {`姓名：张三`, `姓名：R`}, {`姓名 ： 张三，女`, `姓名 ： R，女`},
	{`姓名: 张三 电话: 010-88886666 身份证: 110105194912310`, `姓名: R 电话: R 身份证: R`},
	{`姓名:张三;电话:12345;身份证号码:x9`, `姓名:R;电话:R;身份证号码:R`},
	{"姓名: 张三\n他来了", "姓名: R\n他来了"},
	{`姓名: 张 三 来了`, `姓名: R 来了`}, {`姓名: 欧阳娜 来了`, `姓名: R 来了`},
	{`姓名: John Q. Smith 来了`, `姓名: R 来了`},
	{`姓名: John Phone: 12`, `姓名: R Phone: 12`},
	{`姓名: “张三”。`, `姓名: “R”。`}, {`(姓名:张三)`, `(姓名:R)`}, {`姓名:张三。电话:无`, `姓名:R。电话:R`},
	{`电话: 010 8888 6666 转 8`, `电话: R 转 8`}, {`电话: (010) 8888 6666, 3 次`, `电话: R, 3 次`},
	{`联系电话：+1 415 555 2671`, `联系电话：R`}, {`手机号:138`, `手机号:R`},
	{`身份证: 110105 490101 123`, `身份证: R`},
	{`姓名:`, `姓名:`}, {`姓名: `, `姓名: `}, {"姓名:\n张三", "姓名:\n张三"}, {`姓名不详`, `姓名不详`},

	// Names of keys.
	{`API_KEY=abc`, `API_KEY=R`}, {`export ANTHROPIC_API_KEY='a b'; ls`, `export ANTHROPIC_API_KEY='R'; ls`},
	{`?apikey=abc&x=1`, `?apikey=R&x=1`}, {`apiKey: abc, x`, `apiKey: R, x`}, {`X-Goog-Api-Key: abc`, `X-Goog-Api-Key: R`},
	{`x-api-key: abc`, `x-api-key: R`}, {`-H 'x-api-key: abc' https://h`, `-H 'x-api-key: R' https://h`},
	{`headers["x-api-key"] = "abc"`, `headers["x-api-key"] = "R"`}, {`map[X-Api-Key:[abc] Y:[1]]`, `map[X-Api-Key:[R] Y:[1]]`},
	{`{"x-api-key": ["abc","d"]}`, `{"x-api-key": ["R","d"]}`}, {`{"api_key":null}`, `{"api_key":null}`},
	{`access_token=abc`, `access_token=R`}, {`"client_secret":"abc"`, `"client_secret":"R"`}, {`aws_secret_access_key = a/b+c`, `aws_secret_access_key = R`},
	{`api_key := "abc"`, `api_key := "R"`}, {`api_key=""`, `api_key=""`}, {"api_key=\nabc", "api_key=\nabc"},
	{"api_key=\"abc\nnext line", "api_key=\"R\nnext line"},
	// Names that also precede other text: only a value with the shape of a key.
	{`token=aB3dE5fG7hJ9kL2mN4pQ6 auth_token: aB3dE5fG7hJ9kL2mN4pQ6`, `token=R auth_token: R`},
	{`password=aB3dE5fG7hJ9kL2mN4pQ6 API key: aB3dE5fG7hJ9kL2mN4pQ6`, `password=R API key: R`},
	{`Incorrect API key provided: aB3dE5fG7hJ9kL2mN4pQ6. Find yours at`, `Incorrect API key provided: R. Find yours at`},
	{`{"token":"aB3dE5fG7hJ9kL2mN4pQ6","password": "aB3dE5fG7hJ9kL2mN4pQ6"}`, `{"token":"R","password": "R"}`},
	{`?key=aB3dE5fG7hJ9kL2mN4pQ6&x=1`, `?key=R&x=1`}, {`Token:[aB3dE5fG7hJ9kL2mN4pQ6] X:[1]`, `Token:[R] X:[1]`},
	{`{\"secret\":\"9f86d081884c7d659a2feaa0c55ad015\"}`, `{\"secret\":\"R\"}`}, {`token: 550e8400-e29b-41d4-a716-446655440000`, `token: R`},
	{`passwd=aB3dE5fG/hJ9kL2m+N4pQ6==; x`, `passwd=R; x`}, {`KEY = ab%2Fcd1234567890ef`, `KEY = R`},
	{`authorization: Bearer abc`, `authorization: R`}, {`Authorization: Basic dTpw` + "\r\nHost: h", "Authorization: R\r\nHost: h"},
	{`Proxy-Authorization: Digest username="u", response="r"`, `Proxy-Authorization: R`}, {`"Authorization: Digest username=\"u\", nc=1", "x"`, `"Authorization: R", "x"`},
	{`curl -H "Authorization: Bearer abc" https://h`, `curl -H "Authorization: R" https://h`},
	{`{"Authorization":"Bearer abc","x":1}`, `{"Authorization":"R","x":1}`}, {`Authorization:[Bearer abc] X:[1]`, `Authorization:[R] X:[1]`},
	{"api_key" + strings.Repeat(" ", 200) + "= abc", "api_key" + strings.Repeat(" ", 200) + "= R"},
	{`Authorization: Custom k3y0000 rest of it`, `Authorization: R rest of it`}, {`Authorization=abc`, `Authorization=R`},

	// Keys by their shape.
	{`sk-ant-api03-AbCd_ef-gh`, `R`}, {`(sk-proj-Ab1Cd2Ef3Gh4)`, `(R)`}, {`键sk-0123456789abcdef。`, `键R。`},
	{`AKIAIOSFODNN7EXAMPLE`, `R`}, {`LTAI5tAbCdEfGhIjKlMn`, `R`}, {`ghp_0123456789abcdefABCDEF`, `R`},
	{`github_pat_11AAAAAAA0123456789_ab`, `R`}, {`xoxb-1234-5678-abc`, `R`}, {`AIzaSyA0123456789abcdefghijklmnopqrstu`, `R`},
	{`bce-v3/ALTAK-abcdefghij/0123456789abcdef`, `R`}, {`sk_live_0123456789`, `R`}, {`hf_abcdefghijklmnopqrstuv`, `R`},
	{`eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2ln, x`, `R, x`}, {`eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.`, `R`},
	{`Bearer abcdef12 x`, `Bearer R x`}, {`bearer dG9rZW4tdG9rZW4tdG9rZW4=`, `bearer R`},
	{"-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\nx", "R\nx"}, {"-----BEGIN PRIVATE KEY-----\nabc", "R"},
	{`"-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\n"`, `"R\n"`},
	{`http://u:p@proxy:8080/x`, `http://R@proxy:8080/x`}, {`https://tok@h/p@q`, `https://R@h/p@q`},

	// E-mail.
	{`mail a.b+c@mail.example.com.`, `mail R.`}, {`邮箱a@b.cn，`, `邮箱R，`}, {`<a@b-c.co.uk>`, `<R>`}, {`ａ＠ｂ．ｃｏｍ`, `R`},
	{`13812345678@139.com`, `R@139.com`}, {`a_1@x.com-2`, `R-2`},

	// Mobile numbers.
	{`13812345678`, `R`}, {`call 138-1234-5678 now`, `call R now`}, {`138 1234 5678.`, `R.`}, {`电13812345678话`, `电R话`},
	{`+8613812345678`, `R`}, {`+86 138 1234 5678`, `R`}, {`+86-13812345678`, `R`}, {`86 19912345678`, `R`}, {`008613812345678`, `R`},
	{`0086-138-1234-5678`, `R`}, {`013812345678`, `R`}, {`(+86) 13812345678`, `(+86) R`}, {`Tel13812345678x`, `TelRx`}, {`a13812345678b`, `aRb`},
	{`req_11a5f1d2bab13812345678`, `req_11a5f1d2bab13812345678`}, {`(req_13812345678)`, `(req_13812345678)`}, {`req 13812345678`, `req R`}, {`req_phone_13812345678`, `req_phone_R`},
	{`１３８１２３４５６７８`, `R`}, {`138–1234–5678`, `R`}, {`138 1234 5678`, `R`}, {"138\u200b1234\u200b5678", `R`},
	{`13812345678,13912345678`, `R,R`}, {`13812345678 13912345678`, `R R`}, {`{"p":13812345678}`, `{"p":R}`}, {`2024-01-02 13812345678`, `2024-01-02 R`},

	// Identity cards.
	{`11010519491231002X`, `R`}, {`11010519491231002x。`, `R。`}, {`110105 19491231 002X`, `R`}, {`110105-19491231-002X`, `R`},
	{identityCard("44030720000229001"), `R`}, {identityCard("50010120101010123"), `R`}, {`id` + identityCard("83000019991231999") + `!`, `idR!`},
	{`１１０１０５１９４９１２３１００２Ｘ`, `R`},

	// Bank cards.
	{`4111111111111111`, `R`}, {`4111 1111 1111 1111 12/26`, `R 12/26`}, {`4111-1111-1111-1111`, `R`}, {`378282246310005`, `R`}, {`3782 822463 10005`, `R`},
	{`5555555555554444`, `R`}, {bankCard("2221000000000000"[:15]), `R`}, {bankCard("622202020011223344"), `R`}, {bankCard("35280000000000"), bankCard("35280000000000")},
	{bankCard("352800000000000"), `R`}, {"卡号" + bankCard("62284800000000000") + "，", "卡号R，"},
	{bankCard("622202020011223344")[:4] + " " + bankCard("622202020011223344")[4:8] + " " + bankCard("622202020011223344")[8:12] + " " + bankCard("622202020011223344")[12:16] + " " + bankCard("622202020011223344")[16:], `R`},

	// In JSON, once and twice.
	{`"api_key=\"abc\""`, `"api_key=\"R\""`}, {`{\"x-api-key\":\"abc\"}`, `{\"x-api-key\":\"R\"}`},
	{`"{\\\"api_key\\\": \\\"abc\\\"}"`, `"{\\\"api_key\\\": \\\"R\\\"}"`},
	{`{"m":"\u59d3\u540d:\u5f20\u4e09"}`, `{"m":"\u59d3\u540d:R"}`}, {`{"\u59d3\u540d":"\u5f20\u4e09","x":1}`, `{"\u59d3\u540d":"R","x":1}`},
	{`"\\u7535\\u8bdd\uff1a1"`, `"\\u7535\\u8bdd\uff1aR"`}, {`{"姓名":"张三","电话" : "1"}`, `{"姓名":"R","电话" : "R"}`},
	{`"x\n13812345678\n"`, `"x\nR\n"`}, {`"\u0031\u0033812345678"`, `"R"`}, {`"a\u0040b.com"`, `"R"`}, {`"x\nsk-ant-0123456789"`, `"x\nR"`},
	{`"姓名:\ud83d\ude00x，"`, `"姓名:R，"`}, {`{"a":"Authorization: Bearer x\r\ny"}`, `{"a":"Authorization: R\r\ny"}`},

	// Text that was redacted before, completely or partly.
	{`api_key="[REDACTED]"`, `api_key="R"`}, {`姓名: [REDACTED]三，`, `姓名: R，`}, {`Authorization: [REDACTED] rest`, `Authorization: R rest`},
	{`x-api-key: [REDACTED]abc d`, `x-api-key: R d`}, {`[REDACTED]`, `R`},
}

func TestRedact(t *testing.T) {
	var r Redactor
	for _, test := range redactions {
		got := r.String(test.text)
		equal(t, test.text, strings.ReplaceAll(got, redacted, "R"), test.want)
		equal(t, test.text+", twice", r.String(got), got)
	}
}

// TestRedactLeaves checks that ordinary numbers and prose are unchanged.
func TestRedactLeaves(t *testing.T) {
	var r Redactor
	for _, text := range []string{
		"x-api-key: ***", "< x-api-key: ***", "Authorization: Bearer ***", `{"x-api-key":"***"}`, "export ANTHROPIC_API_KEY=…\nor not",
		"", "hello", "你好，世界", "api_key", "the api_key is missing", "no API key: set it", "invalid x-api-key", "x-api-key header is required",
		"token: expired", "max_tokens: 100", "tokens: 1234567890123456", "key: value", "token: 1234567890123456789", "key: claude-haiku-4-5-20261001",
		"key: content-type-of-the-response", `{"token":"***","key":"order_2024_0001_items"}`, "password: must have 16 characters", "key=",
		"key: file:/home/user0001/keys/node0001.key", "key: /tmp/Test0123456789/001/legacy.key", "key: env:NODE0001_PRIMARY_KEY", "the key provided: none",
		"monkey: 2024-11-28T01:29:09Z", "token aB3dE5fG7hJ9kL2mN4pQ6",
		"Bearer authentication", "the bearer of bad news", "Bearer responsibilities", "authorization is required",
		"task-force-2024-report", "ask-me-anything-1234567", "risk-assessment-2024-01", "sk-learn", "sk-", "disk-usage-0123456789",
		"scikit-learn", "AKIA", "eyJ", "eyJhbGciOi.x", "xoxo-love", "pplx", "hf_x",
		"12812345678", "1381234567", "138123456789", "10086", "12306", "13800 138000", "138 123 45678", "21381234567 8",
		"20240102030405", "1699999999999", "1700000000000000000", "2024-01-02T03:04:05.678Z", "2024-01-02 03:04:05", "12:34:56.789012",
		"order 4111111111111112", "order 1234567890123456", "6222020200112233441", "4111 1111 1111 1112", "9781234567897", "978-7-111-54742-6", "ISBN 7-111-54742-X",
		"110105194912310021", "11010519491331002X", identityCard("11010518991231002"), identityCard("99010519491231002"), identityCard("11010520010229002"),
		"110105491231002", // the format before 1999 has no checksum: only after its name
		"v1.26.0", "go1.26.8", "1.13812345678.2", "192.168.100.200:8080", "0.13812345678", "3.4111111111111111", "¥13,812,345,678.00", "13812345678.50", "$4,111.11", "99.99%",
		"550e8400-e29b-41d4-a716-446655440000", "golang.org/x/text@v0.43.0", "@someone", "user@localhost", "a@b", "@", "a @ b.com", "x@1.2.3", "npm install vue@3.4.21",
		"https://example.com/a@b?c", "http://127.0.0.1:8080", "://", "C:\\new\\name", `\`, `\u`, `\u12`, `\\\\`, `a\\u00e9`, "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----",
		"姓名和电话都要填", "电话费", "身份证丢了", "请出示身份证。", "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
		"req_011CSHoEeqs5C35K2Xegr7Fj", "+86", "+1 415 555 2671", "010-88886666", "400-800-8888", "1234567890123456789012345",
		"The quick brown fox jumps over 13 lazy dogs, 1500 times.", "\xff\xfe\xe5\xa7", "[REDACTED]",
	} {
		equal(t, "ordinary text", r.String(text), text)
	}
}

// TestRedactAnywhere puts each secret between other characters, which must not change the result.
func TestRedactAnywhere(t *testing.T) {
	var r Redactor
	secrets := []string{
		"sk-ant-api03-AbCd_ef", "AKIAIOSFODNN7EXAMPLE", "ghp_0123456789abcdefABCDEF", "xoxb-1234-5678-abc", "13812345678", "138-1234-5678",
		"11010519491231002X", "4111111111111111", "a.b@example.com", "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2ln",
	}
	around := []string{" ", "\n", "\"", "'", "，", "：", "(", ")", "[", "]", "<", ">", "{", "}", "/", "|", "中", "\t", "=", "&", "\x00", "\xff", `\"`, `\n`, `\\n`, "\u200b", "。"}
	for _, secret := range secrets {
		for _, before := range around {
			for _, after := range around {
				text := before + secret + after
				// An address may include the characters around it.
				if got := r.String(text); strings.Contains(got, secret) || strings.Contains(got, secret[3:len(secret)-1]) {
					t.Errorf("%q became %q", text, got)
				}
				inJSON, _ := json.Marshal(text)
				if got := r.String(string(inJSON)); strings.Contains(got, secret[3:len(secret)-1]) {
					t.Errorf("%q became %q", inJSON, got)
				}
			}
		}
	}
}

func TestRedactPatterns(t *testing.T) {
	tests := []struct{ patterns, text, want string }{
		{`工号\d+`, "工号123 and 456", "R and 456"},
		{`工号\d+`, `"\u5de5\u53f7123"`, `"R"`},
		{`工号\d+`, "工号１２３", "R"},
		{`\w+`, "a b", "R R"}, {`.+`, "a b", "R"}, {`[A-Z]`, "aBc", "aRc"}, {`DAC`, "a [REDACTED] b", "a R b"},
		{`EMP|\d{4}`, "EMP1234x", "RRx"}, {`a\b`, "caa", "cRR"}, {`(?i)project x`, "see PROJECT X, 13812345678", "see R, R"},
		{`foo|1381`, "13812345678 foo", "R2345678 R"}, {`^\s*x`, " x y", "R y"},
	}
	for _, test := range tests {
		r, err := NewRedactor([]string{test.patterns})
		must(t, err)
		got := r.String(test.text)
		equal(t, test.patterns+" in "+test.text, got, strings.ReplaceAll(test.want, "R", redacted))
		equal(t, test.patterns+", twice", r.String(got), got)
	}
}

func TestRedactPatternErrors(t *testing.T) {
	for _, test := range []struct{ pattern, want string }{
		{`a(b`, `redact pattern "a(b" column 4: missing closing )`},
		{`工号[0-9`, `redact pattern "工号[0-9" column 3: missing closing ]`},
		{`ab**`, `redact pattern "ab**" column 3: invalid nested repetition operator`},
		{`x(?<=y)`, `redact pattern "x(?<=y)" column 2: invalid named capture`},
		{`a\`, `redact pattern "a\\" column 3: trailing backslash at end of expression`},
		{`a*`, `redact pattern "a*" column 1: it matches the empty string`},
		{``, `redact pattern "" column 1: it matches the empty string`},
		{`a\8`, `redact pattern "a\\8" column 2: invalid escape sequence`},
	} {
		r, err := NewRedactor([]string{"fine", test.pattern})
		var bad *PatternError
		if r != nil || !errors.As(err, &bad) || err.Error() != test.want || text.Hint(err) == "" {
			t.Errorf("%v, want %s", err, test.want)
		}
	}
}

// hostile are texts at which a naive scanner would start again at every byte.
var hostile = []string{
	"1", "13812345678", "1 ", "1-", "138 ", "4111 ", `api_key="`, `api_key='`, "api_key=", "api_key:[", "api_key ", "api_key", "Authorization: ", "Authorization:[", "authorization: a1 ",
	"姓名:", "姓名 ", "姓名", "姓名:(", "姓名:a ", "电话:1 ", "电话: (", "sk-", "sk-a", "sk-ant-", "eyJ", "eyJ-", "eyJaaaaaaaa.", "eyJ-----.a", "bce-v3/", "Bearer ", "bearer a1", "Basic ", "basic YTpi ", "Basic YTpi/", "hvs.", "a@", "@", "a.", "a@b.", "a@b.c", "a@b-.",
	"token=", "key:[", "key: a1b2c3d4e5f6g7h8", `token="a1`, "key=a1/", "key provided: ", "key ",
	"-", "-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "-----END ", "://", "://a", "://a@", `\`, `\u`, `\ud800`, `\"`, `\\u59d3`, "\u200b", "，", "+86", "+86 ", "0086 ", "[REDACTED]", "[REDACTED", "\xff", "(", "x-api-key: [",
}

// TestRedactHostile checks that 1 MiB of each text is redacted in a limited time. A linear scan takes about 50 ms and
// meets the limit even on a busy machine. A quadratic scan would take minutes.
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
		errorIf(t, took >= most, "%q: %v", unit, took)
		got := r.String(strings.Repeat(unit, size/16/len(unit)))
		errorIf(t, r.String(got) != got, "%q: redacted twice it is another text", unit)
	}
	t.Logf("the slowest took %v", slowest)
}

// FuzzRedact checks that redaction is idempotent, keeps valid UTF-8 valid, and needs at most 4 passes.
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
		equal(t, text+", twice", r.String(once), once)
		errorIf(t, utf8.ValidString(text) && !utf8.ValidString(once), "%q became %q", text, once)
		rounds := countPasses(text)
		errorIf(t, rounds > 4, "%q took %d rounds", text, rounds)
	})
}

// countPasses returns the number of passes that change a text.
func countPasses(text string) (n int) {
	for next := redactShapes(text); next != text; next = redactShapes(text) {
		text = next
		n++
	}
	return n
}

// FuzzRedactView checks that positions in the view map to the source in the same order.
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

package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"ferry/pkg/config"
	"ferry/pkg/state"
	"ferry/pkg/text"
	"ferry/pkg/wire"
)

// planOf makes a plan from a file like Generate, without the certificate check.
func planOf(src string, nodes ...Node) (*plan, error) {
	file, err := config.Parse("/etc/ferry/config.yaml", []byte(src))
	if err != nil {
		return nil, err
	}
	g, err := file.Gateway(nil)
	if err != nil {
		return nil, err
	}
	if fault := checkRequired(g); fault != nil {
		return nil, fault
	}
	return newPlan(g, nodes)
}

const whole = `gateway:
  server_name: ai.example.com
  cert: /c.pem
  key: /k.pem
  upstream: [a, b]
  roles:
    dev: [messages, models]
`

func node(name, url string) Node {
	return Node{Node: config.Node{Name: name, URL: url, API: wire.Messages, TLS: config.TLS{Min: "1.3", CA: "/ca.pem"}},
		Headers: []Header{{"x-api-key", "k"}}}
}

func TestFaults(t *testing.T) {
	a, b := node("a", "https://a.example/api"), node("b", "https://b.example")
	with := func(change func(*Node)) Node { n := b; change(&n); return n }
	without := func(line string) string {
		return regexp.MustCompile(`(?m)^ *`+line+`.*\n`).ReplaceAllString(whole, "")
	}
	tests := []struct {
		name, src string
		b         Node
		want      string
	}{
		{"no name", without("server_name:"), b, "config.yaml:1:1: gateway.server_name: is required"},
		{"no certificate", without("cert:"), b, "config.yaml:1:1: gateway.cert: is required"},
		{"no key", without("key:"), b, "config.yaml:1:1: gateway.key: is required"},
		{"no upstream", without("upstream:"), b, "config.yaml:1:1: gateway.upstream: is required"},
		{"no roles", without("dev:"), b, "config.yaml:6:3: gateway.roles: is required"},
		{"no TLS", whole, node("b", "http://b.example"), "config.yaml:5:17: gateway.upstream: node b has no TLS"},
		{"no CA", whole, with(func(n *Node) { n.TLS.CA = "" }), "config.yaml:5:17: gateway.upstream: node b has no tls.ca, and the system's CA bundle is not in a usual place"},
		{"the demo", whole, node("b", "demo:"), "config.yaml:5:17: gateway.upstream: node b has no network address"},
		{"an address", whole, node("b", "https://192.0.2.1"), "config.yaml:5:17: gateway.upstream: node b has an address that is not a host name"},
		{"an address of IPv6", whole, node("b", "https://[2001:db8::1]"), "config.yaml:5:17: gateway.upstream: node b has an address that is not a host name"},
		{"a query", whole, node("b", "https://b.example?x=1"), "config.yaml:5:17: gateway.upstream: node b has a query in its url"},
		{"a variable in the path", whole, node("b", "https://b.example/$host"), "config.yaml:5:17: gateway.upstream: node b has a path with characters that are special in nginx"},
		{"a block in the path", whole, node("b", "https://b.example/;}"), "config.yaml:5:17: gateway.upstream: node b has a path with characters that are special in nginx"},
		{"an escape in the path", whole, node("b", "https://b.example/%2e%2e"), "config.yaml:5:17: gateway.upstream: node b has a path with characters that are special in nginx"},
		{"a name with a dollar", whole, node("b", "https://b$host"), "config.yaml:5:17: gateway.upstream: node b has an address that is not a host name"},
		{"a proxy", whole, with(func(n *Node) { n.Proxy = "http://p:1" }), "config.yaml:5:17: gateway.upstream: node b is behind a proxy"},
		{"other TLS", whole, with(func(n *Node) { n.TLS.Min = "1.2" }), "config.yaml:5:17: gateway.upstream: node b has other tls settings than a"},
		{"a path of TLS", whole, with(func(n *Node) { n.TLS.CA = "/a\";b" }), "config.yaml:5:17: gateway.upstream: node b has a tls path with characters that are special in nginx"},
		{"another API", whole, with(func(n *Node) { n.API = wire.Chat }), "config.yaml:5:17: gateway.upstream: node b speaks another API than a"},
		{"a header's name", whole, with(func(n *Node) { n.Headers = []Header{{"X$y", "v"}} }), "config.yaml:5:17: gateway.upstream: node b has a header whose name has characters that are special in nginx"},
		{"a long key", whole, with(func(n *Node) { n.Headers = []Header{{"x-api-key", strings.Repeat("k", maxValue+1)}} }),
			"config.yaml:5:17: gateway.upstream: node b has a key or header that is too long for nginx"},
		{"a permission of another API", strings.Replace(whole, "models]", "chat]", 1), b,
			"config.yaml:7:21: gateway.roles.dev: the permission chat is for another API than a speaks"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := planOf(tt.src, a, tt.b)
			var e *config.Error
			if !errors.As(err, &e) || e.Error() != "/etc/ferry/"+tt.want {
				t.Errorf("got  %v\nwant /etc/ferry/%s", err, tt.want)
			}
		})
	}
	if _, err := planOf(whole, a, b); err != nil {
		t.Errorf("without a fault: %v", err)
	}
}

// Every permission of config has a route, in its own API.
func TestPermissionsHaveRoutes(t *testing.T) {
	for _, name := range config.Permissions() {
		if find(append(routesOf(wire.Messages), routesOf(wire.Chat)...), name) < 0 {
			t.Errorf("%s opens nothing", name)
		}
	}
}

// token matches the next part of a configuration: space, a comment, a separator, a word in quotes, or another word.
var token = regexp.MustCompile(`^(?s:[ \n\t\r]+|#[^\n]*|[;{}]|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^ \n\t\r;{}#"'][^ \n\t;{]*)`)

// words parses a configuration like nginx: it returns each directive with its arguments and depth.
func words(src string) (directives [][]string, err error) {
	var line []string
	depth := 0
	for rest := src; rest != ""; {
		part := token.FindString(rest)
		rest = rest[len(part):]
		switch {
		case part == "", strings.ContainsAny(part[:1], `"'`) && (rest == "" || strings.IndexByte(" \n;{)", rest[0]) < 0):
			return nil, fmt.Errorf("an odd quote before %.20q", rest)
		case strings.ContainsAny(part[:1], `"'`):
			line = append(line, strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\'`, "'").Replace(part[1:len(part)-1]))
		case strings.ContainsAny(part[:1], " \n\t\r#"):
		case !strings.ContainsAny(part[:1], ";{}"):
			line = append(line, part)
		case (len(line) == 0) != (part == "}"):
			return nil, fmt.Errorf("an odd %s before %.20q", part, rest)
		case part == "}":
			depth--
		default:
			directives = append(directives, append([]string{fmt.Sprint(depth)}, line...))
			line = nil
			if part == "{" {
				depth++
			}
		}
	}
	if depth != 0 || len(line) > 0 {
		return nil, fmt.Errorf("ends %d blocks deep, within %q", depth, line)
	}
	return directives, nil
}

// shape returns what no value may change: the names of the directives, their depths and numbers of arguments.
func shape(t *testing.T, src []byte) string {
	t.Helper()
	directives, err := words(string(src))
	if err != nil {
		t.Fatalf("%v:\n%s", err, src)
	}
	var b strings.Builder
	for _, d := range directives {
		fmt.Fprintln(&b, d[0], d[1], len(d))
	}
	return b.String()
}

// FuzzSyntax checks that every accepted value changes only a value in nginx's configuration, and that a key is passed
// on unchanged.
func FuzzSyntax(f *testing.F) {
	for _, s := range []string{"x", `a"; return 200; "b`, "$host", `\`, `\"`, "a;b", "{", "}", "#", "'", "a b", "\x00", "~^a$", "default", "*"} {
		f.Add(s)
	}
	src := func(name, prefix, path string) string {
		return fmt.Sprintf("gateway:\n  server_name: %q\n  cert: %q\n  key: /k.pem\n  prefix: %q\n  upstream: a\n  roles: {dev: [messages]}\n", name, path, prefix)
	}
	plain := must(planOf(src("ai.example.com", "/api/", "/c.pem"), node("a", "https://a.example/x")))(f)
	main, keys := plain.main(), plain.keys()
	f.Fuzz(func(t *testing.T, s string) {
		for i, try := range []string{src(s, "/api/", "/c.pem"), src("ai.example.com", "/"+s+"/", "/c.pem"), src("ai.example.com", "/api/", "/"+s)} {
			if p, err := planOf(try, node("a", "https://a.example/x")); err == nil && shape(t, p.main()) != shape(t, main) {
				t.Errorf("value %d %q changes more than itself", i, s)
			}
		}
		for i, url := range []string{"https://" + s, "https://a.example/" + s} {
			if p, err := planOf(src("ai.example.com", "/api/", "/c.pem"), node("a", url)); err == nil && shape(t, p.main()) != shape(t, main) {
				t.Errorf("address %d %q changes more than itself", i, s)
			}
		}
		for i := range len(s) { // guard.Secret accepts nothing else
			if s[i] <= ' ' || s[i] > '~' {
				return
			}
		}
		keyed := node("a", "https://a.example/x")
		keyed.Headers = []Header{{"x-api-key", s}}
		p, err := planOf(src("ai.example.com", "/api/", "/c.pem"), keyed)
		if err != nil {
			return // too long
		}
		if shape(t, p.keys()) != shape(t, keys) {
			t.Fatalf("the key %q changes more than itself:\n%s", s, p.keys())
		}
		directives, _ := words(string(p.keys()))
		if last := directives[len(directives)-1]; last[2] != s {
			t.Errorf("the key %q arrives as %q", s, last[2])
		}
	})
}

// hasModes reports whether files have modes. On Windows, TestPrivateFiles of pkg/state checks who may use ferry's
// files.
const hasModes = runtime.GOOS != "windows"

func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a folder")
	store := Store{Path: filepath.Join(filepath.Dir(dir), "tokens.conf")}
	files := &Files{Main: []byte(Mark + "main\n"), Keys: []byte(Mark + "keys\n")}
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err.Error()
		}
		return string(data)
	}
	mkdir := "mkdir -p '" + dir + "'"
	if runtime.GOOS == "windows" {
		mkdir = `mkdir "` + dir + `"`
	}
	if _, err := files.Write(t.Context(), filepath.Join(dir, "deeper"), store); !errors.Is(err, fs.ErrNotExist) ||
		text.Hint(err) != mkdir+" if the path is right" {
		t.Errorf("below a folder that is missing: got %v, want that there is none, with a hint", err)
	}
	created, err := files.Write(t.Context(), dir, store)
	if check(t, err); !created {
		t.Error("the folder was made, and Write does not say so")
	}
	for name, perm := range map[string]os.FileMode{filepath.Join(dir, MainFile): 0o644, filepath.Join(dir, KeysFile): 0o600, store.Path: 0o600} {
		if info, err := os.Stat(name); err != nil || hasModes && info.Mode().Perm() != perm {
			t.Errorf("%s: %v, %v, want mode %04o", name, info, err, perm)
		}
	}
	again := &Files{Main: []byte(Mark + "second\n"), Keys: []byte(Mark + "second keys\n")}
	if created, err := again.Write(t.Context(), dir, store); err != nil || created || read(MainFile) != Mark+"second\n" {
		t.Errorf("a second time: made %t, %v, %s", created, err, read(MainFile))
	}

	// A file that is too large to restore is not replaced.
	large := []byte(Mark + strings.Repeat("#", state.MaxSize))
	for _, name := range []string{KeysFile, MainFile} {
		path := filepath.Join(dir, name)
		old := read(name)
		check(t, os.WriteFile(path, large, 0o600))
		want := path + ": is larger than 1 MiB, and is not replaced"
		if _, err := again.Write(t.Context(), dir, store); err == nil || err.Error() != want || text.Hint(err) == "" {
			t.Errorf("a large file: got %v, want %s", err, want)
		}
		if read(name) != string(large) {
			t.Errorf("%s was replaced", name)
		}
		check(t, os.WriteFile(path, []byte(old), 0o600))
	}

	// A file that ferry did not write, or a link, stops the complete write.
	for _, spoil := range []func(string) error{
		func(path string) error { return os.WriteFile(path, []byte("user www-data;\n"), 0o644) },
		func(path string) error {
			_ = os.Symlink("elsewhere", path)
			if _, err := os.Readlink(path); err != nil { // on Windows not every user can create a link
				return os.WriteFile(path, nil, 0o600)
			}
			return nil
		},
		func(path string) error { return os.Mkdir(path, 0o755) },
	} {
		path := filepath.Join(dir, MainFile)
		check(t, errors.Join(os.Remove(path), spoil(path)))
		want := path + ": was not written by ferry, and is not replaced"
		if _, err := files.Write(t.Context(), dir, store); err == nil || err.Error() != want || text.Hint(err) == "" {
			t.Errorf("a file of another program: got %v, want %s", err, want)
		}
		if read(KeysFile) != Mark+"second keys\n" {
			t.Errorf("the keys were written all the same: %s", read(KeysFile))
		}
	}
}

// A failure halfway restores the previous files.
func TestWriteAllOrNothing(t *testing.T) {
	keys := filepath.Join(t.TempDir(), KeysFile)
	for _, old := range [][]byte{nil, []byte(Mark + "old")} {
		if old != nil {
			check(t, os.WriteFile(keys, old, 0o600))
		}
		if err := (&Files{Keys: []byte("new")}).replace(keys, filepath.Join(keys, "missing", MainFile), old, 0o600); err == nil {
			t.Fatal("no error")
		}
		if data, err := os.ReadFile(keys); string(data) != string(old) || (err == nil) != (old != nil) {
			t.Errorf("the keys are now %q, %v; they were %q", data, err, old)
		}
	}
}

// check ends the test at an error, and must returns the value of a call that must not fail.
func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		check(t, err)
		return value
	}
}

// certify writes a certificate for a name and its key, as NAME.pem and NAME.key.
func certify(t *testing.T, dir, name string) {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
	certificate := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))(t)
	private := must(x509.MarshalPKCS8PrivateKey(key))(t)
	for end, block := range map[string]*pem.Block{".pem": {Type: "CERTIFICATE", Bytes: certificate}, ".key": {Type: "PRIVATE KEY", Bytes: private}} {
		check(t, os.WriteFile(filepath.Join(dir, name+end), pem.EncodeToMemory(block), 0o600))
	}
}

// generate generates the files of a gateway: section whose paths are in dir.
func generate(t *testing.T, dir, section string, nodes ...Node) (*Files, error) {
	t.Helper()
	file := must(config.Parse(filepath.Join(dir, "config.yaml"), []byte(section)))(t)
	g := must(file.Gateway(nil))(t)
	return Generate(g, nodes)
}

// TestGenerate checks that two nodes have separate shares, names, paths and keys. A key that only one of them needs is
// empty for the other.
func TestGenerate(t *testing.T) {
	dir := t.TempDir()
	certify(t, dir, "ai.example.com")
	section := fmt.Sprintf("gateway:\n  server_name: ai.example.com\n  cert: %[1]s/ai.example.com.pem\n  key: %[1]s/ai.example.com.key\n"+
		"  upstream: [a, b, c]\n  rate: 5/s\n  temp: /var/tmp/gate\n  roles: {dev: [messages]}\n", filepath.ToSlash(dir))
	a, b, c := node("a", "https://a.example/api"), node("b", "https://b.example:8443"), node("c", "https://c.example/")
	b.Headers = append(b.Headers, Header{"X-Gate", `o"pen$x`})
	for _, n := range []*Node{&a, &b, &c} {
		n.TLS.Min = "1.2"
	}
	files := must(generate(t, dir, section, a, b, c))(t)
	directives := must(words(string(files.Main)))(t)
	for _, want := range []string{
		"2 33.33% ferry_upstream_2", "2 33.33% ferry_upstream_3", "2 * ferry_upstream_1",
		"2 ferry_upstream_1 a.example", "2 ferry_upstream_2 b.example:8443", "2 ferry_upstream_3 c.example",
		"2 ferry_upstream_1 /api", "2 ferry_upstream_2 ",
		"2 ferry_upstream_1 $ferry_secret_1_1", "2 ferry_upstream_2 $ferry_secret_2_1", "2 ferry_upstream_2 $ferry_secret_2_2", "2 ferry_upstream_1 ", "2 ferry_upstream_3 ",
		"1 client_body_temp_path /var/tmp/gate/client_body",
	} {
		if !slices.ContainsFunc(directives, func(d []string) bool { return strings.Join(d, " ") == want }) {
			t.Errorf("no directive %q", want)
		}
	}
	for _, want := range []string{"rate=5r/s", "200 ms", "TLSv1.2 TLSv1.3;"} {
		if !strings.Contains(string(files.Main), want) {
			t.Errorf("no %q", want)
		}
	}
	keys := must(words(string(files.Keys)))(t)
	if !slices.ContainsFunc(keys, func(d []string) bool { return slices.Equal(d, []string{"1", "default", `o"pen$x`}) }) {
		t.Errorf("the second key of b is not in\n%s", files.Keys)
	}
	if strings.Contains(string(files.Main), "pen$x") {
		t.Error("a key stands in the public file")
	}
}

// The comment on the rate is right for every rate that can be set.
func TestSlot(t *testing.T) {
	for rate, want := range map[string]string{
		"1/min": "60 s", "60/min": "1 s", "50/min": "1200 ms", "7/s": "142 ms", "100/s": "10 ms", "700/s": "1.428 ms", "1000/s": "1 ms",
		"2000/s": "0.5 ms", "1000000/s": "0.001 ms",
	} {
		p := must(planOf(strings.Replace(whole, "gateway:\n", "gateway:\n  rate: "+rate+"\n", 1), node("a", "https://a.example")))(t)
		if got := p.slot(); got != want {
			t.Errorf("%s: one every %s, want %s", rate, got, want)
		}
	}
}

// TestGenerateCertificate tests problems that would otherwise appear only in nginx or at the first caller.
func TestGenerateCertificate(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"ai.example.com", "other.example.com"} {
		certify(t, dir, name)
	}
	for _, test := range []struct{ cert, key, want string }{
		{"missing.pem", "ai.example.com.key", "config.yaml:3:9: gateway.cert: names a file that cannot be read: "},
		{"ai.example.com.pem", "missing.key", "config.yaml:4:8: gateway.key: names a file that cannot be read: "},
		{"ai.example.com.pem", "other.example.com.key", "config.yaml:3:9: gateway.cert: does not work with the key: "},
		{"ai.example.com.key", "ai.example.com.key", "config.yaml:3:9: gateway.cert: does not work with the key: "},
		{"other.example.com.pem", "other.example.com.key", "config.yaml:3:9: gateway.cert: is not a certificate for ai.example.com"},
	} {
		section := fmt.Sprintf("gateway:\n  server_name: ai.example.com\n  cert: %s\n  key: %s\n  upstream: a\n  roles: {dev: [messages]}\n", test.cert, test.key)
		files, err := generate(t, dir, section, node("a", "https://a.example"))
		var fault *config.Error
		if files != nil || !errors.As(err, &fault) || !strings.HasPrefix(err.Error(), filepath.Join(dir, test.want)) {
			t.Errorf("%s and %s: %v, want %s", test.cert, test.key, err, test.want)
		}
		if fault != nil && strings.Contains(err.Error(), "open "+dir) {
			t.Errorf("says the path twice: %v", err)
		}
	}
}

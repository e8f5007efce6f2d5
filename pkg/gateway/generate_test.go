package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ferry/pkg/config"
)

// certify writes a certificate of a name and its key, as NAME.pem and NAME.key.
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

// generate makes the files of a section gateway:, whose paths are in dir.
func generate(t *testing.T, dir, section string, nodes ...Node) (*Files, error) {
	t.Helper()
	file := must(config.Parse(filepath.Join(dir, "config.yaml"), []byte(section)))(t)
	g := must(file.Gateway(nil))(t)
	return Generate(g, nodes)
}

// TestGenerate holds two nodes to have all that is theirs apart: the share, the name, the path and the key; a key that
// only one of them wants is nothing for the other.
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

// TestGenerateCertificate finds out now what nginx, or the first caller, would find out later.
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
		{"other.example.com.pem", "other.example.com.key", "config.yaml:3:9: gateway.cert: is no certificate of ai.example.com"},
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

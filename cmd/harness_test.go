package cmd_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"flag"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ferry/cmd"
	"ferry/pkg/demo"
)

// check ends the test where something that has to work for it did not.
func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// long skips a test that takes long, where the short ones alone are wanted.
func long(t *testing.T, why string) {
	t.Helper()
	if testing.Short() {
		t.Skip("long: " + why)
	}
}

// write makes a private file.
func write(t *testing.T, path, text string) {
	t.Helper()
	check(t, os.WriteFile(path, []byte(text), 0o600))
}

// update rewrites the golden files: go test ./cmd -run Golden -update.
var update = flag.Bool("update", false, "rewrite the golden files")

// helpPages are the pages that ferry can print about itself, by the name of their golden file.
var helpPages = map[string][]string{
	"ferry":        {"--help"},
	"ask":          {"ask", "--help"},
	"stream":       {"stream", "--help"},
	"bench":        {"bench", "--help"},
	"bench-report": {"bench", "report", "--help"},
	"demo":         {"demo", "--help"},
	"version":      {"version", "--help"},
	"config":       {"config", "--help"},
	"config-init":  {"config", "init", "--help"},
	"config-list":  {"config", "list", "--help"},
	"config-get":   {"config", "get", "--help"},
	"config-set":   {"config", "set", "--help"},
	"config-unset": {"config", "unset", "--help"},
	"config-path":  {"config", "path", "--help"},
	"config-nodes": {"config", "nodes", "--help"},
	"config-check": {"config", "check", "--help"},
	"config-key":   {"config", "key", "--help"},

	"config-pin": {"config", "pin", "--help"},

	"config-session":       {"config", "session", "--help"},
	"config-session-list":  {"config", "session", "list", "--help"},
	"config-session-show":  {"config", "session", "show", "--help"},
	"config-session-rm":    {"config", "session", "rm", "--help"},
	"config-session-prune": {"config", "session", "prune", "--help"},
	"config-hold":          {"config", "hold", "--help"},
	"config-hold-stop":     {"config", "hold", "stop", "--help"},
	"config-usage":         {"config", "usage", "--help"},
	"config-purge":         {"config", "purge", "--help"},

	"config-nginx":        {"config", "nginx", "--help"},
	"config-token":        {"config", "token", "--help"},
	"config-token-new":    {"config", "token", "new", "--help"},
	"config-token-list":   {"config", "token", "list", "--help"},
	"config-token-revoke": {"config", "token", "revoke", "--help"},

	"topic-batch":       {"help", "batch"},
	"topic-hold":        {"help", "hold"},
	"topic-environment": {"help", "environment"},
	"topic-exit-codes":  {"help", "exit-codes"},
	"topic-failover":    {"help", "failover"},
	"topic-filter":      {"help", "filter"},
	"topic-gateway":     {"help", "gateway"},
	"topic-limits":      {"help", "limits"},
	"topic-measuring":   {"help", "measuring"},
	"topic-retries":     {"help", "retries"},
	"topic-storage":     {"help", "storage"},
}

// TestGoldenHelp holds each help page to its golden file, and to a width that suits a wide terminal.
func TestGoldenHelp(t *testing.T) {
	for name, args := range helpPages {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := run(t, nil, args...)
			if code != 0 || stderr != "" {
				t.Fatalf("exit code %d, stderr %q", code, stderr)
			}
			for _, line := range strings.Split(stdout, "\n") {
				if len([]rune(line)) > 120 {
					t.Errorf("%d columns: %s", len([]rune(line)), line)
				}
			}
			golden(t, filepath.Join("..", "testdata", "golden", "help", name+".txt"), stdout)
		})
	}
}

// golden compares got with a file.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		check(t, os.MkdirAll(filepath.Dir(path), 0o755))
		check(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	check(t, err)
	if got != string(want) {
		t.Errorf("%s is not current (go test ./cmd -run Golden -update); got:\n%s", path, got)
	}
}

// run runs the whole program in this process, with nothing on standard input and no environment but env.
func run(t *testing.T, env map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = cmd.Run(context.Background(), args, testEnv(env, &out, &errs))
	return code, out.String(), errs.String()
}

// testEnv is an environment of a test's own, in which waiting takes no time.
func testEnv(env map[string]string, out, errs *bytes.Buffer) cmd.Env {
	e := cmd.SystemEnv()
	e.Stdin, e.Stdout, e.Stderr = strings.NewReader(""), out, errs
	e.Lookup = func(name string) (string, bool) { value, ok := env[name]; return value, ok }
	e.Clock = &storyClock{waits: os.DevNull}
	e.Random = func() float64 { return 0.5 }
	return e
}

// authority signs certificates for loopback.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // its own certificate
}

// newAuthority is signed by above, or by itself where that is nil.
func newAuthority(t *testing.T, name string, above *authority) *authority {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: newSerial(t), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().AddDate(1, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a := &authority{key: newECKey(t), file: filepath.Join(t.TempDir(), "ca.pem")}
	signer := above
	if signer == nil {
		signer = &authority{cert: template, key: a.key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer.cert, &a.key.PublicKey, signer.key)
	check(t, err)
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	writePEM(t, a.file, "CERTIFICATE", der)
	return a
}

func newECKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	return key
}

func newSerial(t *testing.T) *big.Int {
	t.Helper()
	n, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	check(t, err)
	return n
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	check(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

// issue signs a certificate; change makes it another one, and with come along behind it.
func (a *authority) issue(t *testing.T, change func(*x509.Certificate), with ...*authority) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: newSerial(t), Subject: pkix.Name{CommonName: "node"}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	if change != nil {
		change(template)
	}
	key := newECKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	check(t, err)
	pair := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	for _, above := range with {
		pair.Certificate = append(pair.Certificate, above.cert.Raw)
	}
	return pair
}

// files writes a certificate and its key.
func files(t *testing.T, pair tls.Certificate) (cert, key string) {
	t.Helper()
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePEM(t, cert, "CERTIFICATE", pair.Certificate[0])
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	check(t, err)
	writePEM(t, key, "PRIVATE KEY", der)
	return cert, key
}

// pinned is the pin of a certificate, worked out without ferry.
func pinned(t *testing.T, der []byte) string {
	t.Helper()
	cert, err := x509.ParseCertificate(der)
	check(t, err)
	public, err := x509.MarshalPKIXPublicKey(cert.PublicKey)
	check(t, err)
	hash := sha256.Sum256(public)
	return "sha256//" + base64.StdEncoding.EncodeToString(hash[:])
}

// tlsNode is the demo node behind TLS. It counts connections, and the bytes that came out of handshakes that stood.
type tlsNode struct {
	url, host   string
	connections atomic.Int64
	bytes       atomic.Int64
}

func newTLSNode(t *testing.T, config *tls.Config) *tlsNode {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	host := listener.Addr().String()
	n := &tlsNode{url: "https://" + host, host: host}
	node := demo.New(demo.Options{})
	server := &http.Server{Handler: node, ErrorLog: log.New(io.Discard, "", 0)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(&countedListener{listener, n, config})
	}()
	t.Cleanup(func() { server.Close(); <-ended; _ = node.Close() })
	return n
}

type countedListener struct {
	net.Listener
	node   *tlsNode
	config *tls.Config
}

func (l *countedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.node.connections.Add(1)
	return &countedConn{tls.Server(conn, l.config), l.node}, nil
}

type countedConn struct {
	*tls.Conn
	node *tlsNode
}

func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.node.bytes.Add(int64(n))
	return n, err
}

// connectProxy carries CONNECT alone; it speaks TLS itself where it has a configuration. It gives its address.
func connectProxy(t *testing.T, config *tls.Config) (url string, connects *atomic.Int64) {
	t.Helper()
	return leadingProxy(t, config, func(host string) string { return host })
}

// leadingProxy is a connectProxy that goes where it is led instead of to the host that it was asked for.
func leadingProxy(t *testing.T, config *tls.Config, lead func(host string) string) (url string, connects *atomic.Int64) {
	t.Helper()
	connects = new(atomic.Int64)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connects.Add(1)
		far, err := net.Dial("tcp", lead(r.Host))
		if err != nil || r.Method != http.MethodConnect {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		near, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			far.Close()
			return
		}
		_, _ = io.WriteString(near, "HTTP/1.1 200 OK\r\n\r\n")
		ends := make(chan struct{}, 2)
		for _, way := range [][]net.Conn{{near, far}, {far, near}} {
			go func() { _, _ = io.Copy(way[0], way[1]); ends <- struct{}{} }()
		}
		<-ends
		near.Close()
		far.Close()
		<-ends
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	if server.TLS = config; config == nil {
		server.Start()
	} else {
		server.StartTLS()
	}
	t.Cleanup(server.Close)
	return server.URL, connects
}

// pool holds the authorities that a server believes.
func pool(all ...*authority) *x509.CertPool {
	p := x509.NewCertPool()
	for _, a := range all {
		p.AddCert(a.cert)
	}
	return p
}

// certify writes a certificate for one name alone, and its key.
func certify(t *testing.T, by *authority, name string) (cert, key string) {
	t.Helper()
	return files(t, by.issue(t, func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{name}, nil }))
}

// countedNode is the demo node at an address of this machine. It counts connections and requests.
func countedNode(t *testing.T, at string) (port string, connections, requests *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(at, "0"))
	check(t, err)
	connections, requests = new(atomic.Int64), new(atomic.Int64)
	node := demo.New(demo.Options{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		node.ServeHTTP(w, r)
	}))
	server.Listener.Close()
	server.Listener = listener
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(func() { server.Close(); _ = node.Close() })
	_, port, err = net.SplitHostPort(listener.Addr().String())
	check(t, err)
	return port, connections, requests
}

// TestAttemptsShareAConnection holds a later attempt to the connection of the one before, but for one after a 5xx.
func TestAttemptsShareAConnection(t *testing.T) {
	for _, verb := range []string{"ask", "stream"} {
		port, connections, requests := countedNode(t, "127.0.0.1")
		var out, errs bytes.Buffer
		code := cmd.Run(t.Context(), []string{verb, "--no-stdin", "-n", "http://127.0.0.1:" + port + "?status=429,503,200", "hi"},
			testEnv(map[string]string{"FERRY_KEY": "any"}, &out, &errs))
		if code != 0 || requests.Load() != 3 || connections.Load() != 2 {
			t.Errorf("%s: exit code %d, %d requests on %d connections, want 3 on 2; %s",
				verb, code, requests.Load(), connections.Load(), &errs)
		}
	}
}

// TestNameOfTwoAddresses listens on one address of localhost at a time: where the name has more of them, the ones that
// refuse are passed over.
func TestNameOfTwoAddresses(t *testing.T) {
	all, err := net.LookupHost("localhost")
	check(t, err)
	t.Logf("localhost is %s", all)
	for _, at := range all {
		port, _, requests := countedNode(t, at)
		var out, errs bytes.Buffer
		code := cmd.Run(t.Context(), []string{"ask", "--no-stdin", "-n", "http://localhost:" + port, "hi"},
			testEnv(map[string]string{"FERRY_KEY": "any"}, &out, &errs))
		if code != 0 || requests.Load() != 1 {
			t.Errorf("%s alone: exit code %d, %d requests, want 0 and 1; %s", at, code, requests.Load(), &errs)
		}
	}
}

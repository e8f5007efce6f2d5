package transport

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// inScratch is an environment variable that makes this binary run as in a container without certificates.
const inScratch = "FERRY_TEST_IN_SCRATCH"

// systemCA is the only authority that this process trusts as the system's. A proxy's certificate is verified against
// the system's authorities, so this allows https proxies on loopback.
var systemCA *authority

func TestMain(m *testing.M) {
	os.Exit(func() int {
		if os.Getenv(inScratch) != "" {
			return m.Run()
		}
		dir, err := os.MkdirTemp("", "ferry-transport")
		must(err)
		defer os.RemoveAll(dir)
		systemCA = newAuthority(dir, yesterday(), nextYear())
		// crypto/x509 reads these once, when the roots are first used.
		os.Setenv("SSL_CERT_FILE", systemCA.file)
		os.Setenv("SSL_CERT_DIR", filepath.Join(dir, "none"))
		return m.Run()
	}())
}

// needsSystemCA skips a test that needs systemCA if the platform does not use it.
func needsSystemCA(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		t.Skip("the platform verifies certificates here, and cannot be given an authority by a test")
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// errorIf reports an error if wrong is true.
func errorIf(t *testing.T, wrong bool, format string, args ...any) {
	t.Helper()
	if wrong {
		t.Errorf(format, args...)
	}
}

// fatalIf fails and ends the test if wrong is true.
func fatalIf(t *testing.T, wrong bool, format string, args ...any) {
	t.Helper()
	if wrong {
		t.Fatalf(format, args...)
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// request returns a request with a prompt to a target.
func request(t *testing.T, target string, prompt io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, prompt)
	check(t, err)
	return r
}

// roundTrip sends a request and reads the response.
func roundTrip(rt http.RoundTripper, r *http.Request) (resp *http.Response, answer string, err error) {
	if resp, err = rt.RoundTrip(r); err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp, string(text), err
}

// expectAnswer sends a prompt and expects an answer that contains want.
func expectAnswer(t *testing.T, o Options, want string) {
	t.Helper()
	_, text, err := post(t, o)
	errorIf(t, err != nil || !strings.Contains(text, want), "got %q, %v, want %q", text, err, want)
}

func closeIdle(rt http.RoundTripper) { rt.(interface{ CloseIdleConnections() }).CloseIdleConnections() }

// gotNothing checks that the server received no bytes.
func (s *sink) gotNothing(t *testing.T) {
	t.Helper()
	n := s.received.Load()
	errorIf(t, n != 0, "%s was sent %d bytes, want none", s.address, n)
}

func yesterday() time.Time { return time.Now().Add(-24 * time.Hour) }
func nextYear() time.Time  { return time.Now().Add(365 * 24 * time.Hour) }

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	// dir is where files are written, file the authority's own certificate.
	dir, file string
}

var serial atomic.Int64

func newAuthority(dir string, from, to time.Time) *authority {
	root := signAuthority(nil, from, to)
	root.dir, root.file = dir, filepath.Join(dir, fmt.Sprintf("ca-%d.pem", serial.Add(1)))
	writePEM(root.file, "CERTIFICATE", root.cert.Raw)
	return root
}

// signAuthority returns an authority that above signs, or that signs itself if above is nil.
func signAuthority(above *authority, from, to time.Time) *authority {
	below := &authority{key: newKey()}
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: fmt.Sprint("authority ", serial.Add(1))},
		NotBefore: from, NotAfter: to, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	parent, signer := template, below.key
	if above != nil {
		parent, signer, below.dir, below.file = above.cert, above.key, above.dir, above.file
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &below.key.PublicKey, signer)
	must(err)
	below.cert, err = x509.ParseCertificate(der)
	must(err)
	return below
}

func privateCA(t *testing.T) *authority {
	t.Helper()
	return newAuthority(t.TempDir(), yesterday(), nextYear())
}

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	return key
}

func writePEM(path, kind string, der []byte) {
	must(os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

// issue signs a certificate for loopback; change modifies it first.
func (a *authority) issue(change func(*x509.Certificate)) tls.Certificate {
	key := newKey()
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: "node"},
		NotBefore: yesterday(), NotAfter: nextYear(),
		DNSNames: []string{"localhost", "node.test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		KeyUsage:    x509.KeyUsageDigitalSignature,
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	must(err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// files writes a certificate and its key to files.
func (a *authority) files(pair tls.Certificate) (cert, key string) {
	n := serial.Add(1)
	cert, key = filepath.Join(a.dir, fmt.Sprintf("cert-%d.pem", n)), filepath.Join(a.dir, fmt.Sprintf("key-%d.pem", n))
	writePEM(cert, "CERTIFICATE", pair.Certificate[0])
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	must(err)
	writePEM(key, "PRIVATE KEY", der)
	return cert, key
}

// config returns a server configuration with a certificate for loopback.
func (a *authority) config() *tls.Config {
	return serving(a.issue(nil))
}

// asks is config for a server that asks for a client certificate of the authority.
func (a *authority) asks() *tls.Config {
	config := a.config()
	config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, a.pool()
	return config
}

func serving(cert tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{cert}}
}

// upTo limits the version of a server's configuration.
func upTo(max uint16, config *tls.Config) *tls.Config {
	config.MaxVersion = max
	return config
}

// node returns options for a node with a certificate of the authority.
func (a *authority) node(t *testing.T, address string) Options {
	t.Helper()
	return Options{Target: mustURL(t, "https://"+address), TLS: TLS{CA: a.file}}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// start starts a server, over TLS if config is not nil.
func start(t *testing.T, handle http.HandlerFunc, config *tls.Config) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(handle)
	s.Config.ErrorLog = quiet
	if config == nil {
		s.Start()
	} else {
		s.TLS = config
		s.StartTLS()
	}
	t.Cleanup(s.Close)
	return s
}

// serve starts a plain http server, and returns options for it.
func serve(t *testing.T, handle http.HandlerFunc) (Options, *httptest.Server) {
	t.Helper()
	s := start(t, handle, nil)
	return Options{Target: mustURL(t, s.URL), ConnectTimeout: time.Minute}, s
}

// tlsServer returns a TLS server that answers with the TLS version, the host and the body of the request.
func tlsServer(t *testing.T, config *tls.Config) *httptest.Server {
	t.Helper()
	return start(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s", tls.VersionName(r.TLS.Version), r.Host, body)
	}, config)
}

// sink is a server that counts the bytes it receives after it has accepted the client.
type sink struct {
	address  string
	received atomic.Int64
	ended    sync.WaitGroup
}

// newSink runs serve on each connection. serve returns the reader whose bytes are counted, nil for none.
func newSink(t *testing.T, serve func(net.Conn) io.Reader) *sink {
	t.Helper()
	l := listen(t)
	s := &sink{address: l.Addr().String()}
	s.ended.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.ended.Go(func() {
				defer conn.Close()
				if from := serve(conn); from != nil {
					n, _ := io.Copy(io.Discard, from)
					s.received.Add(n)
					return
				}
				// Closing with unread bytes is a reset, which can lose the response at a client on Windows.
				_ = conn.(*net.TCPConn).CloseWrite()
				_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
				_, _ = io.Copy(io.Discard, conn)
			})
		}
	})
	t.Cleanup(func() { l.Close(); s.ended.Wait() })
	return s
}

// scripted returns the address of a server that follows steps on each connection: a number is how many bytes it reads,
// a text is what it writes.
func scripted(t *testing.T, steps ...any) string {
	t.Helper()
	return newSink(t, func(conn net.Conn) io.Reader {
		for _, step := range steps {
			switch step := step.(type) {
			case int:
				_, _ = io.ReadFull(conn, make([]byte, step))
			case string:
				_, _ = io.WriteString(conn, step)
			}
		}
		return nil
	}).address
}

// requests reads the requests of a connection with their bodies.
func requests(conn io.Reader) iter.Seq2[*http.Request, string] {
	return func(yield func(*http.Request, string) bool) {
		for in := bufio.NewReader(conn); ; {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			body, _ := io.ReadAll(r.Body)
			if !yield(r, string(body)) {
				return
			}
		}
	}
}

// tlsSink counts the bytes after the TLS handshake.
func tlsSink(t *testing.T, config *tls.Config) *sink {
	t.Helper()
	return newSink(t, func(conn net.Conn) io.Reader { return tls.Server(conn, config) })
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

func mustURL(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	check(t, err)
	return u
}

// build returns a transport and closes its connections when the test ends.
func build(t *testing.T, o Options) *Transport {
	t.Helper()
	rt, err := New(o)
	check(t, err)
	t.Cleanup(func() { closeIdle(rt) })
	return rt
}

// post sends a prompt and returns the response.
func post(t *testing.T, o Options) (*http.Response, string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // a sink that accepts the request never answers
	defer cancel()
	return roundTrip(build(t, o), request(t, o.Target.String(), body("the prompt")).WithContext(ctx))
}

// connectProxy is a small proxy for CONNECT and plain requests. It requires a password if auth is not "".
type connectProxy struct {
	auth string

	mu       sync.Mutex
	requests []string
	header   []http.Header
}

func (p *connectProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.requests = append(p.requests, r.Method+" "+r.RequestURI)
	p.header = append(p.header, r.Header.Clone())
	p.mu.Unlock()
	if p.auth != "" && r.Header.Get("Proxy-Authorization") != p.auth {
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	if r.Method != http.MethodConnect {
		(&httputil.ReverseProxy{Rewrite: func(*httputil.ProxyRequest) {}}).ServeHTTP(w, r)
		return
	}
	far, err := net.Dial("tcp", r.Host)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	near, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		far.Close()
		return
	}
	_, _ = io.WriteString(near, "HTTP/1.1 200 OK\r\n\r\n")
	splice(near, far)
}

// splice copies bytes in both directions until one side ends.
func splice(a, b net.Conn) {
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			a.Close()
			b.Close()
		})
	}
	both.Wait()
}

func (p *connectProxy) seen() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests
}

func startProxy(t *testing.T, p *connectProxy, config *tls.Config) *url.URL {
	t.Helper()
	return mustURL(t, start(t, p.ServeHTTP, config).URL)
}

// basic is "user:hunter2" in the encoding of RFC 7617.
const basic = "Basic dXNlcjpodW50ZXIy"

// closedAddress returns an address on which nothing listens.
func closedAddress(t *testing.T) string {
	l := listen(t)
	l.Close()
	return l.Addr().String()
}

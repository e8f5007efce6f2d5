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
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ferry/pkg/demo"
)

func quietLog() *log.Logger { return log.New(io.Discard, "", 0) }

// server is a server on loopback that records the requests it gets.
type server struct {
	*httptest.Server
	host                string
	connections, active atomic.Int64 // active counts connections on which, after a handshake, at least a byte of a request arrived
	mu                  sync.Mutex
	seen                []recordedRequest
	arrives             func(recordedRequest) // called for each request; nil for none
}

// recordedRequest is a request as it arrived.
type recordedRequest struct {
	*http.Request
	body string
	at   time.Time
}

// head returns the first line and the host of a request.
func (r recordedRequest) head() string {
	return r.Method + " " + r.RequestURI + " " + r.Proto + " " + r.Host
}

// serve runs a handler until the test ends, the demo node if it is nil. The functions in how change the server before
// it starts.
func serve(t testing.TB, handler http.Handler, how ...func(*server)) *server {
	if handler == nil {
		handler = demoNode(t)
	}
	s := &server{}
	s.begin(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		arrived := recordedRequest{r.Clone(context.Background()), string(body), time.Now()}
		s.mu.Lock()
		s.seen = append(s.seen, arrived)
		s.mu.Unlock()
		if s.arrives != nil {
			s.arrives(arrived)
		}
		handler.ServeHTTP(w, r)
	}), how...)
	return s
}

// serveUnread is like serve for a handler that reads its requests itself. The server only counts connections.
func serveUnread(t testing.TB, handler http.HandlerFunc, how ...func(*server)) *server {
	s := &server{}
	s.begin(t, handler, how...)
	return s
}

func (s *server) begin(t testing.TB, handler http.HandlerFunc, how ...func(*server)) {
	s.Server = httptest.NewUnstartedServer(handler)
	s.Config.ErrorLog = quietLog()
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			s.connections.Add(1)
		case http.StateActive:
			s.active.Add(1)
		}
	}
	for _, change := range how {
		change(s)
	}
	s.host = s.Listener.Addr().String()
	if s.TLS == nil {
		s.Start()
	} else {
		s.StartTLS()
	}
	t.Cleanup(s.Close)
}

// overTLS makes a server use TLS.
func overTLS(certificate tls.Certificate) func(*server) {
	return withTLS(&tls.Config{Certificates: []tls.Certificate{certificate}})
}

func withTLS(config *tls.Config) func(*server) { return func(s *server) { s.TLS = config } }

// listeningAt makes a server listen at another address.
func listeningAt(t testing.TB, address string) func(*server) {
	return func(s *server) {
		s.Listener.Close()
		var err error
		s.Listener, err = net.Listen("tcp", address)
		check(t, err)
	}
}

// sieve is a listener without the connections that takes takes.
type sieve struct {
	net.Listener
	takes func(net.Conn) bool
}

func (l sieve) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil || !l.takes(conn) {
			return conn, err
		}
	}
}

// respondWith returns a handler that gives every request the same answer.
func respondWith(status int, mime, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if mime != "" {
			w.Header().Set("Content-Type", mime)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// stallingServer answers nothing until the test ends.
func stallingServer(t testing.TB) *server {
	return serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-t.Context().Done():
		}
	}))
}

// demoNode returns a demo node that lives until the test ends.
func demoNode(t testing.TB) *demo.Node {
	node := demo.New(demo.Options{})
	t.Cleanup(func() { _ = node.Close() })
	return node
}

// requests returns all requests so far.
func (s *server) requests() []recordedRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

func (s *server) count() int { return len(s.requests()) }

func (s *server) last() recordedRequest { all := s.requests(); return all[len(all)-1] }

// newRequests returns the requests since its last call.
func (s *server) newRequests() []recordedRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.seen
	s.seen = nil
	return seen
}

func (s *server) port() string { return s.host[strings.LastIndexByte(s.host, ':')+1:] }

// connectProxy runs a CONNECT proxy, over TLS if config is not nil. If lead is given, it connects to that address
// instead.
func connectProxy(t testing.TB, config *tls.Config, lead ...string) *server {
	return serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		far, err := net.Dial("tcp", append(lead, r.Host)[0])
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
	}), withTLS(config))
}

func freePort(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// authority signs certificates for loopback.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // its own certificate
}

// newAuthority returns an authority signed by above, or by itself if above is nil. With hosts it can be a server
// itself.
func newAuthority(t testing.TB, name string, above *authority, hosts ...string) *authority {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: hosts, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	a := &authority{file: filepath.Join(t.TempDir(), "ca.pem")}
	a.cert, a.key = sign(t, template, above)
	writePEM(t, a.file, "CERTIFICATE", a.cert.Raw)
	return a
}

// sign returns a certificate with a new key. It is signed by an authority, or by itself if there is none.
func sign(t testing.TB, template *x509.Certificate, by *authority) (*x509.Certificate, *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	if by == nil {
		by = &authority{cert: template, key: key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.cert, &key.PublicKey, by.key)
	check(t, err)
	cert, err := x509.ParseCertificate(der)
	check(t, err)
	return cert, key
}

func writePEM(t testing.TB, path, kind string, der []byte) {
	write(t, path, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
}

// issue signs a certificate. change can modify it first; the certificates of with are appended to the chain.
func (a *authority) issue(t testing.TB, change func(*x509.Certificate), with ...*authority) tls.Certificate {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "node"}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	if change != nil {
		change(template)
	}
	cert, key := sign(t, template, a)
	pair := tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
	for _, above := range with {
		pair.Certificate = append(pair.Certificate, above.cert.Raw)
	}
	return pair
}

// issueFor signs a certificate for these names only.
func (a *authority) issueFor(t testing.TB, names ...string) tls.Certificate {
	return a.issue(t, func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = names, nil })
}

// issueAt signs a certificate that is also for these addresses.
func (a *authority) issueAt(t testing.TB, addresses ...net.IP) tls.Certificate {
	return a.issue(t, func(c *x509.Certificate) { c.IPAddresses = append(c.IPAddresses, addresses...) })
}

// selfSigned returns the authority's certificate for use as a server's.
func (a *authority) selfSigned() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{a.cert.Raw}, PrivateKey: a.key}
}

// writeCertificate writes a certificate and its key to files.
func writeCertificate(t testing.TB, pair tls.Certificate) (cert, key string) {
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePEM(t, cert, "CERTIFICATE", pair.Certificate[0])
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	check(t, err)
	writePEM(t, key, "PRIVATE KEY", der)
	return cert, key
}

// pinOf returns the pin of a certificate, calculated without ferry.
func pinOf(t testing.TB, der []byte) string {
	cert, err := x509.ParseCertificate(der)
	check(t, err)
	hash := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return "sha256//" + base64.StdEncoding.EncodeToString(hash[:])
}

// certPool returns a pool of the authorities that a server trusts.
func certPool(all ...*authority) *x509.CertPool {
	p := x509.NewCertPool()
	for _, a := range all {
		p.AddCert(a.cert)
	}
	return p
}

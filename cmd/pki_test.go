package cmd_test

import (
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
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"ferry/pkg/demo"
)

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

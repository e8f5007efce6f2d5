package transport

import (
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
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// inScratch in the environment runs this binary as in a container without certificates.
const inScratch = "FERRY_TEST_IN_SCRATCH"

// systemCA is the authority that this process takes for the system's only one, so that a proxy, which is checked
// against the system's, can be had on loopback.
var systemCA *authority

func TestMain(m *testing.M) {
	os.Exit(func() int {
		if os.Getenv(inScratch) != "" {
			return m.Run()
		}
		dir, err := os.MkdirTemp("", "ferry-transport")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		systemCA = newAuthority(dir, yesterday(), nextYear())
		// crypto/x509 reads these once, when the first roots are asked for.
		os.Setenv("SSL_CERT_FILE", systemCA.file)
		os.Setenv("SSL_CERT_DIR", filepath.Join(dir, "none"))
		return m.Run()
	}())
}

// needsSystemCA skips what needs systemCA to be believed.
func needsSystemCA(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		t.Skip("the platform verifies certificates here, and cannot be given an authority by a test")
	}
}

func yesterday() time.Time { return time.Now().Add(-24 * time.Hour) }
func nextYear() time.Time  { return time.Now().Add(365 * 24 * time.Hour) }

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	// dir is for files, file the authority's own certificate.
	dir, file string
}

var serial atomic.Int64

func newAuthority(dir string, from, to time.Time) *authority {
	key := newKey()
	n := serial.Add(1)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(n), Subject: pkix.Name{CommonName: fmt.Sprint("authority ", n)},
		NotBefore: from, NotAfter: to, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	a := &authority{cert: cert, key: key, dir: dir, file: filepath.Join(dir, fmt.Sprintf("ca-%d.pem", n))}
	writePEM(a.file, "CERTIFICATE", der)
	return a
}

func privateCA(t *testing.T) *authority {
	t.Helper()
	return newAuthority(t.TempDir(), yesterday(), nextYear())
}

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

func writePEM(path, kind string, der []byte) {
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		panic(err)
	}
}

// issue signs a certificate for loopback; change makes it another one.
func (a *authority) issue(change func(*x509.Certificate)) tls.Certificate {
	return a.issueFor(newKey(), change)
}

func (a *authority) issueFor(key *ecdsa.PrivateKey, change func(*x509.Certificate)) tls.Certificate {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial.Add(1)), Subject: pkix.Name{CommonName: "node"},
		NotBefore: yesterday(), NotAfter: nextYear(),
		DNSNames: []string{"localhost", "node.test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		KeyUsage:    x509.KeyUsageDigitalSignature,
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// files writes a certificate and its key.
func (a *authority) files(pair tls.Certificate) (cert, key string) {
	n := serial.Add(1)
	cert, key = filepath.Join(a.dir, fmt.Sprintf("cert-%d.pem", n)), filepath.Join(a.dir, fmt.Sprintf("key-%d.pem", n))
	writePEM(cert, "CERTIFICATE", pair.Certificate[0])
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		panic(err)
	}
	writePEM(key, "PRIVATE KEY", der)
	return cert, key
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// tlsServer answers over TLS with the certificate, and says on what.
func tlsServer(t *testing.T, config *tls.Config) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s", tls.VersionName(r.TLS.Version), r.Host, body)
	}))
	s.Config.ErrorLog = quiet
	s.TLS = config
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// sink is a server that counts the bytes it is sent once it trusts the client as far as it asks to.
type sink struct {
	address  string
	received atomic.Int64
	ended    sync.WaitGroup
}

// newSink serves connections one way: serve turns a bare connection into what is read, nil for none.
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
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); s.ended.Wait() })
	return s
}

// tlsSink counts what comes behind the handshake.
func tlsSink(t *testing.T, config *tls.Config) *sink {
	t.Helper()
	return newSink(t, func(conn net.Conn) io.Reader { return tls.Server(conn, config) })
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func mustURL(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// build makes the transport of the options and closes its connections when the test ends.
func build(t *testing.T, o Options) http.RoundTripper {
	t.Helper()
	rt, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(rt.(interface{ CloseIdleConnections() }).CloseIdleConnections)
	return rt
}

// post sends a prompt to a target and returns what came back.
func post(t *testing.T, o Options) (*http.Response, string, error) {
	t.Helper()
	rt := build(t, o)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // a sink that was let in would never answer
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, o.Target.String(), body("the prompt"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := rt.RoundTrip(r)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp, string(text), err
}

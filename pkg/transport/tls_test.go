package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"ferry/pkg/guard"
	"ferry/pkg/text"
)

var quiet = log.New(io.Discard, "", 0)

func body(s string) io.Reader { return strings.NewReader(s) }

// TestGroups checks that a node is offered the configured key exchange groups, over TCP and over QUIC.
func TestGroups(t *testing.T) {
	ca := privateCA(t)
	hellos := make(chan []tls.CurveID, 8)
	config := ca.config()
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		hellos <- hello.SupportedCurves
		return nil, nil
	}
	target := tlsServer(t, config)
	quic := newQUICServer(t, config, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a response before the complete request would be an early one
	})
	for groups, want := range map[string][]tls.CurveID{
		"":                    {tls.X25519MLKEM768, tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521},
		"x25519":              {tls.X25519},
		"x25519mlkem768,p384": {tls.X25519MLKEM768, tls.CurveP384},
		"p256":                {tls.CurveP256},
	} {
		for address, mode := range map[string]HTTP3{target.URL: NoHTTP3, "https://" + quic.address: OnlyHTTP3} {
			_, _, err := post(t, Options{
				Target: mustURL(t, address), TLS: TLS{CA: ca.file, Groups: groups}, HTTP3: mode, ConnectTimeout: 10 * time.Second,
			})
			check(t, err)
			offered := <-hellos
			for _, id := range want {
				errorIf(t, !slices.Contains(offered, id), "groups %q: offered %v, want %v", groups, offered, want)
			}
			errorIf(t, groups != "" && len(offered) != len(want), "groups %q: offered %v, want %v", groups, offered, want)
		}
	}
}

func TestTLSAccepts(t *testing.T) {
	ca := privateCA(t)
	clientCert, clientKey := ca.files(ca.issue(nil))
	leaf := ca.issue(nil)
	tests := []struct {
		name    string
		server  *tls.Config
		client  TLS
		version string
	}{
		{"a private authority", &tls.Config{Certificates: []tls.Certificate{leaf}}, TLS{CA: ca.file}, "TLS 1.3"},
		{
			"the system's authorities", systemCA.config(),
			TLS{}, "TLS 1.3",
		},
		{
			"a TLS 1.2 server where the node allows it",
			&tls.Config{Certificates: []tls.Certificate{leaf}, MaxVersion: tls.VersionTLS12}, TLS{CA: ca.file, Min: "1.2"}, "TLS 1.2",
		},
		{
			"the newest that both speak", &tls.Config{Certificates: []tls.Certificate{leaf}},
			TLS{CA: ca.file, Min: "1.2"}, "TLS 1.3",
		},
		{
			"a client certificate",
			&tls.Config{Certificates: []tls.Certificate{leaf}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool()},
			TLS{CA: ca.file, Cert: clientCert, Key: clientKey}, "TLS 1.3",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.client.CA == "" {
				needsSystemCA(t)
			}
			s := tlsServer(t, test.server)
			resp, text, err := post(t, Options{Target: mustURL(t, s.URL), TLS: test.client, ConnectTimeout: time.Minute})
			check(t, err)
			if want := test.version + " " + s.Listener.Addr().String() + " the prompt"; text != want {
				t.Errorf("%q, want %q", text, want)
			}
			errorIf(t, resp.ProtoMajor != 1, "HTTP/%d, want 1: HTTP/2 replays requests on its own", resp.ProtoMajor)
		})
	}
}

// refusal is a handshake that must fail, and the expected error.
type refusal struct {
	name           string
	server         *tls.Config
	client         TLS
	reason, advice string
}

func checkRefusals(t *testing.T, tests []refusal) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := tlsSink(t, test.server)
			_, _, err := post(t, Options{Target: mustURL(t, "https://"+s.address), TLS: test.client, ConnectTimeout: time.Minute})
			refused(t, err, s.address, test.reason, test.advice)
			s.gotNothing(t)
		})
	}
}

// TestTLSRefusesCertificates checks that each certificate error has its own message, and that no byte of the request
// reaches an untrusted server (FACTS.md section 2).
func TestTLSRefusesCertificates(t *testing.T) {
	ca, other := privateCA(t), privateCA(t)
	old := newAuthority(t.TempDir(), yesterday().AddDate(-3, 0, 0), time.Date(2024, 3, 4, 5, 0, 0, 0, time.UTC))
	good := ca.issue(nil)
	with := func(change func(*x509.Certificate)) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{ca.issue(change)}}
	}
	checkRefusals(t, []refusal{
		{
			"expired", with(func(c *x509.Certificate) {
				c.NotBefore, c.NotAfter = c.NotBefore.AddDate(-3, 0, 0), time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
			}), TLS{CA: ca.file},
			"its certificate expired on 2025-01-02", "renew",
		},
		{
			"not yet valid", with(func(c *x509.Certificate) {
				c.NotBefore, c.NotAfter = time.Date(2999, 1, 2, 0, 0, 0, 0, time.UTC), time.Date(3000, 1, 2, 0, 0, 0, 0, time.UTC)
			}), TLS{CA: ca.file},
			"its certificate is not valid before 2999-01-02", "clock",
		},
		{
			"signed by an authority that expired", old.config(), TLS{CA: old.file},
			"its certificate expired on 2024-03-04", "renew",
		},
		{
			"another host", with(func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{"a.test", "b.test"}, nil }),
			TLS{CA: ca.file}, "its certificate is for a.test, b.test", "url",
		},
		{
			"many other hosts", with(func(c *x509.Certificate) {
				c.DNSNames, c.IPAddresses = []string{"a.test"}, []net.IP{{10, 0, 0, 1}, {10, 0, 0, 2}, {10, 0, 0, 3}}
			}), TLS{CA: ca.file}, "its certificate is for a.test, 10.0.0.1, 10.0.0.2 and others", "url",
		},
		{
			"no host at all", with(func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = nil, nil }),
			TLS{CA: ca.file}, "its certificate is for no host", "url",
		},
		{
			"unknown authority", &tls.Config{Certificates: []tls.Certificate{good}}, TLS{CA: other.file},
			"its certificate is signed by an unknown authority", "tls: {ca: FILE}",
		},
		{
			"a private authority is no system's", &tls.Config{Certificates: []tls.Certificate{good}}, TLS{},
			"its certificate is signed by an unknown authority", "tls: {ca: FILE}",
		},
		{
			"the system's is not the node's", systemCA.config(), TLS{CA: ca.file},
			"its certificate is signed by an unknown authority", "tls: {ca: FILE}",
		},
		{
			"not for servers", with(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }),
			TLS{CA: ca.file}, "its certificate is not valid: x509: certificate specifies an incompatible key usage", "nothing was sent",
		},
	})
}

// TestTLSRefusesHandshakes checks the same for TLS versions and for client certificates.
func TestTLSRefusesHandshakes(t *testing.T) {
	ca, other := privateCA(t), privateCA(t)
	good := ca.issue(nil)
	strangerCert, strangerKey := other.files(other.issue(nil))
	asks := func(max uint16) *tls.Config {
		return &tls.Config{
			Certificates: []tls.Certificate{good}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool(), MaxVersion: max,
		}
	}
	checkRefusals(t, []refusal{
		{
			"TLS 1.2 under 1.3", &tls.Config{Certificates: []tls.Certificate{good}, MaxVersion: tls.VersionTLS12}, TLS{CA: ca.file},
			"does not offer TLS 1.3", `tls: {min: "1.2"}`,
		},
		{
			"TLS 1.1 under 1.2",
			&tls.Config{Certificates: []tls.Certificate{good}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
			TLS{CA: ca.file, Min: "1.2"}, "refused the TLS handshake: protocol version not supported", "",
		},
		{
			"no client certificate, TLS 1.3", asks(tls.VersionTLS13), TLS{CA: ca.file},
			"asks for a client certificate", "tls.cert and tls.key",
		},
		{
			"no client certificate, TLS 1.2", asks(tls.VersionTLS12), TLS{CA: ca.file, Min: "1.2"},
			"refused the TLS handshake: ", "tls.cert and tls.key",
		},
		{
			"a client certificate of a stranger", asks(tls.VersionTLS13), TLS{CA: ca.file, Cert: strangerCert, Key: strangerKey},
			"asks for another client certificate", "tls.cert and tls.key",
		},
		{
			"a client certificate that the server does not like", &tls.Config{
				Certificates: []tls.Certificate{good}, ClientAuth: tls.RequireAnyClientCert,
				VerifyConnection: func(tls.ConnectionState) error { return errors.New("not you") },
			}, TLS{CA: ca.file, Cert: strangerCert, Key: strangerKey},
			"refused the TLS handshake: bad certificate", "tls.cert and tls.key",
		},
	})
}

func refused(t *testing.T, err error, host, reason, advice string) {
	t.Helper()
	var trust *guard.TrustError
	fatalIf(t, !errors.As(err, &trust), "%v (%T), want a *guard.TrustError", err, err)
	errorIf(t, trust.Host != host || !strings.HasPrefix(trust.Reason, reason) || reason == "",
		"%v; want %s of %s", trust, reason, host)
	errorIf(t, !strings.Contains(trust.Hint(), advice) || trust.Hint() == "",
		"hint %q, want %q in it", trust.Hint(), advice)
}

func TestHTTPSToWhatIsNoTLS(t *testing.T) {
	ca := privateCA(t)
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request came through") }))
	plain.Config.ErrorLog = quiet
	defer plain.Close()
	shell := newSink(t, func(conn net.Conn) io.Reader {
		_, _ = io.WriteString(conn, "SSH-2.0-something\r\n")
		return nil
	})
	for _, address := range []string{plain.Listener.Addr().String(), shell.address} {
		_, _, err := post(t, ca.node(t, address))
		refused(t, err, address, "does not speak TLS on this port", "http://")
	}
}

// TestUntypedHandshakeFaults checks errors for which crypto/tls has no type: a server that selects a version that was
// not offered is untrusted; a server that only hangs up is a network error, which may be retried.
func TestUntypedHandshakeFaults(t *testing.T) {
	ca := privateCA(t)
	hello := []byte{22, 3, 3, 0, 42, 2, 0, 0, 38, 3, 3} // a record with a ServerHello of TLS 1.2 (RFC 5246 section 7.4.1.3)
	hello = append(hello, make([]byte, 32)...)          // random
	hello = append(hello, 0, 0xc0, 0x2f, 0)             // no session, a cipher suite, no compression
	ancient := newSink(t, func(conn net.Conn) io.Reader {
		_, _ = conn.Write(hello)
		return nil
	})
	_, _, err := post(t, ca.node(t, ancient.address))
	refused(t, err, ancient.address, "failed the TLS handshake: server selected unsupported protocol version", "nothing was sent")

	gone := newSink(t, func(conn net.Conn) io.Reader {
		_, _ = io.ReadFull(conn, make([]byte, 5))
		return nil
	})
	_, _, err = post(t, ca.node(t, gone.address))
	var trust *guard.TrustError
	errorIf(t, err == nil || errors.As(err, &trust), "a server that hung up: got %v, want a fault of the network", err)
}

func TestCertificateFiles(t *testing.T) {
	ca := privateCA(t)
	cert, key := ca.files(ca.issue(nil))
	_, otherKey := ca.files(ca.issue(nil))
	junk := filepath.Join(t.TempDir(), "junk.pem")
	check(t, os.WriteFile(junk, []byte("not PEM"), 0o600))
	missing := filepath.Join(t.TempDir(), "missing.pem")
	tests := []struct {
		name         string
		tls          TLS
		path, reason string
	}{
		{"no CA file", TLS{CA: missing}, missing, "no such file or directory"},
		{"a CA file without certificates", TLS{CA: junk}, junk, "contains no PEM certificate"},
		{"a CA file with a key", TLS{CA: key}, key, "contains no PEM certificate"},
		{"no certificate file", TLS{Cert: missing, Key: key}, missing, "no such file or directory"},
		{"no key file", TLS{Cert: cert, Key: missing}, missing, "no such file or directory"},
		{"another's key", TLS{Cert: cert, Key: otherKey}, cert, "no usable certificate and key: "},
		{"junk for a key", TLS{Cert: cert, Key: junk}, cert, "no usable certificate and key: "},
	}
	for _, test := range tests {
		_, err := New(Options{Target: mustURL(t, "https://node.test"), TLS: test.tls})
		want := "certificate file " + test.path + ": " + test.reason
		errorIf(t, err == nil || !strings.HasPrefix(err.Error(), want) || text.Hint(err) == "",
			"%s: got %v, want %s", test.name, err, want)
	}
	if _, err := New(Options{Target: mustURL(t, "http://127.0.0.1:1"), TLS: TLS{CA: missing}}); err != nil {
		t.Errorf("a node without TLS: got %v, want no error", err)
	}
}

// TestBundledRoots checks that every bundled root can be parsed.
func TestBundledRoots(t *testing.T) {
	pool, err := bundledRoots()
	fatalIf(t, err != nil || pool.Equal(x509.NewCertPool()), "an empty pool, %v, want roots", err)
}

// TestScratch checks that a container without certificates has roots. crypto/x509 looks for the system's roots once
// per process, so the test runs in a child process.
func TestScratch(t *testing.T) {
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		t.Skip("the platform verifies certificates there and always has roots")
	}
	if os.Getenv(inScratch) == "" {
		none := t.TempDir()
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestScratch$", "-test.count=1")
		child.Env = append(os.Environ(), inScratch+"=1", "SSL_CERT_FILE="+filepath.Join(none, "none.pem"), "SSL_CERT_DIR="+none)
		if out, err := child.CombinedOutput(); err != nil {
			t.Errorf("%v, want exit code 0\n%s", err, out)
		}
		return
	}
	if system, err := x509.SystemCertPool(); err == nil && !system.Equal(x509.NewCertPool()) {
		t.Fatal("this process has roots of the system's: nothing is tested")
	}
	roots, err := systemRoots()
	bundled, bundledErr := bundledRoots()
	errorIf(t, err != nil || bundledErr != nil || roots == nil || !roots.Equal(bundled),
		"%v, %v, want the bundled roots", err, bundledErr)
}

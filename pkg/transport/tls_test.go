package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
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
	old := TLS{CA: ca.file, Min: "1.2"}
	tests := []struct {
		name    string
		server  *tls.Config
		client  TLS
		version string
	}{
		{"a private authority", ca.config(), TLS{CA: ca.file}, "TLS 1.3"},
		{"the system's authorities", systemCA.config(), TLS{}, "TLS 1.3"},
		{"a TLS 1.2 server where the node allows it", upTo(tls.VersionTLS12, ca.config()), old, "TLS 1.2"},
		{"the newest that both speak", ca.config(), old, "TLS 1.3"},
		{"a client certificate", ca.asks(), TLS{CA: ca.file, Cert: clientCert, Key: clientKey}, "TLS 1.3"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.client.CA == "" {
				needsSystemCA(t)
			}
			s := tlsServer(t, test.server)
			resp, text, err := post(t, Options{Target: mustURL(t, s.URL), TLS: test.client, ConnectTimeout: time.Minute})
			check(t, err)
			want := test.version + " " + s.Listener.Addr().String() + " the prompt"
			errorIf(t, text != want, "%q, want %q", text, want)
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
			_, _, err := post(t, Options{Target: mustURL(t, "https://"+s.address), TLS: test.client})
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
	const expired, unknown = "its certificate expired on ", "its certificate is signed by an unknown authority"
	with := func(change func(*x509.Certificate)) *tls.Config { return serving(ca.issue(change)) }
	valid := func(from, to time.Time) *tls.Config {
		return with(func(c *x509.Certificate) { c.NotBefore, c.NotAfter = from, to })
	}
	named := func(hosts []string, addresses ...net.IP) *tls.Config {
		return with(func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = hosts, addresses })
	}
	date := func(year int, month time.Month, day int) time.Time {
		return time.Date(year, month, day, 3, 4, 5, 0, time.UTC)
	}
	clients := with(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
	own := TLS{CA: ca.file}
	checkRefusals(t, []refusal{
		{"expired", valid(date(2023, 1, 2), date(2025, 1, 2)), own, expired + "2025-01-02", "renew"},
		{"not yet valid", valid(date(2999, 1, 2), date(3000, 1, 2)), own,
			"its certificate is not valid before 2999-01-02", "clock"},
		{"signed by an authority that expired", old.config(), TLS{CA: old.file}, expired + "2024-03-04", "renew"},
		{"another host", named([]string{"a.test", "b.test"}), own, "its certificate is for a.test, b.test", "url"},
		{"many other hosts", named([]string{"a.test"}, net.IP{10, 0, 0, 1}, net.IP{10, 0, 0, 2}, net.IP{10, 0, 0, 3}), own,
			"its certificate is for a.test, 10.0.0.1, 10.0.0.2 and others", "url"},
		{"no host at all", named(nil), own, "its certificate is for no host", "url"},
		{"unknown authority", ca.config(), TLS{CA: other.file}, unknown, "tls: {ca: FILE}"},
		{"a private authority is no system's", ca.config(), TLS{}, unknown, "tls: {ca: FILE}"},
		{"the system's is not the node's", systemCA.config(), own, unknown, "tls: {ca: FILE}"},
		{"not for servers", clients, own,
			"its certificate is not valid: x509: certificate specifies an incompatible key usage", "nothing was sent"},
	})
}

// TestTLSRefusesHandshakes checks the same for TLS versions and for client certificates.
func TestTLSRefusesHandshakes(t *testing.T) {
	ca, other := privateCA(t), privateCA(t)
	cert, key := other.files(other.issue(nil))
	stranger := TLS{CA: ca.file, Cert: cert, Key: key}
	ancient := upTo(tls.VersionTLS11, ca.config())
	ancient.MinVersion = tls.VersionTLS10
	dislikes := ca.config()
	dislikes.ClientAuth = tls.RequireAnyClientCert
	dislikes.VerifyConnection = func(tls.ConnectionState) error { return errors.New("not you") }
	const advice = "tls.cert and tls.key"
	checkRefusals(t, []refusal{
		{"TLS 1.2 under 1.3", upTo(tls.VersionTLS12, ca.config()), TLS{CA: ca.file},
			"does not offer TLS 1.3", `tls: {min: "1.2"}`},
		{"TLS 1.1 under 1.2", ancient, TLS{CA: ca.file, Min: "1.2"},
			"refused the TLS handshake: protocol version not supported", ""},
		{"no client certificate, TLS 1.3", ca.asks(), TLS{CA: ca.file}, "asks for a client certificate", advice},
		{"no client certificate, TLS 1.2", upTo(tls.VersionTLS12, ca.asks()), TLS{CA: ca.file, Min: "1.2"},
			"refused the TLS handshake: ", advice},
		{"a client certificate of a stranger", ca.asks(), stranger, "asks for another client certificate", advice},
		{"a client certificate that the server does not like", dislikes, stranger,
			"refused the TLS handshake: bad certificate", advice},
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

// TestHandshakeFaults checks servers that speak no TLS, and errors for which crypto/tls has no type: a server that
// selects a version that was not offered is untrusted; a server that only hangs up is a network error, which may be
// retried.
func TestHandshakeFaults(t *testing.T) {
	ca := privateCA(t)
	plain := start(t, func(http.ResponseWriter, *http.Request) { t.Error("a request came through") }, nil)
	hello := []byte{22, 3, 3, 0, 42, 2, 0, 0, 38, 3, 3} // a record with a ServerHello of TLS 1.2 (RFC 5246 section 7.4.1.3)
	hello = append(hello, make([]byte, 32)...)          // random
	hello = append(hello, 0, 0xc0, 0x2f, 0)             // no session, a cipher suite, no compression
	for _, test := range []struct{ address, reason, advice string }{
		{plain.Listener.Addr().String(), "does not speak TLS on this port", "http://"},
		{scripted(t, "SSH-2.0-something\r\n"), "does not speak TLS on this port", "http://"},
		{scripted(t, string(hello)),
			"failed the TLS handshake: server selected unsupported protocol version", "nothing was sent"},
	} {
		_, _, err := post(t, ca.node(t, test.address))
		refused(t, err, test.address, test.reason, test.advice)
	}
	_, _, err := post(t, ca.node(t, scripted(t, 5)))
	errorIf(t, err == nil || errors.As(err, new(*guard.TrustError)),
		"a server that hung up: got %v, want a fault of the network", err)
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

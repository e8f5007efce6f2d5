package transport

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"ferry/pkg/guard"
	"ferry/pkg/state"
	"ferry/pkg/text"

	"github.com/quic-go/quic-go"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// TLS holds the requirements for a node's handshake. The paths are absolute.
type TLS struct {
	// Min is the minimum version, "1.2" or "1.3"; "" means "1.3".
	Min string
	// CA is a PEM file with the root certificates to trust instead of the system's.
	CA string
	// Cert and Key are PEM files with a client certificate.
	Cert, Key string
	// Groups are the key exchange groups to offer, separated by commas: x25519, x25519mlkem768, p256 and p384. ""
	// means Go's default, with X25519MLKEM768 first.
	Groups string
}

// groups maps names to key exchange groups.
var groups = map[string]tls.CurveID{
	"x25519": tls.X25519, "x25519mlkem768": tls.X25519MLKEM768, "p256": tls.CurveP256, "p384": tls.CurveP384,
}

// nodeTLS returns the TLS configuration for the node's handshake.
func (o Options) nodeTLS() (*tls.Config, error) {
	t := o.TLS
	roots, err := readRoots(t.CA)
	if err != nil {
		return nil, err
	}
	c := &tls.Config{
		ServerName: o.Target.Hostname(), RootCAs: roots, MinVersion: t.floor(), NextProtos: []string{"http/1.1"},
		VerifyConnection: o.checkPins,
	}
	if t.Groups != "" {
		for name := range strings.SplitSeq(t.Groups, ",") {
			c.CurvePreferences = append(c.CurvePreferences, groups[name])
		}
	}
	if t.Cert != "" {
		pair, err := t.pair()
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// pair reads the client certificate and its key. The key file must pass the checks for key files.
func (t TLS) pair() (tls.Certificate, error) {
	cert, err := state.ReadTrusted(t.Cert, maxPEM)
	if err != nil {
		return tls.Certificate{}, fileError(t.Cert, err)
	}
	key, err := state.ReadKey(t.Key)
	if err != nil {
		return tls.Certificate{}, fileError(t.Key, err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		err = fileError(t.Cert, fmt.Errorf("no usable certificate and key: %w", err))
	}
	return pair, err
}

func (t TLS) floor() uint16 {
	if t.Min == "1.2" {
		return tls.VersionTLS12
	}
	return tls.VersionTLS13
}

// maxPEM is the maximum size of a certificate file.
const maxPEM = 8 << 20

// readRoots reads the trusted roots from a file. Without one it returns the system's.
func readRoots(path string) (*x509.CertPool, error) {
	if path == "" {
		return systemRoots()
	}
	pem, err := state.ReadTrusted(path, maxPEM)
	if err != nil {
		return nil, fileError(path, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fileError(path, errors.New("contains no PEM certificate"))
	}
	return pool, nil
}

// fileError reports that a certificate file cannot be used. Nothing was sent.
func fileError(path string, err error) error {
	hint := cmp.Or(text.Hint(err), "tls.ca, tls.cert and tls.key are paths of PEM files")
	fault, ok := errors.AsType[*state.Error](err)
	switch {
	case ok && fault.Err == nil: // its text begins with the path
		return text.Errorf(hint, "certificate file %w", err)
	case ok:
		err = fault.Err
	}
	return text.Errorf(hint, "certificate file %s: %w", path, err)
}

// systemRoots returns the trusted roots; nil means the system's own. If the system has none, as in a scratch
// container, it returns the bundled Mozilla roots. They are parsed only then: package fallback would parse them in
// every process.
func systemRoots() (*x509.CertPool, error) {
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		return nil, nil // the platform verifies certificates and always has roots
	}
	if system, err := x509.SystemCertPool(); err == nil && !system.Equal(x509.NewCertPool()) {
		return system, nil
	}
	return bundledRoots()
}

// bundledRoots parses the Mozilla roots that are linked into the binary.
func bundledRoots() (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	for root := range bundle.Roots() {
		parsed, err := x509.ParseCertificate(root.Certificate)
		switch {
		case err != nil:
			return nil, fmt.Errorf("parse a bundled root: %w", err)
		case root.Constraint != nil:
			pool.AddCertWithConstraint(parsed, root.Constraint)
		default:
			pool.AddCert(parsed)
		}
	}
	return pool, nil
}

// peer is the other side of a handshake.
type peer struct {
	host  string
	floor uint16
	// certified reports that ferry had a client certificate.
	certified bool
	// proxy reports that the peer is a proxy, to which the node's tls settings do not apply.
	proxy bool
}

// TLS alerts that have their own message (RFC 8446 section 6.2).
const (
	alertProtocolVersion     = tls.AlertError(70)
	alertCertificateRequired = tls.AlertError(116)
)

// trustError converts a failed handshake to a *guard.TrustError with the reason. It returns a network error unchanged,
// and a TrustError, such as a missing pin, without the text around it. handshake reports that err is known to come from
// the handshake.
func (p peer) trustError(err error, handshake bool) error {
	if trust, ok := errors.AsType[*guard.TrustError](err); ok {
		return trust
	}
	var verify *tls.CertificateVerificationError
	trust := &guard.TrustError{Host: p.host, Handshake: true, Err: err}
	alert := alertOf(err)
	switch {
	case errors.As(err, &verify):
		reason, hint := p.certificateFault(verify)
		trust.Reason, trust.Advice, trust.Handshake = reason, text.Advice(hint), false
	case errors.As(err, new(tls.RecordHeaderError)):
		trust.Reason = "does not speak TLS on this port"
		trust.Advice = "is it a plain http server? then the address begins with http://"
	case alert == alertProtocolVersion.Error() && p.floor == tls.VersionTLS13:
		trust.Reason = "does not offer TLS 1.3"
		trust.Advice = `tls: {min: "1.2"} for this node accepts TLS 1.2`
	case alert == alertCertificateRequired.Error():
		trust.Reason = "asks for a client certificate"
		if p.certified {
			trust.Reason = "asks for another client certificate"
		}
		trust.Advice = "tls.cert and tls.key of the node name one"
	case alert != "":
		trust.Reason = "refused the TLS handshake: " + strings.TrimPrefix(alert, "tls: ")
		trust.Advice = "a node that asks for a client certificate needs a matching tls.cert and tls.key"
	case handshake && !networkFault(err):
		trust.Reason = "failed the TLS handshake: " + strings.TrimPrefix(err.Error(), "tls: ")
		trust.Advice = "nothing was sent"
	default:
		return err
	}
	if p.proxy {
		trust.Advice = "this is the proxy; the node's tls settings do not apply to it; nothing was sent"
	}
	return trust
}

// alertOf returns the text of the TLS alert that the peer sent, "" if there is none. Over TCP, crypto/tls does not
// export the type of its alerts, so they can be identified only by their text, which is the same as tls.AlertError's.
func alertOf(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		return op.Err.Error()
	}
	fault, ok := errors.AsType[*quic.TransportError](err)
	if ok && fault.Remote && fault.ErrorCode.IsCryptoError() {
		return tls.AlertError(fault.ErrorCode - firstCrypto).Error()
	}
	return ""
}

// firstCrypto is QUIC's error code for the TLS alert 0 (RFC 9001 section 4.8).
const firstCrypto = 0x100

// networkFault reports whether a handshake failed because of the network and not because of its content.
func networkFault(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op != "local error" || IsTimeout(err) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.Canceled)
}

func (p peer) certificateFault(verify *tls.CertificateVerificationError) (reason, advice string) {
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(verify.Err, &invalid) && invalid.Reason == x509.Expired:
		// This can be any certificate of the chain, not only the server's own.
		if time.Now().Before(invalid.Cert.NotBefore) {
			return "its certificate is not valid before " + day(invalid.Cert.NotBefore),
				"check this machine's clock; nothing was sent"
		}
		return "its certificate expired on " + day(invalid.Cert.NotAfter), "its owner has to renew it; nothing was sent"
	case errors.As(verify.Err, &name):
		return "its certificate is for " + certificateNames(name.Certificate), "check the node's url; nothing was sent"
	case errors.As(verify.Err, new(x509.UnknownAuthorityError)):
		return "its certificate is signed by an unknown authority",
			"for a private authority set tls: {ca: FILE}; nothing was sent"
	}
	return "its certificate is not valid: " + verify.Err.Error(), "nothing was sent"
}

// certificateNames lists the first names and addresses of a certificate.
func certificateNames(leaf *x509.Certificate) string {
	const shown = 3
	names := slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	switch {
	case len(names) == 0:
		return "no host"
	case len(names) > shown:
		return strings.Join(names[:shown], ", ") + " and others"
	}
	return strings.Join(names, ", ")
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// checkPins checks the verified chain against the pins. crypto/tls calls it after it has verified the chain and
// before it sends its last handshake message, so no request can be sent before. It is also called for a resumed
// session, with the chains that were verified first.
func (o Options) checkPins(state tls.ConnectionState) error {
	return guard.CheckPins(o.Target.Host, o.Node, o.Pins, state.VerifiedChains)
}

var errNoTLS = errors.New("there is no TLS handshake over plain http")

// Inspect builds a transport that starts the node's handshake, through its proxy if it has one, and stops it before a
// request: every RoundTrip fails. After the chain was verified, seen returns the state of the handshake; before, it
// returns nil, and the error of RoundTrip gives the reason. Pins are not checked. With plain http, Inspect fails.
func Inspect(o Options) (rt http.RoundTripper, seen func() *tls.ConnectionState, err error) {
	if o.Target.Scheme != "https" {
		return nil, nil, errNoTLS
	}
	o.Pins = nil
	made, err := New(o)
	if err != nil {
		return nil, nil, err
	}
	var state atomic.Pointer[tls.ConnectionState]
	made.tls.VerifyConnection = func(s tls.ConnectionState) error {
		state.Store(&s)
		return errors.New("the handshake was only to be looked at")
	}
	return made, state.Load, nil
}

// RefusesTLS12 offers a node at most TLS 1.2 and reports whether the node refuses. It sends nothing over the
// connection, so it does not verify the certificate. It ignores a proxy in the options, because the proxy's response
// would not be the node's. The error gives the reason if there was no handshake.
func RefusesTLS12(ctx context.Context, o Options) (bool, error) {
	if o.ConnectTimeout > 0 {
		bounded, cancel := context.WithTimeout(ctx, o.ConnectTimeout)
		defer cancel()
		ctx = bounded
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", o.resolvedHostPort())
	if err != nil {
		return false, err
	}
	defer conn.Close()
	client := tls.Client(conn, &tls.Config{
		ServerName: o.Target.Hostname(), MaxVersion: tls.VersionTLS12,
		InsecureSkipVerify: true, // see above
	})
	err = client.HandshakeContext(ctx)
	alert, ok := errors.AsType[*net.OpError](err)
	if ok && alert.Op == "remote error" { // how crypto/tls marks an alert of the peer
		return true, nil
	}
	return false, err
}

package transport

import (
	"crypto/tls"
	"net"
	"testing"
)

func TestRefusesOld(t *testing.T) {
	ca := privateCA(t)
	for _, tt := range []struct {
		floor   uint16
		refuses bool
	}{{tls.VersionTLS12, false}, {tls.VersionTLS13, true}} {
		s := tlsServer(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(nil)}, MinVersion: tt.floor})
		got, err := RefusesOld(t.Context(), Options{Target: mustURL(t, s.URL)})
		if err != nil || got != tt.refuses {
			t.Errorf("floor %s: %v, %v, want %v", tls.VersionName(tt.floor), got, err, tt.refuses)
		}
	}
}

// A port that speaks no TLS, or that nobody listens on, says nothing about a floor.
func TestRefusesOldWithoutTLS(t *testing.T) {
	l := listen(t)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	if got, err := RefusesOld(t.Context(), Options{Target: mustURL(t, "https://"+l.Addr().String())}); err == nil {
		t.Errorf("no TLS: got %v without an error", got)
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	if got, err := RefusesOld(t.Context(), Options{Target: mustURL(t, "https://"+closed.Addr().String())}); err == nil {
		t.Errorf("nobody there: got %v without an error", got)
	}
}

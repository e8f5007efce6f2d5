package transport

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// connectProxy is a small proxy: CONNECT and plain requests, with a password where auth is not "".
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
		r.Header.Del("Proxy-Authorization")
		r.RequestURI = ""
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
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

// splice carries bytes both ways until one side ends.
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
	s := httptest.NewUnstartedServer(p)
	s.Config.ErrorLog = quiet
	if config == nil {
		s.Start()
	} else {
		s.TLS = config
		s.StartTLS()
	}
	t.Cleanup(s.Close)
	return mustURL(t, s.URL)
}

// basic is "user:hunter2" as RFC 7617 writes it.
const basic = "Basic dXNlcjpodW50ZXIy"

// unused is an address at which nothing listens.
func unused(t *testing.T) string {
	l := listen(t)
	l.Close()
	return l.Addr().String()
}

// socksServer is a small SOCKS5 server (RFC 1928, 1929) that notes what it is asked for and always goes to the same
// place.
type socksServer struct {
	to, user, password string

	mu    sync.Mutex
	asked []string
}

func (s *socksServer) start(t *testing.T, scheme string) *url.URL {
	t.Helper()
	sink := newSink(t, func(conn net.Conn) io.Reader {
		if err := s.serve(conn); err != nil {
			_, _ = conn.Write([]byte{5, 1, 0, 1, 0, 0, 0, 0, 0, 0}) // general failure
		}
		return nil
	})
	return mustURL(t, scheme+"://"+sink.address)
}

func (s *socksServer) serve(conn net.Conn) error {
	in := bufio.NewReader(conn)
	read := func(n int) []byte {
		b := make([]byte, n)
		_, _ = io.ReadFull(in, b)
		return b
	}
	methods := read(int(read(2)[1]))
	if s.user == "" {
		_, _ = conn.Write([]byte{5, 0})
	} else {
		if !strings.Contains(string(methods), "\x02") {
			return errors.New("no password offered")
		}
		_, _ = conn.Write([]byte{5, 2})
		user := string(read(int(read(2)[1])))
		password := string(read(int(read(1)[0])))
		if user != s.user || password != s.password {
			_, _ = conn.Write([]byte{1, 1})
			return nil
		}
		_, _ = conn.Write([]byte{1, 0})
	}
	head := read(4)
	host := ""
	switch head[3] {
	case 1:
		host = netip.AddrFrom4([4]byte(read(4))).String()
	case 3:
		host = "name " + string(read(int(read(1)[0])))
	case 4:
		host = netip.AddrFrom16([16]byte(read(16))).String()
	}
	port := strconv.Itoa(int(binary.BigEndian.Uint16(read(2))))
	s.mu.Lock()
	s.asked = append(s.asked, host+" "+port)
	s.mu.Unlock()
	far, err := net.Dial("tcp", s.to)
	if err != nil {
		return err
	}
	_, _ = conn.Write([]byte{5, 0, 0, 1, 127, 0, 0, 1, 0, 0})
	splice(conn, far)
	return nil
}

func (s *socksServer) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.asked) == 0 {
		return ""
	}
	return s.asked[len(s.asked)-1]
}

package hold

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"ferry/pkg/guard"
	"ferry/pkg/transport"
)

// A folder or socket that could belong to someone else is not used: the request goes directly, and no file is created
// there.
func TestRefused(t *testing.T) {
	tests := map[string]func(t *testing.T, r *rig){
		"a folder that others can read":  func(t *testing.T, r *rig) { must(t, os.Chmod(r.settings.Dir, 0o750)) },
		"a folder that others can enter": func(t *testing.T, r *rig) { must(t, os.Chmod(r.settings.Dir, 0o711)) },
		"a socket that others can use":   func(t *testing.T, r *rig) { must(t, os.Chmod(r.path(), 0o666)) },
		"a link to the socket": func(t *testing.T, r *rig) {
			path := r.path()
			must(t, os.Rename(path, path+".real"), os.Symlink(path+".real", path))
		},
		"a link to the folder": func(t *testing.T, r *rig) {
			link := r.settings.Dir + ".link"
			must(t, os.Symlink(r.settings.Dir, link))
			t.Cleanup(func() { os.Remove(link) })
			r.settings.Dir = link
		},
		"a file": func(t *testing.T, r *rig) {
			path := r.path()
			must(t, os.Remove(path), os.WriteFile(path, nil, 0o600))
		},
		"another user's folder": func(t *testing.T, r *rig) { chown(t, r.settings.Dir) },
		"another user's socket": func(t *testing.T, r *rig) { chown(t, r.path()) },
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.serveScript(func(t *testing.T, _ *rig, _ net.Conn) { t.Error("it was spoken to") })
			r.settings.Launch.Program = "/nonexistent"
			spoil(t, r)
			before, _ := os.ReadDir(r.settings.Dir)
			r.must("hello")
			r.checkCounts(1, 1)
			if after, _ := os.ReadDir(r.settings.Dir); !reflect.DeepEqual(names(before), names(after)) {
				t.Errorf("%v became %v", names(before), names(after))
			}
		})
	}
}

func names(entries []os.DirEntry) (all []string) {
	for _, entry := range entries {
		all = append(all, entry.Name())
	}
	return all
}

// chown gives a file to nobody, which only root can do.
func chown(t *testing.T, path string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: a file of another user's")
	}
	must(t, os.Chown(path, 65534, -1))
}

// A changed setting never uses an old connection.
func TestNames(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	at := func(address string) func(*Settings) {
		return func(s *Settings) { s.Reach.Target = parsed(address) }
	}
	program := write("program", "1")
	base := func() Settings {
		return Settings{
			Reach: transport.Options{Node: "a", Target: parsed("https://h.example/api"), ConnectTimeout: time.Second},
			Dir:   dir, Launch: Launch{Program: program, Env: []string{"SSL_CERT_FILE=/a"}},
		}
	}
	name := func(s Settings) string {
		n, err := s.name()
		must(t, err)
		return n
	}
	own := name(base())
	for what, change := range map[string]func(*Settings){
		"path":            at("https://h.example/v1"),
		"idle":            func(s *Settings) { s.Idle = time.Hour },
		"connect timeout": func(s *Settings) { s.Reach.ConnectTimeout = time.Hour },
		"cap":             func(s *Settings) { s.Reach.MaxBody = 1 },
	} {
		s := base()
		change(&s)
		if name(s) != own {
			t.Errorf("%s: another holder", what)
		}
	}
	seen := map[string]string{own: "the base"}
	for what, change := range map[string]func(*Settings){
		"node":              func(s *Settings) { s.Reach.Node = "b" },
		"host":              at("https://other.example/api"),
		"port":              at("https://h.example:8443/api"),
		"scheme":            at("http://h.example/api"),
		"proxy":             func(s *Settings) { s.Reach.Proxy = parsed("http://p.example:3128") },
		"proxy's password":  func(s *Settings) { s.Reach.Proxy = parsed("http://u:one@p.example:3128") },
		"another password":  func(s *Settings) { s.Reach.Proxy = parsed("http://u:two@p.example:3128") },
		"floor":             func(s *Settings) { s.Reach.TLS.Min = "1.2" },
		"groups":            func(s *Settings) { s.Reach.TLS.Groups = "x25519" },
		"insecure":          func(s *Settings) { s.Reach.Insecure = true },
		"pins":              func(s *Settings) { s.Reach.Pins = []guard.Pin{{1}} },
		"other pins":        func(s *Settings) { s.Reach.Pins = []guard.Pin{{2}} },
		"authority":         func(s *Settings) { s.Reach.TLS.CA = write("ca.pem", "one") },
		"its contents":      func(s *Settings) { s.Reach.TLS.CA = write("ca.pem", "two") },
		"certificate":       func(s *Settings) { s.Reach.TLS.Cert = write("c.pem", "one") },
		"other certificate": func(s *Settings) { s.Reach.TLS.Cert = write("c.pem", "two") },
		"HTTP/3":            func(s *Settings) { s.Reach.HTTP3 = transport.TryHTTP3 },
		"address":           func(s *Settings) { s.Reach.Resolve = []netip.Addr{netip.MustParseAddr("127.0.0.1")} },
		"variable":          func(s *Settings) { s.Launch.Env = []string{"SSL_CERT_FILE=/b"} },
		"program":           func(*Settings) { write("program", "a newer one") },
	} {
		s := base()
		change(&s)
		n := name(s)
		if old := seen[n]; old != "" {
			t.Errorf("%s: the same holder as %s", what, old)
		}
		seen[n] = what
		if strings.ContainsAny(n, "/. ") || len(n) != 24 {
			t.Errorf("%s: the name %q", what, n)
		}
	}
	one, two := base(), base()
	one.Reach.TLS.Min, one.Reach.TLS.Groups, two.Reach.TLS.Min, two.Reach.TLS.Groups = "1.2", "x y", "1.2 x", "y"
	if name(one) == name(two) {
		t.Error("settings that are the same text when they are joined have one holder")
	}
	s := base()
	s.Reach.TLS.CA = filepath.Join(dir, "missing.pem")
	if _, err := s.name(); err == nil {
		t.Error("a file that is missing has a name")
	}
}

// An unusable file is reported when the transport is created, as without a holder.
func TestBadFiles(t *testing.T) {
	r := newRig(t, nil)
	r.settings.Reach.TLS.CA = filepath.Join(r.settings.Dir, "missing.pem")
	if _, err := New(r.settings); err == nil {
		t.Error("no error")
	}
}

// A stream that a command left early gives its connection back if the end had already been sent. If the server keeps
// it waiting, the connection is closed and no time is lost.
func TestLeftBeforeItsEnd(t *testing.T) {
	for name, end := range map[string]bool{"the end is there": true, "it never comes": false} {
		t.Run(name, func(t *testing.T) {
			if !end {
				usualWaits(t)
			}
			release := make(chan struct{})
			r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
				_, _ = w.Write([]byte("data"))
				w.(http.Flusher).Flush()
				if !end {
					select {
					case <-release:
					case <-req.Context().Done():
					}
				}
			}).hold()
			defer close(release)
			rt, err := New(r.settings)
			must(t, err)
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, r.server.URL, nil)
			resp, err := rt.RoundTrip(req)
			must(t, err)
			if _, err := io.ReadFull(resp.Body, make([]byte, 4)); err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			rt.CloseIdleConnections()
			if end {
				eventually(t, "its end was read", func() bool { return r.status().Lent == 0 })
				if got, err := r.call("next"); got != "data" || err != nil {
					t.Errorf("%q, %v", got, err)
				}
				r.checkCounts(1, 2)
				return
			}
			eventually(t, "the connection is closed", func() bool { return r.status().Connections == 0 })
		})
	}
}

func parsed(address string) *url.URL {
	u, err := url.Parse(address)
	if err != nil {
		panic(err)
	}
	return u
}

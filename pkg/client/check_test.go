package client

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"ferry/pkg/config"
	"ferry/pkg/guard"
	"ferry/pkg/transport"
	"ferry/pkg/wire"

	"github.com/quic-go/quic-go/http3"
)

// checked returns the findings of a check of the trial's endpoint, as "mark step".
func checked(t *testing.T, tr *trial, change func(*Check)) (steps []string, all string) {
	t.Helper()
	c := &Check{
		Env: tr.Env, Endpoint: &tr.Endpoint, Node: config.Node{Name: "n", InFile: true},
		TransportOptions: transport.Options{Target: tr.URL}, Timeout: time.Minute,
		Report: func(f Finding) {
			steps = append(steps, string(f.Mark)+" "+f.Step)
			all += string(f.Mark) + " " + f.Step + " " + f.Text + "\n"
		},
	}
	if change != nil {
		change(c)
	}
	c.Run(t.Context())
	return steps, all
}

func TestCheck(t *testing.T) {
	listed := body(`{"data":[{"id":"models/a:latest"},{"id":"b"}]}`)
	live := func(c *Check) { c.Live = true }
	for _, tt := range []struct {
		name    string
		replies []reply
		model   string
		change  func(*Check)
		steps   string
		want    string
	}{
		{"all in place", []reply{listed, status(401)}, "a", nil, "✓ address, – TLS, ✓ models, ✓ model, – live", "the node accepts the key"},
		{"an open list", []reply{listed}, "c", nil, "✓ address, – TLS, ✓ models, – model, – live", "without a key too"},
		{"an odd second reply", []reply{listed, status(500)}, "", nil, "✓ address, – TLS, ✓ models, – live", "only --live can check the key"},
		{"no key", []reply{listed}, "", func(c *Check) { c.Keyless, c.Live = true, true }, "✓ address, – TLS, ✓ models, – live", "listed in"},
		{"no key, no list", []reply{status(401)}, "", func(c *Check) { c.Keyless = true }, "✓ address, – TLS, – models, – live", "status 401"},
		{"no model", []reply{listed}, "", func(c *Check) { c.NoModel, c.Live = errors.New("no model is set"), true }, "✓ address, – TLS, ✓ models, ✗ model, – live", "no model is set"},
		{"no list", []reply{status(404)}, "", nil, "✓ address, – TLS, – models, – live", "no list: n: status 404"},
		{"no list by its method", []reply{status(405)}, "", nil, "✓ address, – TLS, – models, – live", "no list: n: status 405"},
		{"no list, in a 200", []reply{body(`{"error":{"code":404,"message":"m"}}`)}, "", nil, "✓ address, – TLS, – models, – live", "no list: n: status 404"},
		{"something else", []reply{body(`{}`)}, "", nil, "✓ address, – TLS, – models, – live", "the answer is not a list of models"},
		{"the wrong key", []reply{status(401)}, "", nil, "✓ address, – TLS, ✗ models, – live", "m401"},
		{"inside", []reply{status(401)}, "", func(c *Check) { c.InProcess = true }, "✓ address, ✗ models, – live", "inside ferry"},
		{"live", []reply{status(403), answer}, "", live, "✓ address, – TLS, – models, ✓ live", "reports no usage"},
		{"live, refused", []reply{status(403), status(429), answer}, "", live, "✓ address, – TLS, – models, ✗ live", "m429"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTrial(t, serve(t, tt.replies...).URL)
			tr.Model = tt.model
			steps, all := checked(t, tr, tt.change)
			if strings.Join(steps, ", ") != tt.steps || !strings.Contains(all, tt.want) {
				t.Errorf("got  %s\nwant %s with %q in:\n%s", strings.Join(steps, ", "), tt.steps, tt.want, all)
			}
		})
	}
}

// TestCheckTheWay checks that the check stops at the first step that fails.
func TestCheckTheWay(t *testing.T) {
	away := newTrial(t, unused(t))
	if steps, all := checked(t, away, func(c *Check) { c.Live = true }); !slices.Equal(steps, []string{"✗ address", "– live"}) {
		t.Errorf("nothing listens: got\n%s", all)
	}
	limited := newTrial(t, unused(t))
	limited.Limiter = crowded{}
	if steps, all := checked(t, limited, nil); !slices.Equal(steps, []string{"✗ limit", "– live"}) {
		t.Errorf("the rate limit: got\n%s", all)
	}
	server := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	untrusted := newTrial(t, mustURL(t, server.URL))
	if steps, all := checked(t, untrusted, nil); !slices.Equal(steps, []string{"✓ address", "✗ TLS", "– live"}) {
		t.Errorf("a certificate that is not trusted: got\n%s", all)
	}
}

// TestCheckHTTP3 checks the finding about a node that uses or offers HTTP/3.
func TestCheckHTTP3(t *testing.T) {
	offering := &server{replies: []reply{{status: 200, header: http.Header{"Alt-Svc": {`h3=":443"; ma=86400`}}, body: `{"data":[]}`}}}
	for _, tt := range []struct {
		name  string
		quic  bool
		http3 transport.HTTP3
		proxy *url.URL
		want  string
	}{
		{"offered", false, transport.NoHTTP3, nil, "– HTTP/3 the node offers it; ferry config set nodes.n.http3 true"},
		{"asked so", true, transport.OnlyHTTP3, nil, "✓ HTTP/3 the node answers over it"},
		{"not to be had", false, transport.TryHTTP3, nil, "– HTTP/3 TCP connected first"},
		{"behind a proxy", false, transport.TryHTTP3, &url.URL{Scheme: "http", Host: "p:1"}, "– HTTP/3 it does not go through a proxy"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(offering)
			tr := newTLSTrial(t, server)
			if tt.quic {
				socket, err := net.ListenPacket("udp", server.Listener.Addr().String())
				if err != nil {
					t.Skip(err) // another process uses the port
				}
				over := &http3.Server{Handler: offering, TLSConfig: http3.ConfigureTLSConfig(server.TLS)}
				go over.Serve(socket)
				t.Cleanup(func() { over.Close(); socket.Close() })
			}
			if tt.proxy == nil {
				tr.reach.HTTP3 = tt.http3
				tr.Transport = carrier(t, tr.reach)
			}
			_, all := checked(t, tr, func(c *Check) { c.TransportOptions.HTTP3, c.TransportOptions.Proxy = tt.http3, tt.proxy })
			errorIf(t, !strings.Contains(all, tt.want), "got\n%s\nwant %s", all, tt.want)
		})
	}
}

// TestCheckGateway checks a good gateway, and gateways that each fail one check.
func TestCheckGateway(t *testing.T) {
	for _, tt := range []struct {
		name          string
		floor         uint16
		health, guess int
		steps, want   string
	}{
		{"unwell", tls.VersionTLS13, 503, 401, "✗ gateway, ✓ floor, ✓ guard", "✗ gateway /healthz answers with status 503"},
		{"old TLS", tls.VersionTLS12, 200, 401, "✓ gateway, ✗ floor, ✓ guard", "✗ floor TLS 1.2 is accepted"},
		{"open to all", tls.VersionTLS13, 200, 200, "✓ gateway, ✓ floor, ✗ guard", "✗ guard a made-up token gets status 200, not 401"},
		{"limited", tls.VersionTLS13, 200, 429, "✓ gateway, ✓ floor, – guard", "– guard not checked"},
		{"fine", tls.VersionTLS13, 200, 401, "✓ gateway, ✓ floor, ✓ guard", "the gateway accepts the token, but its role may not list models"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Ferry-Gateway", "1")
				switch {
				case r.URL.Path == "/healthz":
					w.WriteHeader(tt.health)
					_, _ = io.WriteString(w, `{"status":"ok"}`)
				case r.Header.Get("X-Api-Key") != canary:
					w.WriteHeader(tt.guess)
				default: // the role may not list models
					w.WriteHeader(http.StatusForbidden)
				}
			}))
			server.TLS = &tls.Config{MinVersion: tt.floor}
			tr := newTLSTrial(t, server)
			tr.Endpoint.API = wire.Messages
			pin := guard.PinOf(server.Certificate())
			steps, all := checked(t, tr, func(c *Check) { c.TransportOptions.Pins = []guard.Pin{pin} })
			want := "✓ address, ✓ TLS, ✓ pins, " + tt.steps + ", – models, – live"
			if got := strings.Join(steps, ", "); got != want || !strings.Contains(all, tt.want) {
				t.Errorf("got  %s\nwant %s with %q in:\n%s", got, want, tt.want, all)
			}
		})
	}
}

package cmd_test

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"net"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"ferry/pkg/demo"
)

// ferryReal is the path of realFerry's program.
func ferryReal(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("ferry-real")
	check(t, err)
	return path
}

func findCurl(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("curl")
	if err != nil {
		needed(t, "curl, to compare with")
	}
	return path
}

const farPort = 8443

// startFarNginx runs an nginx with TLS 1.3 in front of the demo node, at the far ends, and gives the file of its authority.
func startFarNginx(t *testing.T, nginx string, at ...netip.Addr) (ca string) {
	t.Helper()
	node := demo.New(demo.Options{})
	behind := httptest.NewServer(node)
	t.Cleanup(func() { behind.Close(); _ = node.Close() })
	by := newAuthority(t, "far", nil)
	cert, key := files(t, by.issue(t, func(c *x509.Certificate) {
		for _, addr := range at {
			c.IPAddresses = append(c.IPAddresses, addr.AsSlice())
		}
	}))
	dir := t.TempDir()
	text := fmt.Sprintf(`daemon off;
pid nginx.pid;
error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path temp; proxy_temp_path temp; fastcgi_temp_path temp; uwsgi_temp_path temp; scgi_temp_path temp;
  keepalive_timeout 5m;
  server {
    listen %d ssl;
    ssl_certificate %s;
    ssl_certificate_key %s;
    ssl_protocols TLSv1.3;
    location / { proxy_pass %s; }
  }
}
`, farPort, cert, key, behind.URL)
	conf := filepath.Join(dir, "nginx.conf")
	write(t, conf, text)
	var said bytes.Buffer
	c := exec.Command(nginx, "-p", dir, "-c", conf, "-e", "stderr")
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	c.Stderr = &said
	check(t, c.Start())
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	t.Cleanup(func() { _ = c.Process.Signal(syscall.SIGTERM); <-ended })
	awaitPort(t, fmt.Sprint("127.0.0.1:", farPort), ended, &said)
	return by.file
}

// awaitPort waits until somebody listens.
func awaitPort(t *testing.T, address string, ended chan error, said *bytes.Buffer) {
	t.Helper()
	deadline := time.Now().Add(testTimeout)
	for tick := time.NewTicker(10 * time.Millisecond); ; <-tick.C {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("nginx ended: %v\n%s", err, said)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("nginx does not listen")
		}
	}
}

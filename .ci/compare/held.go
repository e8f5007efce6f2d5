package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const (
	heldName       = "ferry ask --hold"
	secureName     = "ferry ask https"
	heldSecureName = "ferry ask --hold https"

	// holderGoal is what a holder may have in memory, MiB.
	holderGoal = 12
)

// held are the contestants that borrow a connection, and what they are held against: over plain http a kept connection
// saves next to nothing, so that the price of the holder shows; over https it saves a handshake.
type held struct {
	all    []*contestant
	ferry  string
	env    []string
	memory []float64 // of each holder, MiB
}

// newHeld has the server speak TLS too, and starts the holders.
func newHeld(work, ferry string, node *server, env []string) (*held, error) {
	url, ca, err := node.secure(work)
	if err != nil {
		return nil, err
	}
	config, err := os.ReadFile(filepath.Join(work, configFile))
	if err != nil {
		return nil, err
	}
	config = fmt.Appendf(config, "  secure: {url: %q, api: complete, key: \"env:GATEWAY_KEY\", tls: {ca: %q}}\n", url+"/api", ca)
	if err := os.WriteFile(filepath.Join(work, configFile), config, 0o600); err != nil {
		return nil, err
	}
	h := &held{ferry: ferry, env: append(env[:len(env):len(env)], "XDG_RUNTIME_DIR="+work)}
	plain := []string{ferry, "ask", "-o", "raw", "-n"}
	for _, c := range []*contestant{
		{name: heldName, argv: append(plain[:5:5], "gateway", "--hold", "5m", "hi")},
		{name: secureName, argv: append(plain[:5:5], "secure", "hi")},
		{name: heldSecureName, argv: append(plain[:5:5], "secure", "--hold", "5m", "hi")},
	} {
		c.path, c.output, c.every, c.env = completePath, completeBody, 1, h.env
		c.wall, c.cpu = map[int]float64{}, map[int]float64{}
		h.all = append(h.all, c)
		if c.name == secureName {
			continue
		}
		first := exec.Command(c.argv[0], c.argv[1:]...) // it pays for the start of the holder
		first.Env = c.env
		if said, err := first.CombinedOutput(); err != nil {
			h.stop()
			return nil, fmt.Errorf("%s: %w: %s", c.name, err, said)
		}
	}
	return h, nil
}

// secure listens for TLS as well, and writes the certificate that vouches for it.
func (s *server) secure(work string) (url, ca string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return "", "", err
	}
	ca = filepath.Join(work, "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		return "", "", err
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS13,
	})
	if err != nil {
		return "", "", err
	}
	go s.http.Serve(listener)
	return "https://" + listener.Addr().String(), ca, nil
}

// weigh asks the holders what they have in memory, and checks that all of the asks went through them.
func (h *held) weigh() error {
	h.memory = nil
	list := exec.Command(h.ferry, "config", "hold", "-o", "json")
	list.Env = h.env
	out, err := list.Output()
	if err != nil {
		return fmt.Errorf("config hold: %w", err)
	}
	for each := json.NewDecoder(bytes.NewReader(out)); each.More(); {
		var holder struct {
			Node     string
			Requests int
			Memory   float64 `json:"memory_bytes"`
		}
		if err := each.Decode(&holder); err != nil {
			return fmt.Errorf("config hold: %w", err)
		}
		h.memory = append(h.memory, holder.Memory/(1<<20))
		asked := find(h.all, map[string]string{"gateway": heldName, "secure": heldSecureName}[holder.Node])
		if holder.Requests < len(asked.wall)+len(asked.peak) {
			return fmt.Errorf("the holder of %s lent %d times, less often than there were asks", holder.Node, holder.Requests)
		}
	}
	if len(h.memory) != 2 {
		return fmt.Errorf("there are %d holders, want 2", len(h.memory))
	}
	return nil
}

// quiet is how long a holder has not been asked for anything when it is weighed at rest.
const quiet = 3 * time.Second

func (h *held) stop() {
	end := exec.Command(h.ferry, "config", "hold", "stop")
	end.Env = h.env
	_ = end.Run() // one that stays ends by its own idle time
}

package cmd_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// capture is what crossed a slow link: whoever carries the packets needs no other tool to see them.
type capture struct {
	mu      sync.Mutex
	started time.Time
	packets []packet
	// others counts the UDP packets outward, of which a look-up of a name would make some.
	others int
}

// packet is one of TCP, as an end sent it.
type packet struct {
	at            time.Duration
	outward       bool
	version       byte   // of IP
	port          uint16 // the near end's, which tells connections apart
	size, payload int    // with and without the headers of IP and TCP
	syn, fin      bool
	record        byte // the type of the record of TLS with which the payload begins, 0 where none does
}

// capture begins one. It takes the place of one before it.
func (l *slowLink) capture(t *testing.T) *capture {
	t.Helper()
	c := &capture{started: time.Now()}
	watch := func(outward bool, data []byte) bool { c.see(outward, data); return false }
	l.watch.Store(&watch)
	return c
}

func (c *capture) see(outward bool, data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	protocol, rest := underIP(data)
	switch {
	case protocol == 17 && outward:
		c.others++
	case protocol == 6 && len(rest) >= 20 && len(rest) >= int(rest[12]>>4)*4:
		payload := rest[int(rest[12]>>4)*4:]
		p := packet{at: time.Since(c.started), outward: outward, version: data[0] >> 4, size: len(data), payload: len(payload),
			port: binary.BigEndian.Uint16(rest[2:]), fin: rest[13]&1 != 0, syn: rest[13]&2 != 0}
		if outward {
			p.port = binary.BigEndian.Uint16(rest)
		}
		if len(payload) >= 5 && payload[1] == 3 && payload[2] <= 3 {
			p.record = payload[0]
		}
		c.packets = append(c.packets, p)
	}
}

// underIP gives the protocol that an IP packet carries, and its part.
func underIP(data []byte) (protocol byte, rest []byte) {
	switch {
	case len(data) >= 20 && data[0]>>4 == 4 && len(data) >= int(data[0]&15)*4:
		return data[9], data[int(data[0]&15)*4:]
	case len(data) >= 40 && data[0]>>4 == 6: // extension headers do not come up here
		return data[6], data[40:]
	}
	return 0, nil
}

// connection gives the packets of one connection.
func (c *capture) connection(port uint16) *capture {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := &capture{started: c.started, others: c.others}
	for _, p := range c.packets {
		if p.port == port {
			one.packets = append(one.packets, p)
		}
	}
	return one
}

// ports lists the connections on which the near end spoke, and those of them that it made. One from before that it only
// closes, with TLS's last word and a FIN, is none.
func (c *capture) ports() (spoken, made []uint16) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var closed []uint16
	for _, p := range c.packets {
		if !p.outward {
			continue
		}
		if (p.syn || p.payload > 0) && !slices.Contains(spoken, p.port) {
			spoken = append(spoken, p.port)
		}
		if p.syn && !slices.Contains(made, p.port) {
			made = append(made, p.port)
		}
		if p.fin {
			closed = append(closed, p.port)
		}
	}
	return slices.DeleteFunc(spoken, func(port uint16) bool {
		return slices.Contains(closed, port) && !slices.Contains(made, port)
	}), made
}

// trips counts how often the far end spoke after the near one had, until the near end closed: on a link that loses nothing
// and delays for longer than either end thinks, these are the round trips until the answer was there. To speak is to
// send payload or a SYN; a bare acknowledgement waits for nobody and nobody waits for it.
func (c *capture) trips() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	asked := false
	for _, p := range c.packets {
		switch {
		case p.fin && p.outward:
			return n
		case p.payload == 0 && !p.syn:
		case p.outward:
			asked = true
		case asked:
			asked = false
			n++
		}
	}
	return n
}

// bytes gives what crossed each way, headers included.
func (c *capture) bytes() (out, in int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.packets {
		if p.outward {
			out += p.size
		} else {
			in += p.size
		}
	}
	return out, in
}

// spoken shows who said what in turn, as "> SYN  < SYN  > handshake 320  < handshake 900, data 80  > data 90".
func (c *capture) spoken() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	outward := false
	for i, p := range c.packets {
		what := p.what()
		switch {
		case what == "":
			continue
		case i == 0 || p.outward != outward:
			fmt.Fprintf(&b, "  %c %s", map[bool]rune{true: '>', false: '<'}[p.outward], what)
		default:
			b.WriteString(", " + what)
		}
		outward = p.outward
	}
	return strings.TrimSpace(b.String())
}

// what names what a packet says, "" where it says nothing. Under TLS 1.3 most of a handshake is data from outside.
func (p packet) what() string {
	switch {
	case p.syn:
		return "SYN"
	case p.payload == 0 && p.fin:
		return "FIN"
	case p.payload == 0:
		return ""
	}
	name := map[byte]string{20: "change", 21: "alert", 22: "handshake", 23: "data"}[p.record]
	if name == "" {
		name = "bytes"
	}
	return fmt.Sprint(name, " ", p.payload)
}

//go:build linux

// Command server is the node that all programs of a comparison use: the demo node, with streams added. The first part
// of a path determines how it answers:
//
//	/api    at once         /paced        300 events, one every 2 to 4 ms, each with the time of its write
//	/delay  after 20 ms     /short /long  20,000 and 200,000 events, as fast as they are read
//	/stall  at once, but not in the second that begins 5 s after GET /seen
//
// It prints its http and https addresses, writes ca.pem, and ends when its standard input ends. GET /seen returns the
// counters since the last time.
package main

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"ferry/pkg/demo"
)

func main() {
	debug.SetGCPercent(-1) // a collection would add delay to a client's figures
	debug.SetMemoryLimit(512 << 20)
	n := &node{}
	n.demo = demo.New(demo.Options{OnRequest: n.ended})
	plain, secure := httptest.NewUnstartedServer(n), httptest.NewUnstartedServer(n)
	plain.Config.ConnState, secure.Config.ConnState = n.connection, n.connection
	plain.Start()
	secure.StartTLS()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	if err := os.WriteFile("ca.pem", ca, 0o600); err != nil {
		log.Fatal(err)
	}
	fmt.Println(plain.URL, secure.URL)
	io.Copy(io.Discard, os.Stdin)
}

type node struct {
	demo                          http.Handler
	requests, failed, connections atomic.Int64 // since the last GET /seen
	seen                          atomic.Int64 // time of the last GET /seen, in nanoseconds
}

func (n *node) connection(_ net.Conn, state http.ConnState) {
	if state == http.StateNew {
		n.connections.Add(1)
	}
}

func (n *node) ended(r demo.Record) {
	if r.Status != http.StatusOK {
		n.failed.Add(1)
	}
}

func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	way := strings.Split(r.URL.Path, "/")[1]
	if way == "seen" {
		fmt.Fprintf(w, `{"requests":%d,"failed":%d,"connections":%d}`, n.requests.Swap(0), n.failed.Swap(0), n.connections.Swap(0))
		n.seen.Store(time.Now().UnixNano())
		return
	}
	n.requests.Add(1)
	switch way {
	case "delay":
		sleep(20 * time.Millisecond)
	case "stall":
		if ends := 6*time.Second - time.Since(time.Unix(0, n.seen.Load())); ends > 0 && ends < time.Second {
			sleep(ends)
		}
	case "paced", "short", "long":
		stream(w, way)
		return
	}
	http.StripPrefix("/"+way, n.demo).ServeHTTP(w, r)
}

// sleep blocks its thread: Go's timers may be late by a millisecond if nothing else runs.
func sleep(d time.Duration) {
	left := unix.NsecToTimespec(int64(d))
	for unix.Nanosleep(&left, &left) == unix.EINTR {
	}
}

var (
	head = event("message_start", `,"message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-haiku-5-5","content":[],`+
		`"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":8,"output_tokens":1}}`) +
		event("content_block_start", `,"index":0,"content_block":{"type":"text","text":""}`)
	tail = event("content_block_stop", `,"index":0`) +
		event("message_delta", `,"delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":300}`) +
		event("message_stop", "")
)

func event(name, data string) string {
	return "event: " + name + "\ndata: {\"type\":\"" + name + `"` + data + "}\n\n"
}

func delta(text string) string {
	return event("content_block_delta", `,"index":0,"delta":{"type":"text_delta","text":"`+text+`"}`)
}

// texts are the texts of the events, escaped for JSON. One ends in the first letter of the key: a program that masks
// keys may hold that letter back until the next event.
var texts = []string{
	" The ferry leaves at seven", " and comes back at noon,", ` which is \"early\" for`, ` most of us.\n\n- First,`, " buy a ticket on board",
	"; then find a seat", " on the lee side — drier", " In Hongkong: 天星小輪", ", café and all", " included. After that",
}

// stream writes one event at a time, or 1000. Each text of a paced stream begins with a mark: its number and the time
// in nanoseconds.
func stream(w http.ResponseWriter, way string) {
	to, block := http.NewResponseController(w), ""
	for _, text := range texts {
		block += strings.Repeat(delta(text), 100)
	}
	w.Header().Set("Content-Type", "text/event-stream")
	io.WriteString(w, head)
	for i := range map[string]int{"paced": 300, "short": 20, "long": 200}[way] {
		if way == "paced" {
			to.Flush()
			sleep(2*time.Millisecond + time.Duration(rand.Int64N(int64(2*time.Millisecond))))
			block = delta(fmt.Sprintf("#%03d@%d", i, time.Now().UnixNano()) + texts[i%len(texts)])
		}
		io.WriteString(w, block)
	}
	io.WriteString(w, tail)
}

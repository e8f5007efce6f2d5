// Command crowd is the demo node on a loopback port for many prompts, as a process of its own. It counts what arrived.
//
//	crowd
//
// It prints its address, and ends when its standard input does. GET /seen says what arrived since the last time.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"

	"ferry/pkg/demo"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "crowd:", err)
		os.Exit(1)
	}
}

func run() error {
	var requests, faults, connections atomic.Int64
	node := demo.New(demo.Options{OnRequest: func(r demo.Record) {
		requests.Add(1)
		if r.Status != http.StatusOK {
			faults.Add(1)
		}
	}})
	defer node.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", node)
	mux.HandleFunc("/seen", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"requests":%d,"faults":%d,"connections":%d}`, requests.Swap(0), faults.Swap(0), connections.Swap(0))
	})
	server := &http.Server{Handler: mux, ConnState: func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}}
	fmt.Printf("http://%s\n", listener.Addr())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		server.Close()
	}()
	if err := server.Serve(listener); err != http.ErrServerClosed {
		return err
	}
	return nil
}

//go:build !windows

package cmd_test

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestReaderGone closes the reader of standard output before a stream is complete, and the reader of standard error
// before anything is printed. Requests are logged and counted anyway, and an answer whose notes have no reader is
// complete.
func TestReaderGone(t *testing.T) {
	home := t.TempDir()
	write(t, filepath.Join(home, "c.yaml"), "audit: {file: audit.jsonl}\nbudget: 200000 tokens/day\n")
	vars := []string{"HOME=" + home, "FERRY_CONFIG=" + filepath.Join(home, "c.yaml")}
	for verb, node := range map[string]string{"ask": "demo:?big=200000", "stream": "demo:?big=200000&chunk=100"} {
		p := realFerry(t, verb, "-q", "--no-stdin", "--session", verb, "--max-tokens", "70000", "-n", node, "hello").with(vars...)
		reader, writer, err := os.Pipe()
		check(t, err)
		p.Stdout = writer
		p.start()
		writer.Close()
		_, err = io.ReadFull(reader, make([]byte, 10))
		check(t, err)
		reader.Close()
		p.wait().want(141, "", "")
		contains(t, verb+": the audit log", read(t, filepath.Join(home, "audit.jsonl")), `"exit":141`)
		realFerry(t, "config", "usage", "-o", "json").with(vars...).run().want(0, `"output_tokens":`, "")
	}
	realFerry(t, "config", "session", "show", "ask").with(vars...).run().want(0, "abcdefghijklmnopqrstuvwxyz", "") // the answer was complete
	p := realFerry(t, "ask", "-v", "--no-stdin", "-n", "demo", "hello")
	reader, writer, err := os.Pipe()
	check(t, err)
	reader.Close()
	p.Stderr = writer
	p.start()
	writer.Close()
	p.wait().want(0, "You wrote: “hello”", "")
}

// TestSignalPastAReader ends a stream with one signal although its reader reads nothing.
func TestSignalPastAReader(t *testing.T) {
	p := realFerry(t, "stream", "-q", "--no-stdin", "-n", "demo:?big=1000000&chunk=100", "hello")
	reader, writer, err := os.Pipe()
	check(t, err)
	defer reader.Close()
	p.Stdout = writer
	p.start()
	writer.Close()
	_, err = io.ReadFull(reader, make([]byte, 10))
	check(t, err)
	p.send(syscall.SIGTERM).wait().killedBy(syscall.SIGTERM)
}

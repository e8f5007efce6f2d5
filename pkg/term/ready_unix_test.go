//go:build unix

package term

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestTakesAtOnce: only a write that cannot wait for a reader is said to be one.
func TestTakesAtOnce(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if !TakesAtOnce(w, 100) {
		t.Error("an empty pipe: false, want true")
	}
	if TakesAtOnce(w, 1<<20) {
		t.Error("an empty pipe and a MiB: true, want false")
	}
	written := 0
	for TakesAtOnce(w, pipeBuf) && written < 1<<24 {
		n, err := w.Write(make([]byte, pipeBuf))
		if err != nil {
			t.Fatal(err)
		}
		written += n
	}
	if written < pipeBuf || written >= 1<<24 {
		t.Errorf("%d bytes went into a pipe that is not read, want some and an end", written)
	}
	r.Close()
	if TakesAtOnce(w, 1) {
		t.Error("a pipe without a reader: true, want false")
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if !TakesAtOnce(file, 1<<20) {
		t.Error("a file: false, want true")
	}
	if TakesAtOnce(&bytes.Buffer{}, 1) {
		t.Error("no file at all: true, want false")
	}
}

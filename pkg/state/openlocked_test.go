package state

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestOpenLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	first, err := OpenLocked(path)
	if err != nil {
		t.Fatal(err)
	}
	var held *HeldError
	if _, err := OpenLocked(path); !errors.As(err, &held) {
		t.Errorf("a second one: %v", err)
	}
	if _, err := first.WriteString("kept"); err != nil {
		t.Fatal(err)
	}
	first.Close()
	second, err := OpenLocked(path)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if text, err := os.ReadFile(path); err != nil || string(text) != "kept" {
		t.Errorf("%q, %v", text, err)
	}
	if !leadsTo(path, second) {
		t.Error("the path does not lead to the file that was just opened")
	}
	if err := os.Remove(path); err != nil {
		t.Skip("an open file cannot be removed here")
	}
	if leadsTo(path, second) {
		t.Error("a file that was removed is not the path's any more")
	}
	third, err := OpenLocked(path)
	if err != nil {
		t.Fatalf("the name is free, and: %v", err)
	}
	third.Close()
}

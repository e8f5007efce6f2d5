package cmd_test

import (
	"os"
	"testing"
)

// check ends the test where something that has to work for it did not.
func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// long skips a test that takes long, where the short ones alone are wanted.
func long(t *testing.T, why string) {
	t.Helper()
	if testing.Short() {
		t.Skip("long: " + why)
	}
}

// write makes a private file.
func write(t *testing.T, path, text string) {
	t.Helper()
	check(t, os.WriteFile(path, []byte(text), 0o600))
}

package session

import (
	"os"
	"strings"
	"testing"
)

// contents returns the names of the content files in the folder.
func contents(t *testing.T, s Store) (names []string) {
	t.Helper()
	for _, entry := range must(os.ReadDir(s.Dir))(t) {
		if isAttached(entry.Name(), "") {
			names = append(names, entry.Name())
		}
	}
	return names
}

// TestFiles checks that files of turns are stored once, can be read again, and are removed with their conversation.
func TestFiles(t *testing.T) {
	s := newStore(t)
	picture, paper := NewFile("a.png", "image/png", []byte("picture")), NewFile("b.pdf", "application/pdf", []byte("paper"))
	for _, name := range []string{"a", "a.b"} { // each has its own contents
		h := mustOpen(t, s, name, start)
		check(t, h.Ask("given up", []File{NewFile("c.png", "image/png", []byte("other"))}, start))
		check(t, h.Ask("one", []File{picture, paper}, start))
		check(t, h.Answer("answer", "node", "model", start))
		check(t, h.Ask("two", []File{picture}, start))
		h.Close()
	}
	if got := contents(t, s); len(got) != 4 {
		t.Errorf("got the contents %q, want two for each conversation", got)
	}
	h := mustOpen(t, s, "a", start)
	kept := h.Session()
	if len(kept.Turns) != 2 || len(kept.Turns[0].Files) != 2 || len(kept.PendingFiles) != 1 {
		t.Fatalf("got %+v", kept)
	}
	for i, want := range []string{"picture", "paper"} {
		if got, err := h.Content(kept.Turns[0].Files[i]); err != nil || string(got) != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	check(t, h.Answer("answer", "node", "model", start))
	if got, err := h.Content(h.Session().Turns[2].Files[0]); err != nil || string(got) != "picture" {
		t.Errorf("of a prompt that was kept before: got %q, %v", got, err)
	}
	path := s.attachedPath("a", paper.SHA256)
	check(t, os.WriteFile(path, []byte("other"), 0o600))
	for _, want := range []string{"it was changed", "no such file"} {
		_, err := h.Content(kept.Turns[0].Files[1])
		if err == nil || !strings.Contains(err.Error(), "conversation a: b.pdf, which an earlier turn had, cannot be read: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want that %s", err, want)
		}
		_ = os.Remove(path)
	}
	if _, err := h.Content(File{Name: "x", SHA256: "../../etc/passwd"}); err == nil {
		t.Error("a path in place of a digest was taken")
	}
	h.Close()
	must(s.Remove(t.Context(), "a"))(t)
	for _, name := range contents(t, s) {
		if !isAttached(name, "a.b") {
			t.Errorf("%s is left", name)
		}
	}
	check(t, must(s.Stored())(t).Remove(t.Context()))
	if got := contents(t, s); len(got) != 0 {
		t.Errorf("%q are left", got)
	}
}

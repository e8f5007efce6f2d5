package session

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ferry/pkg/state"
	"ferry/pkg/text"
)

// File is an image or a document of a turn. Its content is in a separate private file in the same folder, written once
// and named after its digest: .NAME.DIGEST.file. So later turns send the same content, even if the user's own file was
// changed or removed.
type File struct {
	Name   string `json:"name"`
	Type   string `json:"type"` // the media type
	Size   int    `json:"size"`
	SHA256 string `json:"sha256"`

	content []byte // nil if it must be read from disk
}

// maxFile is the maximum size of a file in bytes. It is the largest request that the APIs accept.
const maxFile = 32 << 20

const attachedSuffix = ".file"

// NewFile returns a file to send with a prompt.
func NewFile(name, mediaType string, content []byte) File {
	sum := sha256.Sum256(content)
	return File{Name: name, Type: mediaType, Size: len(content), SHA256: hex.EncodeToString(sum[:]), content: content}
}

// attachedPath returns the path of the content with the given digest.
func (s Store) attachedPath(name, digest string) string {
	return filepath.Join(s.Dir, "."+name+"."+digest+attachedSuffix)
}

// isAttached reports whether a folder entry is the content of a file of the conversation name, or of any conversation
// if name is "".
func isAttached(entry, name string) bool {
	rest, ok := strings.CutSuffix(entry, attachedSuffix)
	dot := strings.LastIndexByte(rest, '.')
	return ok && dot >= 0 && rest[0] == '.' && isDigest(rest[dot+1:]) && (name == "" || rest[:dot] == "."+name)
}

func isDigest(s string) bool {
	return len(s) == 2*sha256.Size && strings.Trim(s, "0123456789abcdef") == ""
}

// Content returns the content of a file of a turn.
func (h *Handle) Content(f File) ([]byte, error) {
	if f.content != nil {
		return f.content, nil
	}
	if !isDigest(f.SHA256) {
		return nil, fmt.Errorf("conversation %s is damaged: %q is not the digest of a file", h.session.Name, f.SHA256)
	}
	content, err := state.ReadPrivate(h.store.attachedPath(h.session.Name, f.SHA256), maxFile)
	if err == nil && NewFile("", "", content).SHA256 != f.SHA256 {
		err = errors.New("it was changed")
	}
	if err != nil {
		return nil, text.Errorf("--new starts another conversation",
			"conversation %s: %s, which an earlier turn had, cannot be read: %w", h.session.Name, f.Name, state.StripPath(err))
	}
	return content, nil
}

// storeFiles writes the contents that are not on disk yet.
func (h *Handle) storeFiles(of Session) error {
	for _, f := range of.files() {
		path := h.store.attachedPath(of.Name, f.SHA256)
		if _, err := os.Lstat(path); err == nil || f.content == nil {
			continue
		}
		if err := state.WriteFile(path, f.content, 0o600); err != nil {
			return unavailable(err)
		}
	}
	return nil
}

// files returns the files of all turns and of the pending prompt.
func (s *Session) files() []File {
	files := slices.Clone(s.PendingFiles)
	for _, turn := range s.Turns {
		files = append(files, turn.Files...)
	}
	return files
}

// removeAttached removes the contents that no turn of the conversation uses.
func (s Store) removeAttached(of Session) error {
	used := map[string]bool{}
	for _, f := range of.files() {
		used[filepath.Base(s.attachedPath(of.Name, f.SHA256))] = true
	}
	entries, err := os.ReadDir(s.Dir)
	for _, entry := range entries {
		if isAttached(entry.Name(), of.Name) && !used[entry.Name()] {
			err = errors.Join(err, os.Remove(filepath.Join(s.Dir, entry.Name())))
		}
	}
	return err
}

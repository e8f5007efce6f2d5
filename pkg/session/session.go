// Package session owns the conversations on disk: their turns, their session token and its idle timeout, and the prompt
// that has no answer yet. It does not pick a folder, read the clock or the environment, or send anything: callers pass
// the folder and the time. It never overwrites a file that it cannot read completely, and removes turns only on
// request: the timeout replaces only the token.
//
// A conversation is one JSON file, NAME.json, with an empty lock file .NAME.lock. The lock file stays when the
// conversation is removed: removing it would allow two processes to hold the lock. The file's name counts, not the name
// stored in it.
package session

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ferry/pkg/state"
	"ferry/pkg/text"
)

// The roles of a turn.
const (
	User      = "user"
	Assistant = "assistant"
)

// Errors for errors.Is.
var (
	// ErrNotFound means that the conversation does not exist, or that there is none at all.
	ErrNotFound = errors.New("there is no conversation")
	// ErrUnavailable means that the folder cannot be created, read or written. The conversation itself may be intact.
	ErrUnavailable = errors.New("the folder of the conversations cannot be used")
)

func notFound(name string) error {
	return text.Errorf("ferry config session list shows them", "%w %s", ErrNotFound, name)
}

// unavailable marks an error of the file system.
func unavailable(err error) error { return fmt.Errorf("%w: %w", ErrUnavailable, err) }

// Store is the folder of the conversations. The first Open creates it with mode 0700.
type Store struct{ Dir string }

// Session is one conversation. Its file has the members below in this order: the ones that --continue needs come first.
type Session struct {
	Name string `json:"name"`
	// Used is the time when the last prompt was stored or answered, Started the time when the conversation was created.
	Used    time.Time `json:"used"`
	Started time.Time `json:"started"`
	// Token is sent to sticky nodes, so that a gateway can keep the conversation on one upstream. It is a UUID of
	// version 4 and not a credential.
	Token string `json:"token"`
	// Nodes describes which nodes the last prompt was for; the caller sets it. Ask and Answer write Nodes, API
	// and Model to the file.
	Nodes string `json:"nodes"`
	// API and Model override the nodes' own, "" if they do not.
	API   string `json:"api,omitempty"`
	Model string `json:"model,omitempty"`
	// Pending is the stored prompt that has no answer yet, "" if there is none.
	Pending string `json:"pending"`
	// PendingFiles are the files of the pending prompt.
	PendingFiles []File `json:"pending_files,omitempty"`
	Turns        []Turn `json:"turns"`

	other fields // unknown members, which are kept
}

// Turn is one message of a conversation. Only turns of the assistant have Node and Model.
type Turn struct {
	Role  string    `json:"role"`
	Text  string    `json:"text"`
	Node  string    `json:"node,omitempty"`
	Model string    `json:"model,omitempty"`
	At    time.Time `json:"at"`
	Files []File    `json:"files,omitempty"` // sent with the prompt

	other fields
}

// Handle is an open conversation. No other process or goroutine can open it until Close.
type Handle struct {
	session *Session
	store   Store
	path    string // "" if nothing can be stored
	limit   int    // maximum size of the file in bytes; a larger one could not be read again
	unlock  func()
}

// Open opens a conversation. If the name is not in use, it begins a new one, which the first Ask writes to disk. While
// another process has the conversation open, it waits until ctx ends. It replaces the token if the last use is more
// than idle before or after now. The turns stay.
//
// If the folder cannot be used (for example, the home directory is read-only or missing), Open returns an error for
// which errors.Is(err, ErrUnavailable) is true, and also a handle that works in memory and stores nothing. The caller
// warns once and continues. With any other error the handle is nil: the name or the file is invalid, or ctx ended.
// Continuing then would leave out turns that the user expects.
func (s Store) Open(ctx context.Context, name string, now time.Time, idle time.Duration) (*Handle, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	unlock, lost := s.lock(ctx, name)
	if lost != nil && !errors.Is(lost, ErrUnavailable) {
		return nil, lost
	}
	h := &Handle{store: s, path: s.path(name), limit: maxSize, unlock: unlock}
	if lost != nil {
		h.path, h.unlock = "", func() {}
	}
	session, err := s.Read(name)
	switch {
	case errors.Is(err, ErrNotFound), lost != nil && errors.Is(err, ErrUnavailable):
		session = &Session{Name: name, Token: newToken(), Started: roundTime(now), Used: roundTime(now)}
	case errors.Is(err, ErrUnavailable):
		h.Close()
		// The folder can be used, so the conversation may exist. Continuing would leave out its turns.
		return nil, fmt.Errorf("conversation %s cannot be read: %v", name, err)
	case err != nil:
		h.Close()
		return nil, err
	case !isToken(session.Token), now.Sub(session.Used).Abs() > idle:
		session.Token = newToken()
	}
	h.session = session
	return h, lost
}

// lock creates the folder and locks one conversation.
func (s Store) lock(ctx context.Context, name string) (unlock func(), err error) {
	if err := state.MkdirPrivate(s.Dir); err != nil {
		return nil, unavailable(err)
	}
	unlock, err = state.Lock(ctx, filepath.Join(s.Dir, "."+name+lockSuffix))
	switch {
	case err == nil:
		return unlock, nil
	case ctx.Err() != nil:
		return nil, text.Errorf("another ferry process is using it", "conversation %s is in use: %w", name, context.Cause(ctx))
	}
	return nil, unavailable(err)
}

// Session returns the current conversation. It is the same object until Close. The caller may change only Nodes, API
// and Model.
func (h *Handle) Session() *Session { return h.session }

// Ask stores a prompt and its files before they are sent, so that the prompt is not lost if the turn fails. It replaces
// an earlier prompt without an answer. If the disk write fails, errors.Is(err, ErrUnavailable) is true and the handle
// continues in memory; Answer writes to disk again. Any other error changes nothing.
func (h *Handle) Ask(prompt string, files []File, now time.Time) error {
	if prompt == "" {
		return fmt.Errorf("conversation %s: there is no prompt to store", h.session.Name)
	}
	next := *h.session
	next.Pending, next.PendingFiles, next.Used = prompt, files, roundTime(now)
	given := h.session.PendingFiles
	err := h.save(next)
	if err == nil && len(given) > 0 && h.path != "" {
		_ = h.store.removeAttached(next) // files of the replaced prompt; best effort: rm removes them too
	}
	return err
}

// Answer appends the stored prompt and its answer, both or neither. It fails like Ask; on disk, the prompt then still
// has no answer.
func (h *Handle) Answer(text, node, model string, now time.Time) error {
	next := *h.session
	if next.Pending == "" {
		return fmt.Errorf("conversation %s: an answer without a prompt", next.Name)
	}
	next.Turns = append(slices.Clip(next.Turns),
		Turn{Role: User, Text: next.Pending, Files: next.PendingFiles, At: next.Used},
		Turn{Role: Assistant, Text: text, Node: node, Model: model, At: roundTime(now)})
	next.Pending, next.PendingFiles, next.Used = "", nil, roundTime(now)
	return h.save(next)
}

func (h *Handle) save(next Session) error {
	data, err := next.MarshalJSON()
	if err != nil {
		return err
	}
	if len(data) > h.limit {
		return text.Errorf("--new starts another one",
			"conversation %s is full: it would be larger than %d MiB", next.Name, h.limit>>20)
	}
	*h.session = next
	if h.path == "" {
		return nil // Open has reported it
	}
	if err := h.storeFiles(next); err != nil {
		return err
	}
	if err := state.WriteFile(h.path, data, 0o600); err != nil {
		return unavailable(err)
	}
	return nil
}

// Close unlocks the conversation. Calling it again does nothing.
func (h *Handle) Close() { h.unlock() }

// Read reads one conversation without waiting for a process that has it open. For errors.Is, the error is ErrNotFound
// if it does not exist, and ErrUnavailable if the folder cannot be read.
func (s Store) Read(name string) (*Session, error) {
	data, err := s.read(name)
	if err != nil {
		return nil, err
	}
	session, err := decode(data)
	if err != nil {
		return nil, s.damaged(name, err)
	}
	session.Name = name
	return session, nil
}

func (s Store) read(name string) ([]byte, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	data, err := state.ReadPrivate(s.path(name), maxSize)
	switch {
	case err == nil:
		return data, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, notFound(name)
	}
	return nil, cmp.Or(s.find(name), err) // it could not be opened for another reason
}

// damaged names the file that could not be decoded. The file is not changed.
func (s Store) damaged(name string, err error) error {
	return text.Errorf("ferry does not change the file; ferry config session rm "+name+" removes it",
		"%s: %w", s.path(name), err)
}

func (s Store) path(name string) string { return filepath.Join(s.Dir, name+fileSuffix) }

// roundTime converts a time to the form of the file: UTC, in milliseconds, without the monotonic reading.
func roundTime(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// newToken returns a UUID of version 4 (RFC 9562 section 5.4).
func newToken() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program if there is no randomness
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// isToken reports whether token has the form of newToken. It is sent in a header, and users can edit the file.
func isToken(token string) bool {
	is, _ := regexp.MatchString(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`, token)
	return is
}

// IdleAdvised reports whether idle is within the advised range of 300 to 600 s. The range comes from the reference
// article, for the stateful connection of a gateway.
func IdleAdvised(idle time.Duration) bool { return idle >= 300*time.Second && idle <= 600*time.Second }

// maxName is the maximum length of a name in bytes. With prefix and suffix it fits every file system.
const maxName = 64

// NewName returns a readable, unique name: the minute in now's time zone, and six random letters or digits.
func NewName(now time.Time) string {
	return now.Format("2006-01-02-1504-") + strings.ToLower(rand.Text()[:6])
}

// checkName returns an error if name cannot name a conversation. A name has letters, digits and marks of any script,
// '-', '_' and '.', at most 64 bytes in total. It must not begin with '.' (hidden files), '-' (looks like a flag) or a
// mark, and must not be a Windows device, so that it is valid on every system.
func checkName(name string) error {
	bad := func(reason string) error {
		hint := fmt.Sprintf("use letters, digits, - _ and ., at most %d bytes", maxName)
		return text.Errorf(hint, "%q cannot name a conversation: %s", name, reason)
	}
	switch {
	case name == "":
		return bad("it is empty")
	case len(name) > maxName:
		return fmt.Errorf("the name of a conversation has at most %d bytes; this one has %d", maxName, len(name))
	case !utf8.ValidString(name):
		return bad("it is not UTF-8")
	case name[0] == '.', name[0] == '-':
		return bad("it begins with " + name[:1])
	case isDevice(name):
		return bad("Windows has a device of that name")
	}
	for i, r := range name {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), strings.ContainsRune("-_.", r), i > 0 && unicode.IsMark(r):
		default:
			return bad(fmt.Sprintf("it has %q", r))
		}
	}
	return nil
}

// isDevice reports whether Windows treats name as a device, whatever follows its first dot.
func isDevice(name string) bool {
	base, _, _ := strings.Cut(strings.ToLower(name), ".")
	switch base {
	case "con", "prn", "aux", "nul":
		return true
	}
	number, ok := strings.CutPrefix(base, "com")
	if !ok {
		number, ok = strings.CutPrefix(base, "lpt")
	}
	return ok && utf8.RuneCountInString(number) == 1 && strings.Contains("0123456789¹²³", number)
}

// Package session owns the conversations that are kept on disk: their words, their token and its idle timeout, and the
// prompt that is still without an answer. It refuses to pick a folder, to read the clock or the environment, and to
// send anything: callers hand it the folder and the time. It never overwrites a file that it cannot read whole, and it
// removes words only when it is told to: the timeout takes the token alone.
//
// A conversation is one JSON file, NAME.json, beside an empty .NAME.lock that stays when the file is removed: taking a
// lock file away would let two holders in. The file's name counts, whatever name is written in it.
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

// What an error is, for errors.Is.
var (
	// ErrNotFound is that there is no such conversation, or none at all.
	ErrNotFound = errors.New("there is no session")
	// ErrUnavailable is that the folder cannot be made, read or written. Nothing is wrong with the conversation.
	ErrUnavailable = errors.New("the folder of the sessions cannot be used")
)

func notFound(name string) error {
	return text.Errorf("ferry config session list shows them", "%w %s", ErrNotFound, name)
}

// unavailable marks a failure of the system's.
func unavailable(err error) error { return fmt.Errorf("%w: %w", ErrUnavailable, err) }

// Store is the folder that holds the conversations. It is made, with mode 0700, when the first one is opened.
type Store struct{ Dir string }

// Session is one conversation. Its file has the members below in this order: what --continue needs comes first.
type Session struct {
	Name string `json:"name"`
	// Used is when the last prompt was stored or answered, Started when the conversation was made.
	Used    time.Time `json:"used"`
	Started time.Time `json:"started"`
	// Token goes to sticky nodes, so that a gateway can keep the conversation on one upstream: a UUID, version 4. It is
	// no credential.
	Token string `json:"token"`
	// Nodes is what the caller likes to remember of the way the last prompt went. It is stored with Ask and Answer,
	// and so are API and Model.
	Nodes string `json:"nodes"`
	// API and Model are what was given for these nodes, "" for their own.
	API   string `json:"api,omitempty"`
	Model string `json:"model,omitempty"`
	// Pending is a prompt that was stored and not answered, "" without one.
	Pending string `json:"pending"`
	// PendingFiles go with it.
	PendingFiles []File `json:"pending_files,omitempty"`
	Turns        []Turn `json:"turns"`

	other fields // members that this version does not know; they are kept
}

// Turn is what one side said. Node and Model are of the assistant's alone.
type Turn struct {
	Role  string    `json:"role"`
	Text  string    `json:"text"`
	Node  string    `json:"node,omitempty"`
	Model string    `json:"model,omitempty"`
	At    time.Time `json:"at"`
	Files []File    `json:"files,omitempty"` // that went with the prompt

	other fields
}

// Handle is a conversation in use: no other process or goroutine can open it until Close.
type Handle struct {
	session *Session
	store   Store
	path    string // "" where nothing can be kept
	limit   int    // the most bytes of the file: what can be read again
	unlock  func()
}

// Open takes a conversation, or begins a new one under a name that is not in use, which is on disk from the first Ask
// on. It waits while another process has it, until ctx ends. A token that was idle for longer than idle is replaced, and
// so is one from so far in the future; the words stay.
//
// Where the folder cannot be used, as in a home that is read-only or missing, Open gives an error for which
// errors.Is(err, ErrUnavailable) holds, and beside it a handle that works in memory and keeps nothing: the caller warns
// once and goes on. With every other error there is no handle: the name or the file is bad, or ctx ended first, and
// going on would leave out words that the user counts on.
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
		session = &Session{Name: name, Token: newToken(), Started: stamp(now), Used: stamp(now)}
	case errors.Is(err, ErrUnavailable):
		h.Close()
		// The folder can be used, so the conversation's words may be there: going on would leave them out.
		return nil, fmt.Errorf("session %s cannot be read: %v", name, err)
	case err != nil:
		h.Close()
		return nil, err
	case !isToken(session.Token), now.Sub(session.Used).Abs() > idle:
		session.Token = newToken()
	}
	h.session = session
	return h, lost
}

// lock makes the folder and takes the lock of one conversation.
func (s Store) lock(ctx context.Context, name string) (unlock func(), err error) {
	if err := state.MkdirPrivate(s.Dir); err != nil {
		return nil, unavailable(err)
	}
	unlock, err = state.Lock(ctx, filepath.Join(s.Dir, "."+name+lockSuffix))
	switch {
	case err == nil:
		return unlock, nil
	case ctx.Err() != nil:
		return nil, text.Errorf("another ferry holds it", "session %s is in use: %w", name, context.Cause(ctx))
	}
	return nil, unavailable(err)
}

// Session is the conversation as it is now; it stays the same object until Close. Only Nodes, API and Model
// are the caller's to change.
func (h *Handle) Session() *Session { return h.session }

// Ask stores a prompt with its files before it is sent, in place of an earlier one without an answer: if the turn fails, the prompt is
// not lost. Where the disk did not take it, errors.Is(err, ErrUnavailable) holds, and the handle goes on in memory:
// Answer tries the disk again. Any other error changes nothing.
func (h *Handle) Ask(prompt string, files []File, now time.Time) error {
	if prompt == "" {
		return fmt.Errorf("session %s: there is no prompt to store", h.session.Name)
	}
	next := *h.session
	next.Pending, next.PendingFiles, next.Used = prompt, files, stamp(now)
	given := h.session.PendingFiles
	err := h.save(next)
	if err == nil && len(given) > 0 && h.path != "" {
		_ = h.store.removeAttached(next) // the replaced prompt's; best effort: rm takes them too
	}
	return err
}

// Answer appends the prompt that Ask stored and what came back, both or neither. It fails as Ask does; on disk
// the prompt then still waits for its answer.
func (h *Handle) Answer(text, node, model string, now time.Time) error {
	next := *h.session
	if next.Pending == "" {
		return fmt.Errorf("session %s: an answer without a prompt", next.Name)
	}
	next.Turns = append(slices.Clip(next.Turns),
		Turn{Role: User, Text: next.Pending, Files: next.PendingFiles, At: next.Used},
		Turn{Role: Assistant, Text: text, Node: node, Model: model, At: stamp(now)})
	next.Pending, next.PendingFiles, next.Used = "", nil, stamp(now)
	return h.save(next)
}

func (h *Handle) save(next Session) error {
	data, err := next.MarshalJSON()
	if err != nil {
		return err
	}
	if len(data) > h.limit {
		return text.Errorf("--new begins another one",
			"session %s is full: it would be larger than %d MiB", next.Name, h.limit>>20)
	}
	*h.session = next
	if h.path == "" {
		return nil // Open has said so
	}
	if err := h.keepFiles(next); err != nil {
		return err
	}
	if err := state.WriteFile(h.path, data, 0o600); err != nil {
		return unavailable(err)
	}
	return nil
}

// Close lets others have the conversation; calling it again does nothing.
func (h *Handle) Close() { h.unlock() }

// Read gives one conversation without waiting for the process that has it open. For errors.Is, an error is ErrNotFound where
// there is none, and ErrUnavailable where the folder does not even say whether there is one.
func (s Store) Read(name string) (*Session, error) {
	data, err := s.read(name)
	if err != nil {
		return nil, err
	}
	session, err := decode(data)
	if err != nil {
		return nil, s.blame(name, err)
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

// blame names the file that could not be understood. The file stays as it is.
func (s Store) blame(name string, err error) error {
	return text.Errorf("ferry leaves the file alone; ferry config session rm "+name+" takes it away",
		"%s: %w", s.path(name), err)
}

func (s Store) path(name string) string { return filepath.Join(s.Dir, name+fileSuffix) }

// stamp is a time as the file holds it: UTC, to the millisecond, without the monotonic reading.
func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// newToken makes a UUID of version 4 (RFC 9562 section 5.4).
func newToken() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program where there is no randomness
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// isToken reports whether a token has the form of those that newToken makes: it goes into a header, and the file can be
// changed by hand.
func isToken(token string) bool {
	is, _ := regexp.MatchString(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`, token)
	return is
}

// IdleAdvised reports whether an idle time is within the advised 300 to 600 s. The range is the reference article's, for
// the stateful connection of a gateway.
func IdleAdvised(idle time.Duration) bool { return idle >= 300*time.Second && idle <= 600*time.Second }

// maxName is the most bytes of a name: with what is put around it, it fits every file system.
const maxName = 64

// NewName makes a name that can be read and that no other call makes: the minute, in now's own zone, and six letters or
// digits by chance.
func NewName(now time.Time) string {
	return now.Format("2006-01-02-1504-") + strings.ToLower(rand.Text()[:6])
}

// checkName fails where name cannot name a conversation. It may have letters, digits and marks of every
// script, '-', '_' and '.', at most 64 bytes in all. It begins with neither '.', whose files are hidden, nor '-', which
// would be taken for a flag, nor a mark, and is no device of Windows, so that it names the same thing everywhere.
func checkName(name string) error {
	bad := func(reason string) error {
		hint := fmt.Sprintf("letters, digits, - _ and . make a name, up to %d bytes", maxName)
		return text.Errorf(hint, "%q cannot name a session: %s", name, reason)
	}
	switch {
	case name == "":
		return bad("it is empty")
	case len(name) > maxName:
		return fmt.Errorf("a session's name has at most %d bytes; this one has %d", maxName, len(name))
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

// isDevice reports whether Windows takes name for a device, whatever follows its first dot.
func isDevice(name string) bool {
	base, _, _ := strings.Cut(strings.ToLower(name), ".")
	switch base {
	case "con", "prn", "aux", "nul":
		return true
	}
	number := strings.TrimPrefix(strings.TrimPrefix(base, "com"), "lpt")
	return number != base && utf8.RuneCountInString(number) == 1 && strings.Contains("0123456789¹²³", number)
}

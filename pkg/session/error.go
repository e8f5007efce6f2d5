package session

import "errors"

var (
	// ErrNotFound is that there is no such conversation, or none at all.
	ErrNotFound = errors.New("there is no such session")
	// ErrUnavailable is that the folder cannot be made, read or written. Nothing is wrong with the conversation.
	ErrUnavailable = errors.New("the sessions cannot be kept")
)

// Error says what is wrong with a name, a file or the folder.
type Error struct {
	Text     string
	HintText string
	Err      error // the cause, nil where there is none

	kind error // ErrNotFound or ErrUnavailable, nil for others
}

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Text
	}
	return e.Text + ": " + e.Err.Error()
}

// Unwrap gives the cause and the kind.
func (e *Error) Unwrap() []error {
	var all []error
	for _, err := range []error{e.Err, e.kind} {
		if err != nil {
			all = append(all, err)
		}
	}
	return all
}

// Hint tells what to do about it; it may be empty.
func (e *Error) Hint() string { return e.HintText }

func notFound(name string) error {
	return &Error{Text: "there is no session " + name, HintText: "ferry config session list shows them", kind: ErrNotFound}
}

// unavailable marks a failure of the system's.
func unavailable(err error) error {
	return &Error{Text: "the folder of the sessions cannot be used", Err: err, kind: ErrUnavailable}
}

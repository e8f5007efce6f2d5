package state

import "os"

// OpenAppend opens a private file to add to its end, and makes it with mode 0600 when it is missing. What exists must
// pass the checks of ReadPrivate: a symbolic link, another user's file and one that others can read are refused. Each
// Write goes to the end in one piece, whatever else is written. Every failure is an *Error.
func OpenAppend(path string) (*os.File, error) { return openAppend(path) }

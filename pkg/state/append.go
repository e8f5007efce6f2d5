package state

import "os"

// OpenPrivate opens a private file, and makes it with mode 0600 where the flag says so and it is missing. What exists must
// pass the checks of ReadPrivate: a symbolic link, another user's file and one that others can read are refused. A file that
// is to be written must have no other name either. Do not pass os.O_TRUNC: it would empty a file before it is checked. Every
// failure is an *Error.
func OpenPrivate(path string, flag int) (*os.File, error) { return openPrivate(path, flag) }

// OpenAppend is OpenPrivate to add to the end. Each Write goes there in one piece, whatever else is written.
func OpenAppend(path string) (*os.File, error) {
	return OpenPrivate(path, os.O_RDWR|os.O_APPEND|os.O_CREATE)
}

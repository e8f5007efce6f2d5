package term

import (
	"os"

	"golang.org/x/sys/windows"
	xterm "golang.org/x/term"
)

// Closed reports whether a standard stream was closed when the process began, as by >&- in a shell. It returns false:
// Windows cannot report this.
func Closed(any, ...any) bool { return false }

// ReadOnly reports whether a stream is open only for reading. It returns false: Windows cannot report this.
func ReadOnly(any) bool { return false }

// ReadSecret reads a line from a terminal without echo.
func ReadSecret(file *os.File) ([]byte, error) { return xterm.ReadPassword(int(file.Fd())) }

// supportsEscapes reports whether a terminal supports colour and cursor moves. A Windows console needs a mode for that,
// which old consoles do not have. The mode is not reset, because current programs expect it.
func supportsEscapes(file *os.File) bool {
	console := windows.Handle(file.Fd())
	var mode uint32
	var screen windows.ConsoleScreenBufferInfo
	if windows.GetConsoleMode(console, &mode) != nil || windows.GetConsoleScreenBufferInfo(console, &screen) != nil {
		return true // a Cygwin terminal, or the input of a console
	}
	return mode&windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING != 0 ||
		windows.SetConsoleMode(console, mode|windows.ENABLE_PROCESSED_OUTPUT|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}

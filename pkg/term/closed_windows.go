package term

import (
	"os"

	"golang.org/x/sys/windows"
	xterm "golang.org/x/term"
)

// Closed cannot tell on Windows.
func Closed(any, ...any) bool { return false }

// ReadOnly cannot tell on Windows.
func ReadOnly(any) bool { return false }

// ReadSecret reads a line from a terminal without echo.
func ReadSecret(file *os.File) ([]byte, error) { return xterm.ReadPassword(int(file.Fd())) }

// takesEscapes reports whether a terminal takes colour and cursor moves. A console of Windows has to be told to; older ones
// cannot. The mode stays, as it is what every program of today wants.
func takesEscapes(file *os.File) bool {
	console := windows.Handle(file.Fd())
	var mode uint32
	var screen windows.ConsoleScreenBufferInfo
	if windows.GetConsoleMode(console, &mode) != nil || windows.GetConsoleScreenBufferInfo(console, &screen) != nil {
		return true // a terminal of Cygwin, or a console's input
	}
	return mode&windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING != 0 ||
		windows.SetConsoleMode(console, mode|windows.ENABLE_PROCESSED_OUTPUT|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}

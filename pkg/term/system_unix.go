//go:build unix

package term

import (
	"bufio"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Closed reports whether a standard stream was closed when the process began, as by >&- in a shell. The Go runtime then
// opens /dev/null for reading and writing in its place.
//
// Some programs also open /dev/null like this for the processes they start. If the open file is shared with another
// standard stream, given in others, such a program opened it: the runtime opens it separately for each stream.
func Closed(stream any, others ...any) bool {
	fd, flags, ok := opened(stream)
	if !ok {
		return fd >= 0
	}
	if flags&unix.O_ACCMODE != unix.O_RDWR || flags&unix.O_APPEND != 0 || !isNull(fd) {
		return false
	}
	// Streams that share one open file share its flags.
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFL, flags|unix.O_APPEND); err != nil {
		return false
	}
	defer unix.FcntlInt(uintptr(fd), unix.F_SETFL, flags)
	for _, other := range others {
		if _, flags, ok := opened(other); ok && flags&unix.O_APPEND != 0 && isNull(int(other.(*os.File).Fd())) {
			return false
		}
	}
	return true
}

// ReadOnly reports whether a stream is open only for reading.
func ReadOnly(stream any) bool {
	_, flags, ok := opened(stream)
	return ok && flags&unix.O_ACCMODE == unix.O_RDONLY
}

// ReadSecret reads a line from a terminal without echo. Unlike x/term, it also returns at the end of input (Ctrl-D).
func ReadSecret(file *os.File) ([]byte, error) {
	fd := int(file.Fd())
	before, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return nil, err
	}
	silent := *before
	silent.Lflag = silent.Lflag&^unix.ECHO | unix.ICANON | unix.ISIG
	silent.Iflag |= unix.ICRNL
	if err := unix.IoctlSetTermios(fd, setTermios, &silent); err != nil {
		return nil, err
	}
	defer unix.IoctlSetTermios(fd, setTermios, before)
	line, err := bufio.NewReader(file).ReadBytes('\n')
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return line, err
}

// supportsEscapes reports whether a terminal supports colour and cursor moves. On Unix, TERM decides that.
func supportsEscapes(*os.File) bool { return true }

// opened returns the descriptor of an open file, -1 if the stream is not a file, and its flags.
func opened(stream any) (fd, flags int, ok bool) {
	file, isFile := stream.(*os.File)
	if !isFile || file == nil {
		return -1, 0, false
	}
	fd = int(file.Fd())
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	return fd, flags, err == nil
}

func isNull(fd int) bool {
	var st, null unix.Stat_t
	return unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFCHR &&
		unix.Stat(os.DevNull, &null) == nil && st.Rdev == null.Rdev
}

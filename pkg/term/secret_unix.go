//go:build unix

package term

import (
	"bufio"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

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

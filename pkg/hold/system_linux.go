package hold

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// peerUser returns the user of the process on the other side of a socket.
func peerUser(fd uintptr) (uint32, error) {
	peer, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return 0, os.NewSyscallError("getsockopt", err)
	}
	return peer.Uid, nil
}

// residentMemory returns the resident memory of this process in bytes; 0 if it is unknown.
func residentMemory() int64 {
	text, err := os.ReadFile("/proc/self/statm") // in pages: size, resident, …
	fields := bytes.Fields(text)
	if err != nil || len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// unmapProgram releases the pages of this program's file. Most of them are needed only at the start; pages that are
// used again are read from the system's cache. Only pages that are unchanged since they were mapped from the file may
// be released: a loader may have written addresses into pages that are read-only now.
func unmapProgram() {
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return
	}
	var m mapping
	for line := range bytes.Lines(maps) {
		fields := bytes.Fields(line)
		switch {
		case len(fields) == 3 && string(fields[0]) == "Anonymous:":
			if string(fields[1]) == "0" && m.fromFile {
				_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_DONTNEED) // best effort
			}
		case len(fields) > 1 && !bytes.HasSuffix(fields[0], []byte(":")):
			m = readMapping(fields)
		}
	}
}

// mapping is a range of this process's memory.
type mapping struct {
	from, to uintptr
	fromFile bool // and not writable
}

// readMapping reads the first line of a mapping in smaps: from-to mode offset device inode file.
func readMapping(fields [][]byte) (m mapping) {
	if _, err := fmt.Sscanf(string(fields[0]), "%x-%x", &m.from, &m.to); err != nil || len(fields) < 6 {
		return mapping{}
	}
	m.fromFile = fields[5][0] == '/' && fields[1][1] == '-'
	return m
}

package hold

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// peerUser is the user of the process on the other side of a socket.
func peerUser(fd uintptr) (uint32, error) {
	peer, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return 0, os.NewSyscallError("getsockopt", err)
	}
	return peer.Uid, nil
}

// residentMemory is what this process has in memory, in bytes; 0 where it cannot be told.
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

// unmapProgram gives up the pages of this program's file, most of which only its start needed: those that are used again
// come back from the system's cache. Only what is as it is in the file may go: a loader can have written addresses into
// pages that are read-only by now.
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
				_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_DONTNEED) // else they stay
			}
		case len(fields) > 1 && !bytes.HasSuffix(fields[0], []byte(":")):
			m = readMapping(fields)
		}
	}
}

// mapping is a part of this process's memory.
type mapping struct {
	from, to uintptr
	fromFile bool // that cannot be written to
}

// readMapping reads the line above what smaps says of a part: from-to mode offset device inode file.
func readMapping(fields [][]byte) (m mapping) {
	if _, err := fmt.Sscanf(string(fields[0]), "%x-%x", &m.from, &m.to); err != nil || len(fields) < 6 {
		return mapping{}
	}
	m.fromFile = fields[5][0] == '/' && fields[1][1] == '-'
	return m
}

package hold

import (
	"bytes"
	"os"
	"strconv"
)

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

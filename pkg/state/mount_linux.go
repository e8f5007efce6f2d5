package state

import (
	"os"

	"golang.org/x/sys/unix"
)

// readOnlyMount reports whether a file is on a read-only mount, for example a volume of a container.
func readOnlyMount(f *os.File) bool {
	var st unix.Statfs_t
	return unix.Fstatfs(int(f.Fd()), &st) == nil && st.Flags&unix.ST_RDONLY != 0
}

func readOnlyFolder(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && st.Flags&unix.ST_RDONLY != 0
}

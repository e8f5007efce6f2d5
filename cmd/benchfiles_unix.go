//go:build unix

package cmd

import "golang.org/x/sys/unix"

// spareFiles is what ferry has open beside its connections.
const spareFiles = 16

// enoughFiles refuses more connections at once than the system lets a process have. Go has raised the soft limit to the
// hard one by now.
func enoughFiles(connections int) error {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil || uint64(connections+spareFiles) <= uint64(limit.Cur) {
		return nil
	}
	return usagef("a smaller -c, or ulimit -n with a larger number",
		"%d connections at once do not fit into this process's limit of %d open files", connections, limit.Cur)
}

package state

import "io/fs"

// keepOwner has nothing to keep: Windows mode bits say only whether a file is read-only, and the access list comes
// from the folder.
func keepOwner(_ file, _ fs.FileInfo, perm fs.FileMode) fs.FileMode { return perm }

// syncDir has nothing to do: a folder cannot be flushed on Windows, and the rename is journalled.
func syncDir(string) error { return nil }

//go:build unix

package state

import "os"

func openAppend(path string) (*os.File, error) {
	return openChecked(path, os.O_RDWR|os.O_APPEND|os.O_CREATE)
}

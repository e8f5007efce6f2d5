//go:build !unix

package limit

import "errors"

func useUnwritable([]string) error { return errors.New("there are no users to be here") }

func useFull([]string) error { return errors.New("there are no limits on files here") }

package state

import "os"

// lockTemp does nothing: the system removes no file that is open, and for the rest the age tells.
func lockTemp(string) (*os.File, error) { return nil, nil }

func tempAbandoned(_ string, old bool) (unlock func(), abandoned bool) { return func() {}, old }

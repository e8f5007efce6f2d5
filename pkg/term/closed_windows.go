package term

// Closed cannot tell on Windows.
func Closed(any, ...any) bool { return false }

// ReadOnly cannot tell on Windows.
func ReadOnly(any) bool { return false }

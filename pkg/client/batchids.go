package client

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// seenIDs finds ids that come twice. It keeps 24 bytes of an id that is an item's own and a bit of one that is a line's
// number.
type seenIDs struct {
	own      []seenID
	numbered marks
	numbers  []int // own ids that are the number of another line
}

type seenID struct {
	sum  [16]byte // 128 bits of a digest: no two ids share them by chance
	line int
}

func (s *seenIDs) add(item Item) {
	if item.numbered {
		s.numbered.set(item.Line)
		return
	}
	sum := sha256.Sum256([]byte(item.ID))
	s.own = append(s.own, seenID{[16]byte(sum[:16]), item.Line})
	if n, err := strconv.Atoi(item.ID); err == nil && n > 0 && strconv.Itoa(n) == item.ID {
		s.numbers = append(s.numbers, n)
	}
}

// DuplicateError is an id that two items have.
type DuplicateError struct {
	ID            string
	First, Second int
}

func (e *DuplicateError) Error() string {
	return fmt.Sprintf("lines %d and %d have the same id %q", e.First, e.Second, e.ID)
}

// Hint tells what to do about it.
func (e *DuplicateError) Hint() string { return "an item without an id has the number of its line" }

// twice names the first id that comes a second time, nil without one.
func (s *seenIDs) twice(r *inputReader) error {
	for _, n := range s.numbers {
		if s.numbered.has(n) {
			sum := sha256.Sum256([]byte(strconv.Itoa(n)))
			s.own = append(s.own, seenID{[16]byte(sum[:16]), n})
		}
	}
	slices.SortFunc(s.own, func(a, b seenID) int {
		if c := bytes.Compare(a.sum[:], b.sum[:]); c != 0 {
			return c
		}
		return a.line - b.line
	})
	var found *DuplicateError
	for i := 1; i < len(s.own); i++ {
		a, b := s.own[i-1], s.own[i]
		if a.sum == b.sum && (found == nil || b.line < found.Second) {
			found = &DuplicateError{First: a.line, Second: b.line}
		}
	}
	if found == nil {
		return nil
	}
	r.rewind()
	_, err := r.items(r, func(item Item, _ *ItemError) error {
		if item.Line == found.First {
			found.ID = item.ID
		}
		return nil
	})
	return errors.Join(err, found)
}

// marks is a set of line numbers, a bit for each line.
type marks []uint64

func (m *marks) set(line int) {
	for len(*m) <= line/64 {
		*m = append(*m, 0)
	}
	(*m)[line/64] |= 1 << (line % 64)
}

func (m marks) clear(line int) {
	if line/64 < len(m) {
		m[line/64] &^= 1 << (line % 64)
	}
}

func (m marks) has(line int) bool { return line/64 < len(m) && m[line/64]&(1<<(line%64)) != 0 }

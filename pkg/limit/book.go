package limit

import (
	"context"
	"errors"

	"ferry/pkg/state"
)

// book is a ledger's state while one has the lock.
type book struct {
	now   reading
	day   string
	rows  []Use
	holds holds
	spent bool  // the rows were changed
	moved []int // the places that were changed
}

func (b *book) put(place int, p promise) { b.holds[place], b.moved = p, append(b.moved, place) }

func (b *book) drop(place int) {
	delete(b.holds, place)
	b.moved = append(b.moved, place)
}

// look opens the book under the lock, hands it to step, and keeps what step changed unless it returns an error, which is
// returned. When the files fail, the book is kept in memory from then on.
func (l *Ledger) look(ctx context.Context, step func(*book) error) error {
	leave, shared, err := l.enter(ctx, func() bool { return false })
	if err != nil {
		return err
	}
	defer leave()
	if shared || !l.known {
		if err := l.load(); err != nil {
			return err
		}
	}
	b := &book{now: read(l.clock), day: today(l.clock), rows: l.rows, holds: holds{}}
	for place, p := range l.holds {
		if p.stands(b.now) {
			b.holds[place] = p
		}
	}
	if err := step(b); err != nil {
		return err
	}
	l.rows, l.holds = b.rows, b.holds
	if shared && l.Degraded() == nil {
		if err := l.store(b); err != nil {
			l.lose(err)
		}
	}
	return nil
}

// load brings the newest known up to the files. It is made once even without the lock: a folder that cannot be written
// can often be read. Only a file of rows that cannot be understood is an error.
func (l *Ledger) load() error {
	if l.folder == "" {
		l.known = true
		return nil
	}
	var broken *BrokenError
	rows, err := readUsage(l.path())
	if errors.As(err, &broken) {
		return err
	}
	var standing holds
	if err == nil {
		l.rows = rows
		standing, err = readHolds(l.holdsPath(), read(l.clock))
	}
	if err != nil {
		l.lose(err)
		l.known = true
		return nil
	}
	l.holds, l.known = standing, true
	return nil
}

// store writes what was changed: first what was used, so that a process that is killed in between counts too much for a while,
// and not too little.
func (l *Ledger) store(b *book) error {
	if b.spent {
		if err := state.WriteFile(l.path(), encodeUsage(b.rows), 0o600); err != nil {
			return err
		}
	}
	if len(b.moved) == 0 {
		return nil
	}
	f, _, err := openPlace(l.holdsPath())
	if err != nil {
		return err
	}
	defer f.Close()
	for _, place := range b.moved {
		if err := putHold(f, place, b.holds); err != nil {
			return err
		}
	}
	return nil
}

func (l *Ledger) holdsPath() string { return l.path() + holdsSuffix }

package limit

import (
	"context"
	"sync"
	"time"
)

// Ledger counts the tokens that one address used, and keeps a budget. It may be used from many goroutines, and any
// number of processes with the same folder and address share it.
type Ledger struct {
	*door
	clock  Clock
	node   string
	budget Budget
	rows   []Use // the newest known, which count where the files do not
	holds  holds
	known  bool // the files were read
}

// NewLedger gives the ledger of a node's address, which is its URL; node is the name that Usage lists. It touches no
// file yet. Without a budget it only counts.
func NewLedger(folder, address, node string, budget Budget, clock Clock) *Ledger {
	return &Ledger{
		door:   newDoor(folder, fileName(address)+usageSuffix),
		clock:  clock,
		node:   nodeName(node),
		budget: budget,
		holds:  holds{},
	}
}

// Hold is what one request may use of the budget, until Spend or Release.
type Hold struct {
	ledger *Ledger
	made   promise // its day is the request's: the answer may come on the next
	place  int     // -1 without a budget
	shared bool    // other processes see it
	once   sync.Once
}

// Left is how many tokens of today's budget are neither used nor held, and no less than 0. Without a budget it is more
// than any budget. It fails as Hold does, but for *SpentError.
func (l *Ledger) Left(ctx context.Context) (int64, error) {
	if l.budget.Tokens == 0 {
		return maxCount, nil
	}
	var left int64
	err := l.look(ctx, func(b *book) error {
		left = max(0, l.budget.Tokens-spentOn(b.rows, b.day)-b.holds.on(b.day))
		return nil
	})
	return left, err
}

// Hold sets the most that a request may use, its input and its largest answer, apart from the budget before it is sent.
// It lasts until Spend or Release, and at most for lasts, the time that the caller gives the request, so that a killed
// process does not keep it.
//
// A request may begin while anything is left. So at most one at a time passes the end of the budget: however many
// processes there are, a day goes beyond its budget by less than the worst of one request. With nothing left the error
// is *SpentError. A file that cannot be understood is a *BrokenError, and nothing is to be sent: it may say that nothing
// is left. Where the folder cannot be used, the count goes on in the process, from what could be read; Degraded tells.
// Otherwise only ctx makes it fail, with its cause.
func (l *Ledger) Hold(ctx context.Context, worst int64, lasts time.Duration) (*Hold, error) {
	if l.budget.Tokens == 0 {
		return &Hold{ledger: l, made: promise{day: today(l.clock)}, place: -1}, nil
	}
	hold := &Hold{ledger: l}
	err := l.look(ctx, func(b *book) error {
		spent, held := spentOn(b.rows, b.day), b.holds.on(b.day)
		place, free := b.holds.free()
		if spent+held >= l.budget.Tokens || !free {
			return &SpentError{Budget: l.budget, Spent: spent, Held: held}
		}
		hold.place = place
		hold.made = promise{day: b.day, tokens: count(worst), at: b.now, lasts: min(max(lasts, 0), maxLasts)}
		b.put(place, hold.made)
		return nil
	})
	if err != nil {
		return nil, err
	}
	hold.shared = !l.alone && l.Degraded() == nil
	return hold, nil
}

// count keeps a number of tokens within what one request can use.
func count(tokens int64) int64 { return min(max(tokens, 0), maxTokens) }

// Spend counts what the request used, on the day on which it was held, and ends the hold. The count is flushed to the
// disk; one that cannot be written stays with the process, and as a hold, and Degraded tells. It does not end with the request's
// context: what was used was used. The error is a *BrokenError or nil. Only the first call of Spend or Release counts.
func (h *Hold) Spend(input, output int64) (err error) {
	h.once.Do(func() {
		use := Use{Day: h.made.day, Node: h.ledger.node, Requests: 1, Input: count(input), Output: count(output)}
		err = h.ledger.look(context.Background(), func(b *book) error {
			b.rows, b.spent = recordUse(b.rows, use, b.day), true
			h.end(b)
			return nil
		})
		if err == nil && h.shared && h.ledger.Degraded() != nil {
			h.keep(use.Input + use.Output)
		}
	})
	return err
}

// keep lets what was used stand as a hold for the rest of the day, where the list of tokens used cannot be written, as on a
// full disk: the place of a hold is there already.
func (h *Hold) keep(tokens int64) {
	now := read(h.ledger.clock)
	if !h.made.stands(now) {
		return // another process may have the place by now
	}
	p := promise{day: h.made.day, tokens: count(tokens), at: now, lasts: 24 * time.Hour}
	if f, _, err := openPlace(h.ledger.holdsPath()); err == nil {
		defer f.Close()
		_ = putHold(f, h.place, holds{h.place: p}) // best effort: Degraded tells that something is wrong
	}
}

// Release ends the hold of a request that used nothing. The error is a *BrokenError or nil.
func (h *Hold) Release() (err error) {
	h.once.Do(func() {
		if h.place >= 0 {
			err = h.ledger.look(context.Background(), func(b *book) error {
				h.end(b)
				return nil
			})
		}
	})
	return err
}

// end gives the place back, unless the promise has run out by itself: another process may have the place by now.
func (h *Hold) end(b *book) {
	if p, taken := b.holds[h.place]; taken && p == h.made {
		b.drop(h.place)
	}
}

// today is the date by the clock.
func today(c Clock) string { return c.Now().Format(time.DateOnly) }

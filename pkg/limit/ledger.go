package limit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"sync"
	"time"

	"ferry/pkg/state"
)

const (
	holdsSuffix = ".holds"
	// holdSize is the place of a hold in the file. It divides a page of memory, so that the kernel never writes half a
	// line of a killed process.
	holdSize = 256
	// maxHolds bounds the file, and how many requests of a user may be on their way to an address.
	maxHolds = 4096
	maxLasts = 7 * 24 * time.Hour
	// maxTokens bounds what one request is believed to have used.
	maxTokens = 1_000_000_000_000
)

// Ledger counts the tokens that one address used, and keeps a budget. It may be used from many goroutines, and any
// number of processes with the same folder and address share it.
type Ledger struct {
	*sharedFile
	clock  Clock
	node   string
	budget int64
	// rows and held, by the place in the file, are the newest known. They count where the files do not.
	rows []Use
	held map[int]held
	read bool // the files were read
}

// NewLedger gives the ledger of a node's address, which is its URL; node is the name that Usage lists. The budget is in
// tokens a day; with 0 the ledger only counts. It touches no file yet.
func NewLedger(folder, address, node string, budget int64, clock Clock) *Ledger {
	return &Ledger{
		sharedFile: newSharedFile(folder, Place(address)+usageSuffix),
		clock:      clock,
		node:       nodeName(node),
		budget:     budget,
		held:       map[int]held{},
	}
}

// held is the most that a request on its way may use. It ends by itself, so that a killed process does not keep it.
type held struct {
	Day    string        `json:"day"`
	Tokens int64         `json:"tokens"`
	At     reading       `json:"at"`
	Lasts  time.Duration `json:"lasts"`
}

// stands tells whether it still counts at now. One from before a restart does not: its process is gone. By the wall's
// time, which can be set, it counts for as long as it lasts around the moment it was made.
func (h held) stands(now reading) bool {
	if h.At.ID != "" && now.ID != "" {
		return h.At.ID == now.ID && now.since(h.At) < h.Lasts
	}
	return time.Duration(max(now.Wall-h.At.Wall, h.At.Wall-now.Wall)) < h.Lasts
}

// decodeHeld reads what encode wrote of it, and nothing else.
func decodeHeld(line []byte) (held, bool) {
	var h held
	ok := decode(line, &h) && h.At.valid() && h.Tokens == count(h.Tokens) && h.Lasts >= 0 && h.Lasts <= maxLasts
	_, err := time.Parse(time.DateOnly, h.Day)
	return h, ok && err == nil
}

// Hold is what one request may use of the budget, until Spend or Release.
type Hold struct {
	ledger *Ledger
	made   held // its day is the request's: the answer may come on the next
	place  int  // -1 without a budget
	shared bool // other processes see it
	once   sync.Once
}

// SpentError says that nothing of the day's budget is left. Nothing was held.
type SpentError struct {
	Budget int64
	// Spent is what the day's answers used; Held is the most that requests on their way may still use.
	Spent, Held int64
}

func (e *SpentError) Error() string {
	if e.Spent >= e.Budget {
		return fmt.Sprintf("the budget of %d tokens/day is used up: %d today", e.Budget, e.Spent)
	}
	return fmt.Sprintf("the budget of %d tokens/day is spoken for: %d used today, up to %d by requests on their way",
		e.Budget, e.Spent, e.Held)
}

// Hint tells what to do about it.
func (e *SpentError) Hint() string {
	if e.Spent >= e.Budget {
		return "a new day begins at midnight; ferry config usage shows what used it"
	}
	return "try again when they are done; fewer at once, or a lower --max-tokens, leave room"
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
	if l.budget == 0 {
		return &Hold{ledger: l, made: held{Day: today(l.clock)}, place: -1}, nil
	}
	hold := &Hold{ledger: l}
	err := l.open(ctx, func(now reading, day string) error {
		spent, onTheWay := spentOn(l.rows, day), l.heldOn(day)
		place := 0
		for _, taken := l.held[place]; taken; _, taken = l.held[place] {
			place++
		}
		if spent+onTheWay >= l.budget || place >= maxHolds {
			return &SpentError{Budget: l.budget, Spent: spent, Held: onTheWay}
		}
		hold.place = place
		hold.made = held{Day: day, Tokens: count(worst), At: now, Lasts: min(max(lasts, 0), maxLasts)}
		l.held[place] = hold.made
		l.save(func() error { return l.putHeld(place, encode(hold.made)) })
		return nil
	})
	if err != nil {
		return nil, err
	}
	hold.shared = l.isShared()
	return hold, nil
}

// count keeps a number of tokens within what one request can use.
func count(tokens int64) int64 { return min(max(tokens, 0), maxTokens) }

// Spend counts what the request used, on the day on which it was held, and ends the hold. The count is flushed to the
// disk; one that cannot be written stays with the process, and as a hold, and Degraded tells. It does not end with the
// request's context: what was used was used. The error is a *BrokenError or nil. Only the first call of Spend or Release
// counts.
func (h *Hold) Spend(input, output int64) (err error) {
	l := h.ledger
	h.once.Do(func() {
		use := Use{Day: h.made.Day, Node: l.node, Requests: 1, Input: count(input), Output: count(output)}
		err = l.open(context.Background(), func(_ reading, day string) error {
			l.rows = recordUse(l.rows, use, day)
			// What was used is written first: a process that is killed in between counts too much for a while, not too little.
			l.save(func() error { return state.WriteFile(l.path(), encodeUsage(l.rows), 0o600) })
			h.end()
			return nil
		})
		now := read(l.clock)
		if err == nil && h.shared && !l.isShared() && h.made.stands(now) { // else another process may have the place by now
			// The list cannot be written, as on a full disk; the place of the hold is there already. What was used stands
			// there for the rest of the day.
			kept := held{Day: h.made.Day, Tokens: count(use.Input + use.Output), At: now, Lasts: 24 * time.Hour}
			_ = l.putHeld(h.place, encode(kept)) // best effort: Degraded tells that something is wrong
		}
	})
	return err
}

// Release ends the hold of a request that used nothing. The error is a *BrokenError or nil.
func (h *Hold) Release() (err error) {
	h.once.Do(func() {
		if h.place >= 0 {
			err = h.ledger.open(context.Background(), func(reading, string) error {
				h.end()
				return nil
			})
		}
	})
	return err
}

// end gives the place back, unless the hold has ended by itself: another process may have the place by now.
func (h *Hold) end() {
	l := h.ledger
	if l.held[h.place] == h.made && h.place >= 0 {
		delete(l.held, h.place)
		l.save(func() error { return l.putHeld(h.place, make([]byte, holdSize)) })
	}
}

// today is the date by the clock.
func today(c Clock) string { return c.Now().Format(time.DateOnly) }

// open calls step under the lock, with what is known and still counts. Its error is returned. When the files fail, the
// count is kept in memory from then on.
func (l *Ledger) open(ctx context.Context, step func(now reading, day string) error) error {
	leave, shared, err := l.enter(ctx, func() bool { return false })
	if err != nil {
		return err
	}
	defer leave()
	if shared || !l.read {
		if err := l.load(); err != nil {
			return err
		}
	}
	now := read(l.clock)
	maps.DeleteFunc(l.held, func(_ int, h held) bool { return !h.stands(now) })
	return step(now, today(l.clock))
}

// load reads the files. It is done once even without the lock: a folder that cannot be written can often be read. Only
// a file of rows that cannot be understood is an error.
func (l *Ledger) load() error {
	if l.folder != "" {
		rows, err := readUsage(l.path())
		if _, broken := errors.AsType[*BrokenError](err); broken {
			return err
		}
		if err == nil {
			l.rows = rows
			err = l.loadHeld()
		}
		if err != nil {
			l.degrade(err)
		}
	}
	l.read = true
	return nil
}

// loadHeld reads the holds. Places that hold none are free. It makes no file.
func (l *Ledger) loadHeld() error {
	data, err := state.ReadPrivate(l.holdsPath(), maxHolds*holdSize)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	l.held = decodeHolds(data)
	return nil
}

func decodeHolds(data []byte) map[int]held {
	all := map[int]held{}
	for place := 0; place*holdSize < len(data); place++ {
		if h, ok := decodeHeld(data[place*holdSize : min(len(data), (place+1)*holdSize)]); ok {
			all[place] = h
		}
	}
	return all
}

// heldOn is the sum of a day's holds.
func (l *Ledger) heldOn(day string) int64 {
	var sum int64
	for _, h := range l.held {
		if h.Day == day {
			sum = min(sum+h.Tokens, maxCount)
		}
	}
	return sum
}

func (l *Ledger) isShared() bool { return !l.alone && l.Degraded() == nil }

// save writes what was changed, where the count is shared.
func (l *Ledger) save(write func() error) {
	if l.isShared() {
		if err := write(); err != nil {
			l.degrade(err)
		}
	}
}

// putHeld writes one place. The file is never truncated: some file systems flush one that was truncated to nothing when
// it is closed, which takes milliseconds.
func (l *Ledger) putHeld(place int, line []byte) error {
	f, _, err := openInPlace(l.holdsPath())
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteAt(line, int64(place)*holdSize)
	return err
}

func (l *Ledger) holdsPath() string { return l.path() + holdsSuffix }

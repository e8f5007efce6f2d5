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
	// holdSize is the size of a record in the file of holds. It divides a memory page, so the kernel never writes half a
	// record of a killed process.
	holdSize = 256
	// maxHolds limits the file, and the number of requests of a user in flight to one address.
	maxHolds = 4096
	maxLasts = 7 * 24 * time.Hour
	// maxTokens limits the tokens that one request can count.
	maxTokens = 1_000_000_000_000
)

// Ledger counts the tokens used at one address and enforces a budget. It is safe for concurrent use. All processes
// with the same folder and address share it.
type Ledger struct {
	*sharedFile
	clock  Clock
	node   string
	budget int64
	// rows and held are the latest known state, used if the files cannot be used. The key of held is the record number in
	// the file.
	rows []Use
	held map[int]held
	read bool // the files have been read
}

// NewLedger returns the ledger of a node's address, which is its URL. node is the name that Usage lists. The budget is
// in tokens per day; with 0 the ledger only counts. NewLedger touches no file.
func NewLedger(folder, address, node string, budget int64, clock Clock) *Ledger {
	return &Ledger{
		sharedFile: newSharedFile(folder, Place(address)+usageSuffix),
		clock:      clock,
		node:       nodeName(node),
		budget:     budget,
		held:       map[int]held{},
	}
}

// held is the maximum that a request in flight may use. It expires, so that a killed process does not keep it.
type held struct {
	Day    string        `json:"day"`
	Tokens int64         `json:"tokens"`
	At     reading       `json:"at"`
	Lasts  time.Duration `json:"lasts"`
}

// stands reports whether h still counts at now. After a restart of the machine it does not: its process is gone. By
// the wall time, which can be set, it counts if now is less than Lasts before or after the time it was made.
func (h held) stands(now reading) bool {
	if h.At.ID != "" && now.ID != "" {
		return h.At.ID == now.ID && now.since(h.At) < h.Lasts
	}
	return time.Duration(max(now.Wall-h.At.Wall, h.At.Wall-now.Wall)) < h.Lasts
}

// decodeHeld decodes a line that encode wrote from a held, and refuses anything else.
func decodeHeld(line []byte) (held, bool) {
	var h held
	ok := decode(line, &h) && h.At.valid() && h.Tokens == count(h.Tokens) && h.Lasts >= 0 && h.Lasts <= maxLasts
	_, err := time.Parse(time.DateOnly, h.Day)
	return h, ok && err == nil
}

// Hold is the part of the budget that is reserved for one request, until Spend or Release.
type Hold struct {
	ledger *Ledger
	made   held // Day is the day of the request; the answer may arrive on the next day
	place  int  // record number in the file; -1 without a budget
	shared bool // other processes see it
	once   sync.Once
}

// SpentError reports that nothing of the day's budget is left. Nothing was reserved.
type SpentError struct {
	Budget int64
	// Spent is the number of tokens used today. Held is the maximum that requests in flight may still use.
	Spent, Held int64
}

func (e *SpentError) Error() string {
	if e.Spent >= e.Budget {
		return fmt.Sprintf("the budget of %d tokens/day is used up: %d today", e.Budget, e.Spent)
	}
	return fmt.Sprintf("the budget of %d tokens/day is reserved: %d used today, up to %d by requests in progress",
		e.Budget, e.Spent, e.Held)
}

// Hint returns what the user can do.
func (e *SpentError) Hint() string {
	if e.Spent >= e.Budget {
		return "a new day begins at midnight; ferry config usage shows what used it"
	}
	return "try again when they are done; or send fewer at once, or lower --max-tokens"
}

// Hold reserves worst tokens of the budget for a request before it is sent: its input and its largest possible answer.
// The reservation ends with Spend or Release, and after lasts at the latest, so that a killed process does not keep
// it. lasts is the time that the caller gives the request.
//
// A request may start while any budget is left. So only one request at a time can exceed the budget: with any number
// of processes, a day exceeds its budget by less than the maximum of one request. If nothing is left, the error is
// *SpentError. If a file cannot be parsed, the error is a *BrokenError, and the caller must not send the request,
// because the file may say that nothing is left. If the folder cannot be used, the count continues in this process,
// from what could be read; Degraded reports it. The only other error is the cause of ctx.
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

// count limits a number of tokens to the range of one request.
func count(tokens int64) int64 { return min(max(tokens, 0), maxTokens) }

// Spend counts the tokens that the request used, on the day of the reservation, and ends the hold. The count is
// flushed to disk. If it cannot be written, it stays in this process, and in the file as a hold, and Degraded reports
// it. Spend does not depend on the request's context, because the tokens were used in any case. The error is a
// *BrokenError or nil. Only the first call of Spend or Release has an effect.
func (h *Hold) Spend(input, output int64) (err error) {
	l := h.ledger
	h.once.Do(func() {
		use := Use{Day: h.made.Day, Node: l.node, Requests: 1, Input: count(input), Output: count(output)}
		err = l.open(context.Background(), func(_ reading, day string) error {
			l.rows = recordUse(l.rows, use, day)
			// The usage is written first: if the process is killed in between, the count is too high for a while, not too low.
			l.save(func() error { return state.WriteFile(l.path(), encodeUsage(l.rows), 0o600) })
			h.end()
			return nil
		})
		now := read(l.clock)
		if err == nil && h.shared && !l.isShared() && h.made.stands(now) { // else another process may own the record by now
			// The usage file cannot be written, for example on a full disk, but the record of the hold exists. It keeps the
			// usage for the rest of the day.
			kept := held{Day: h.made.Day, Tokens: count(use.Input + use.Output), At: now, Lasts: 24 * time.Hour}
			_ = l.putHeld(h.place, encode(kept)) // best effort: Degraded reports that something is wrong
		}
	})
	return err
}

// Release ends the hold of a request that used no tokens. The error is a *BrokenError or nil.
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

// end frees the record, unless the hold has expired: another process may own the record by now.
func (h *Hold) end() {
	l := h.ledger
	if l.held[h.place] == h.made && h.place >= 0 {
		delete(l.held, h.place)
		l.save(func() error { return l.putHeld(h.place, make([]byte, holdSize)) })
	}
}

func today(c Clock) string { return c.Now().Format(time.DateOnly) }

// open calls step under the lock, with the known state without expired holds, and returns the error of step. If the
// files fail, the count is kept in memory from then on.
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

// load reads the files. It does so once even without the lock, because a folder that cannot be written can often be
// read. Only a usage file that cannot be parsed is an error.
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

// loadHeld reads the holds. Records that do not decode are free. It creates no file.
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

// heldOn returns the sum of a day's holds.
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

// save calls write if the count is shared.
func (l *Ledger) save(write func() error) {
	if l.isShared() {
		if err := write(); err != nil {
			l.degrade(err)
		}
	}
}

// putHeld writes one record. The file is never truncated: some file systems flush a file on close if it was truncated
// to zero, which takes milliseconds.
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

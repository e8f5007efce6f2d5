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
	// recordSize is the size of a record in the file of pending usage. It divides a memory page, so the kernel never
	// writes half a record of a killed process.
	recordSize = 256
	// maxPending limits the file, and the number of requests of a user in flight to one address.
	maxPending = 4096
	maxLasts   = 7 * 24 * time.Hour
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
	// rows and pending are the latest known state, used if the files cannot be used. The key of pending is the record
	// number in the file.
	rows    []Use
	pending map[int]pending
	read    bool // the files have been read
}

// NewLedger returns the ledger of a node's address, which is its URL. node is the name that Usage lists. The budget is
// in tokens per day; with 0 the ledger only counts. NewLedger touches no file.
func NewLedger(folder, address, node string, budget int64, clock Clock) *Ledger {
	return &Ledger{
		sharedFile: newSharedFile(folder, AddressKey(address)+usageSuffix),
		clock:      clock,
		node:       nodeName(node),
		budget:     budget,
		pending:    map[int]pending{},
	}
}

// pending is the maximum that a request in flight may use. It expires, so that a killed process does not keep it.
type pending struct {
	Day    string        `json:"day"`
	Tokens int64         `json:"tokens"`
	At     reading       `json:"at"`
	Lasts  time.Duration `json:"lasts"`
}

// isActive reports whether h still counts at now. After a restart of the machine it does not: its process is gone. By
// the wall time, which can be set, it counts if now is less than Lasts before or after the time it was made.
func (h pending) isActive(now reading) bool {
	if h.At.ID != "" && now.ID != "" {
		return h.At.ID == now.ID && now.since(h.At) < h.Lasts
	}
	return time.Duration(max(now.Wall-h.At.Wall, h.At.Wall-now.Wall)) < h.Lasts
}

// decodePending decodes a line that encode wrote from a pending, and refuses anything else.
func decodePending(line []byte) (pending, bool) {
	var h pending
	ok := decode(line, &h) && h.At.valid() && h.Tokens == count(h.Tokens) && h.Lasts >= 0 && h.Lasts <= maxLasts
	_, err := time.Parse(time.DateOnly, h.Day)
	return h, ok && err == nil
}

// BudgetReservation is the part of the budget that is reserved for one request, until Charge or Release.
type BudgetReservation struct {
	ledger *Ledger
	entry  pending // Day is the day of the request; the answer may arrive on the next day
	slot   int     // record number in the file; -1 without a budget
	shared bool    // other processes see it
	once   sync.Once
}

// SpentError reports that nothing of the day's budget is left. Nothing was reserved.
type SpentError struct {
	Budget int64
	// Spent is the number of tokens used today. Reserved is the maximum that requests in flight may still use.
	Spent, Reserved int64
}

func (e *SpentError) Error() string {
	if e.Spent >= e.Budget {
		return fmt.Sprintf("the budget of %d tokens/day is used up: %d today", e.Budget, e.Spent)
	}
	return fmt.Sprintf("the budget of %d tokens/day is reserved: %d used today, up to %d by requests in progress",
		e.Budget, e.Spent, e.Reserved)
}

// Hint returns what the user can do.
func (e *SpentError) Hint() string {
	if e.Spent >= e.Budget {
		return "a new day begins at midnight; ferry config usage shows what used it"
	}
	return "try again when they are done; or send fewer at once, or lower --max-tokens"
}

// Reserve reserves worst tokens of the budget for a request before it is sent: its input and its largest possible
// answer. The reservation ends with Charge or Release, and after lasts at the latest, so that a killed process does not
// keep it. lasts is the time that the caller gives the request.
//
// A request may start while any budget is left. So only one request at a time can exceed the budget: with any number
// of processes, a day exceeds its budget by less than the maximum of one request. If nothing is left, the error is
// *SpentError. If a file cannot be parsed, the error names it, and the caller must not send the request, because the
// file may say that nothing is left. If the folder cannot be used, the count continues in this process,
// from what could be read; Degraded reports it. The only other error is the cause of ctx.
func (l *Ledger) Reserve(ctx context.Context, worst int64, lasts time.Duration) (*BudgetReservation, error) {
	if l.budget == 0 {
		return &BudgetReservation{ledger: l, entry: pending{Day: today(l.clock)}, slot: -1}, nil
	}
	reservation := &BudgetReservation{ledger: l}
	err := l.open(ctx, func(now reading, day string) error {
		spent, inFlight := spentOn(l.rows, day), l.pendingOn(day)
		slot := 0
		for _, used := l.pending[slot]; used; _, used = l.pending[slot] {
			slot++
		}
		if spent+inFlight >= l.budget || slot >= maxPending {
			return &SpentError{Budget: l.budget, Spent: spent, Reserved: inFlight}
		}
		reservation.slot = slot
		reservation.entry = pending{Day: day, Tokens: count(worst), At: now, Lasts: min(max(lasts, 0), maxLasts)}
		l.pending[slot] = reservation.entry
		l.save(func() error { return l.putRecord(slot, encode(reservation.entry)) })
		return nil
	})
	if err != nil {
		return nil, err
	}
	reservation.shared = l.isShared()
	return reservation, nil
}

// count limits a number of tokens to the range of one request.
func count(tokens int64) int64 { return min(max(tokens, 0), maxTokens) }

// Charge counts the tokens that the request used, on the day of the reservation, and ends the reservation. The count is
// flushed to disk. If it cannot be written, it stays in this process, and in the file as pending, and Degraded reports
// it. Charge does not depend on the request's context, because the tokens were used in any case. The error names a
// file that cannot be parsed, or is nil. Only the first call of Charge or Release has an effect.
func (h *BudgetReservation) Charge(input, output int64) (err error) {
	l := h.ledger
	h.once.Do(func() {
		use := Use{Day: h.entry.Day, Node: l.node, Requests: 1, Input: count(input), Output: count(output)}
		err = l.open(context.Background(), func(_ reading, day string) error {
			l.rows = recordUse(l.rows, use, day)
			// The usage is written first: if the process is killed in between, the count is too high for a while, not too low.
			l.save(func() error { return state.WriteFile(l.path(), encodeUsage(l.rows), 0o600) })
			h.end()
			return nil
		})
		now := read(l.clock)
		if err == nil && h.shared && !l.isShared() && h.entry.isActive(now) { // else another process may own the record by now
			// The usage file cannot be written, for example on a full disk, but the record of the reservation exists. It keeps
			// the usage for the rest of the day.
			kept := pending{Day: h.entry.Day, Tokens: count(use.Input + use.Output), At: now, Lasts: 24 * time.Hour}
			_ = l.putRecord(h.slot, encode(kept)) // best effort: Degraded reports that something is wrong
		}
	})
	return err
}

// Release ends the reservation of a request that used no tokens. The error names a file that cannot be parsed, or is nil.
func (h *BudgetReservation) Release() (err error) {
	h.once.Do(func() {
		if h.slot >= 0 {
			err = h.ledger.open(context.Background(), func(reading, string) error {
				h.end()
				return nil
			})
		}
	})
	return err
}

// end frees the record, unless the reservation has expired: another process may own the record by now.
func (h *BudgetReservation) end() {
	l := h.ledger
	if l.pending[h.slot] == h.entry && h.slot >= 0 {
		delete(l.pending, h.slot)
		l.save(func() error { return l.putRecord(h.slot, make([]byte, recordSize)) })
	}
}

func today(c Clock) string { return c.Now().Format(time.DateOnly) }

// open calls step under the lock, with the known state without expired reservations, and returns the error of step. If
// the files fail, the count is kept in memory from then on.
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
	maps.DeleteFunc(l.pending, func(_ int, h pending) bool { return !h.isActive(now) })
	return step(now, today(l.clock))
}

// load reads the files. It does so once even without the lock, because a folder that cannot be written can often be
// read. Only a usage file that cannot be parsed is an error.
func (l *Ledger) load() error {
	if l.folder != "" {
		rows, err := readUsage(l.path())
		if errors.Is(err, errBroken) {
			return err
		}
		if err == nil {
			l.rows = rows
			err = l.loadPending()
		}
		if err != nil {
			l.degrade(err)
		}
	}
	l.read = true
	return nil
}

// loadPending reads the records. Records that do not decode are free. It creates no file.
func (l *Ledger) loadPending() error {
	data, err := state.ReadPrivate(l.holdsPath(), maxPending*recordSize)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	l.pending = decodeRecords(data)
	return nil
}

func decodeRecords(data []byte) map[int]pending {
	all := map[int]pending{}
	for slot := 0; slot*recordSize < len(data); slot++ {
		if h, ok := decodePending(data[slot*recordSize : min(len(data), (slot+1)*recordSize)]); ok {
			all[slot] = h
		}
	}
	return all
}

// pendingOn returns the sum of a day's pending reservations.
func (l *Ledger) pendingOn(day string) int64 {
	var sum int64
	for _, h := range l.pending {
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

// putRecord writes one record. The file is never truncated: some file systems flush a file on close if it was truncated
// to zero, which takes milliseconds.
func (l *Ledger) putRecord(slot int, line []byte) error {
	f, _, err := openInPlace(l.holdsPath())
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteAt(line, int64(slot)*recordSize)
	return err
}

func (l *Ledger) holdsPath() string { return l.path() + holdsSuffix }

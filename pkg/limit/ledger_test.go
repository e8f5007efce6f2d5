package limit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"ferry/pkg/text"
)

// reserveTokens makes a reservation that must succeed.
func reserveTokens(t *testing.T, l *Ledger, worst int64) *BudgetReservation {
	t.Helper()
	h, err := l.Reserve(t.Context(), worst, time.Minute)
	must(t, err, l.Degraded())
	return h
}

// refused returns the error of a ledger with no budget left.
func refused(t *testing.T, l *Ledger) *SpentError {
	t.Helper()
	_, err := l.Reserve(t.Context(), 1, time.Minute)
	spent, ok := errors.AsType[*SpentError](err)
	fatalIf(t, !ok, "got %v, want a SpentError", err)
	return spent
}

func charge(t *testing.T, h *BudgetReservation, input, output int64) {
	t.Helper()
	must(t, h.Charge(input, output), h.ledger.Degraded())
}

// left returns the number of tokens of today's budget that are neither used nor reserved.
func left(t *testing.T, l *Ledger) (n int64) {
	t.Helper()
	must(t, l.open(t.Context(), func(_ reading, day string) error {
		n = max(0, l.budget-spentOn(l.rows, day)-l.pendingOn(day))
		return nil
	}))
	return n
}

// usage describes the rows of Usage.
func (m *machine) usage() string {
	m.t.Helper()
	rows, err := Usage(m.dir)
	must(m.t, err)
	var lines []string
	for _, r := range rows {
		lines = append(lines, fmt.Sprintf("%s %s %d %d %d", r.Day, r.Node, r.Requests, r.Input, r.Output))
	}
	return strings.Join(lines, "; ")
}

func TestLedger(t *testing.T) {
	m := newMachine(t, "limit")
	equal(t, "usage without a folder", m.usage(), "")
	l := m.ledgerOf("hongkong", 1000)
	other := m.ledgerOf("legacy", 1000) // another name of the same address
	equal(t, "at first", left(t, l), 1000)
	first := reserveTokens(t, l, 600)
	equal(t, "reserved", left(t, other), 400)
	second := reserveTokens(t, other, 600) // one may exceed the budget
	equal(t, "reserved, past the end", left(t, other), 0)
	equal(t, "message", refused(t, l).Error(),
		"the budget of 1000 tokens/day is reserved: 0 used today, up to 1200 by requests in progress")
	charge(t, first, 10, 20)
	charge(t, first, 10, 20) // counts once
	must(t, first.Release())
	equal(t, "after one", left(t, l), 370)
	must(t, second.Release())
	equal(t, "after both", left(t, l), 970)
	equal(t, "usage", m.usage(), "2026-11-24 hongkong 1 10 20")
	data, err := os.ReadFile(m.path(usageSuffix + holdsSuffix))
	errorIf(t, err != nil || strings.Trim(string(data), "\x00") != "", "with no reservation left: %q, %v", data, err)

	charge(t, reserveTokens(t, other, 100), 500, 469)
	equal(t, "one token", left(t, l), 1)
	charge(t, reserveTokens(t, l, 4096), 200, 100)
	equal(t, "message", refused(t, l).Error(), "the budget of 1000 tokens/day is used up: 1299 today")
	m.pass(12 * time.Hour)
	equal(t, "the next day", left(t, l), 1000)
	charge(t, reserveTokens(t, l, 1), 1, 1)
	equal(t, "usage", m.usage(), "2026-11-25 hongkong 1 1 1; 2026-11-24 hongkong 2 210 120; 2026-11-24 legacy 1 500 469")
	m.pass(-12 * time.Hour)
	equal(t, "back again", left(t, l), 0)
}

func TestLedgerWithoutBudget(t *testing.T) {
	m := newMachine(t)
	l := m.ledgerOf("demo", 0)
	h := reserveTokens(t, l, 1<<62)
	entries, err := os.ReadDir(m.dir)
	errorIf(t, err != nil || len(entries) != 0, "a reservation without a budget made %v, %v", entries, err)
	must(t, reserveTokens(t, l, 5).Release())
	charge(t, h, 5, -7)
	equal(t, "usage", m.usage(), "2026-11-24 demo 1 5 0")
}

// An answer that arrives after midnight counts for the day of its request.
func TestLedgerMidnight(t *testing.T) {
	m := newMachine(t)
	l := m.ledger(1000)
	reserveTokens(t, l, 900)
	m.pass(12*time.Hour - time.Second)
	h := reserveTokens(t, l, 900) // the first one has expired
	m.pass(time.Second)
	equal(t, "yesterday's reservations", left(t, l), 1000)
	charge(t, h, 300, 300)
	equal(t, "yesterday's answers", left(t, l), 1000)
	equal(t, "usage", m.usage(), "2026-11-24 node 1 300 300")
}

// The day is the day in the clock's own time zone.
func TestLedgerZone(t *testing.T) {
	m := newMachine(t)
	m.wall = time.Date(2026, 11, 24, 23, 0, 0, 0, time.FixedZone("", -8*3600))
	charge(t, reserveTokens(t, m.ledger(1000), 1), 1, 1)
	equal(t, "usage", m.usage(), "2026-11-24 node 1 1 1")
}

// A usage file that cannot be parsed may say that nothing is left: nothing is sent, and the file stays as it is.
func TestLedgerBroken(t *testing.T) {
	whole := string(encodeUsage([]Use{{"2026-11-24", "node", 1, 2, 3}, {"2026-11-23", "a \"b\"\n", 1, 2, 3}}))
	for _, damaged := range []string{
		"", "x", whole + "x", whole[:len(whole)-1], strings.Replace(whole, "rows 2", "rows 1", 1), strings.TrimSuffix(whole, "rows 2\n"),
		strings.Replace(whole, "2026-11-24", "2026-13-24", 1), strings.Replace(whole, " 2 3 ", " -2 3 ", 1),
		strings.Replace(whole, " 2 3 ", " 2 99999999999999999999 ", 1), strings.Replace(whole, `"node"`, "node", 1),
		strings.Replace(whole, "usage 1", "usage 2", 1),
	} {
		m := newMachine(t)
		write(t, m.path(usageSuffix), []byte(damaged))
		l := m.ledger(1000)
		_, err := l.Reserve(t.Context(), 1, 0)
		errorIf(t, !errors.Is(err, errBroken) || !strings.Contains(text.Hint(err), m.path(usageSuffix)),
			"%q: Reserve returns %v", damaged, err)
		err = reserveTokens(t, m.ledger(0), 1).Charge(1, 1)
		errorIf(t, !errors.Is(err, errBroken), "%q: Charge returns %v", damaged, err)
		_, err = Usage(m.dir)
		errorIf(t, !errors.Is(err, errBroken), "%q: Usage says %v", damaged, err)
		after, err := os.ReadFile(m.path(usageSuffix))
		errorIf(t, err != nil || string(after) != damaged, "%q became %q, %v", damaged, after, err)
	}
}

func TestLedgerDegraded(t *testing.T) {
	m := newMachine(t, "limit")
	write(t, m.dir, nil)
	l := m.ledger(1000)
	for _, want := range []int64{1000, 700, 400, 100} {
		equal(t, "left", left(t, l), want)
		h, err := l.Reserve(t.Context(), 500, time.Minute)
		must(t, err)
		equal(t, "left, while reserved", left(t, l), max(0, want-500))
		must(t, h.Charge(200, 100))
	}
	equal(t, "spent", refused(t, l).Spent, 1200)
	equal(t, "degraded", l.Degraded() != nil, true)
	m.pass(12 * time.Hour)
	_, err := l.Reserve(t.Context(), 400, time.Minute)
	must(t, err)
	equal(t, "left, while reserved", left(t, l), 600)
	m.pass(time.Minute)
	equal(t, "left, when the reservation has expired", left(t, l), 1000)
	if _, err := Usage(m.dir); err == nil {
		t.Error("a file was taken for a folder")
	}
}

// If the lock cannot be acquired, as in a read-only folder, the count continues from the content of the files.
func TestLedgerOnlyRead(t *testing.T) {
	m := newMachine(t)
	charge(t, reserveTokens(t, m.ledger(100), 60), 50, 20)
	lock := m.path(usageSuffix + ".lock")
	must(t, os.Remove(lock), os.Mkdir(lock, 0o700))
	l := m.ledger(100)
	equal(t, "left", left(t, l), 30)
	h, err := l.Reserve(t.Context(), 40, 0)
	must(t, err)
	must(t, h.Charge(20, 20))
	equal(t, "spent", refused(t, l).Spent, 110)
	equal(t, "degraded", l.Degraded() != nil, true)
	equal(t, "usage", m.usage(), "2026-11-24 node 1 50 20")
}

// The usage is still counted in the process if the disk fails between the reservation and the answer.
func TestLedgerDegradesLater(t *testing.T) {
	m := newMachine(t, "limit")
	l := m.ledger(1000)
	charge(t, reserveTokens(t, l, 1), 100, 0)
	h := reserveTokens(t, l, 500)
	must(t, os.RemoveAll(m.dir), os.WriteFile(m.dir, nil, 0o600))
	must(t, h.Charge(300, 0))
	equal(t, "degraded", l.Degraded() != nil, true)
	equal(t, "left", left(t, l), 600)
}

// If only the usage file cannot be written, the reservation keeps the used tokens from other processes until the day is
// over.
func TestLedgerKeepsTheReservation(t *testing.T) {
	m := newMachine(t, "limit")
	l := m.ledger(1000)
	h := reserveTokens(t, l, 500)
	list := m.path(usageSuffix)
	must(t, os.Mkdir(list, 0o700))
	must(t, h.Charge(300, 20))
	equal(t, "degraded", l.Degraded() != nil, true)
	must(t, os.Remove(list))
	equal(t, "left, for others", left(t, m.ledger(1000)), 680)
	m.pass(time.Hour)
	equal(t, "left, when the reservation would have expired", left(t, m.ledger(1000)), 680)
	m.pass(24 * time.Hour)
	equal(t, "left, the next day", left(t, m.ledger(1000)), 1000)
}

func TestLedgerContext(t *testing.T) {
	why := errors.New("why")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	l := newMachine(t).ledger(1000)
	_, err := l.Reserve(ctx, 1, 0)
	equal(t, "the error", err, why)
	must(t, l.Degraded())
}

// The reservation of a killed process lasts only until its request would have ended.
func TestLedgerReservationExpires(t *testing.T) {
	none := func(c *fakeClock) { c.id = "" }
	ahead := func(d time.Duration) func(*fakeClock) {
		return func(c *fakeClock) { c.boot, c.wall = c.boot+d, c.wall.Add(d) }
	}
	tests := []struct {
		name         string
		before, jump func(*fakeClock)
		want         int64
	}{
		{"just before", nil, ahead(time.Minute - 1), 400},
		{"just after", nil, ahead(time.Minute), 1000},
		{"restart", nil, func(c *fakeClock) { c.id = "boot-2" }, 1000},
		{"the wall ahead", nil, func(c *fakeClock) { c.wall = c.wall.Add(time.Hour) }, 400},
		{"the boot clock back", nil, func(c *fakeClock) { c.boot = 0 }, 400},
		{"no id, just before", none, ahead(time.Minute - 1), 400},
		{"no id, just after", none, ahead(time.Minute), 1000},
		{"no id, a little back", none, ahead(1 - time.Minute), 400},
		{"no id, far back", none, ahead(-time.Minute), 1000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newMachine(t)
			if tt.before != nil {
				m.set(tt.before)
			}
			lost := reserveTokens(t, m.ledger(1000), 600)
			m.set(tt.jump)
			l := m.ledger(1000)
			equal(t, "left", left(t, l), tt.want)
			// Another process may own its record by then, and the record must not be freed.
			taken := reserveTokens(t, l, 100)
			must(t, lost.Release())
			equal(t, "left, after the late release", left(t, l), 900)
			charge(t, taken, 0, 0)
			equal(t, "left, after all", left(t, l), 1000)
		})
	}
}

func TestLedgerRecordsFull(t *testing.T) {
	m := newMachine(t)
	data := make([]byte, maxPending*recordSize)
	for slot := range maxPending {
		copy(data[slot*recordSize:], encode(pending{Day: today(m), Tokens: 1, At: read(m), Lasts: time.Minute}))
	}
	write(t, m.path(usageSuffix+holdsSuffix), data)
	l := m.ledger(10_000)
	equal(t, "left", left(t, l), 10_000-maxPending)
	refused(t, l)
	// The record of a damaged line is free.
	data[7*recordSize+30] ^= 1
	write(t, m.path(usageSuffix+holdsSuffix), data)
	equal(t, "the slot", reserveTokens(t, l, 1).slot, 7)
}

func TestDecodePending(t *testing.T) {
	good := pending{Day: "2026-11-24", Tokens: 1, At: reading{Wall: 1}, Lasts: time.Minute}
	for name, change := range map[string]func(*pending){
		"day": func(h *pending) { h.Day = "2026-13-24" }, "tokens": func(h *pending) { h.Tokens = -1 },
		"too many tokens": func(h *pending) { h.Tokens = maxTokens + 1 }, "id": func(h *pending) { h.At.ID = "a b" },
		"lasts": func(h *pending) { h.Lasts = -1 }, "lasts too long": func(h *pending) { h.Lasts = maxLasts + 1 },
	} {
		h := good
		change(&h)
		_, ok := decodePending(encode(h))
		errorIf(t, ok, "%s: %+v was accepted", name, h)
	}
}

// Whatever the file contains, its records add up to a valid sum.
func FuzzRecords(f *testing.F) {
	f.Add([]byte(`{"day":"2026-11-24","tokens":5,"at":{"id":"boot-1","boot":1,"wall":2},"lasts":60000000000}`), uint8(1))
	f.Fuzz(func(t *testing.T, line []byte, times uint8) {
		if line = withSum(line); len(line) > recordSize {
			return
		}
		record := make([]byte, recordSize)
		copy(record, line)
		l := NewLedger("", address, "node", 1, newFakeClock())
		l.pending = decodeRecords(bytes.Repeat(record, int(times)))
		if sum := l.pendingOn("2026-11-24"); len(l.pending) > int(times) || sum < 0 || sum > maxCount {
			t.Fatalf("%d tokens of %+v", sum, l.pending)
		}
		for _, want := range l.pending {
			if got, ok := decodePending(encode(want)); !ok || got != want {
				t.Fatalf("got %+v, %t, want %+v", got, ok, want)
			}
		}
	})
}

// BenchmarkReserve measures what a request waits for: reading the rows of a year, and no flush.
func BenchmarkReserve(b *testing.B) {
	dir := b.TempDir()
	c := NewClock()
	var rows []Use
	for d := range keptDays {
		rows = append(rows, Use{c.Now().AddDate(0, 0, -d).Format(time.DateOnly), "hongkong", 100, 100_000, 100_000})
	}
	if err := os.WriteFile(path(dir, usageSuffix), encodeUsage(rows), 0o600); err != nil {
		b.Fatal(err)
	}
	l := NewLedger(dir, address, "node", maxTokens, c)
	for b.Loop() {
		h, err := l.Reserve(b.Context(), 1, time.Minute)
		if err == nil {
			err = h.Release()
		}
		if err != nil || l.Degraded() != nil {
			b.Fatal(err, l.Degraded())
		}
	}
}

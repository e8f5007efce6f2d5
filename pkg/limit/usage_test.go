package limit

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The file stays small, whatever is counted, and the day's sum stays correct.
func TestUsageBounds(t *testing.T) {
	var rows []Use
	first := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	for d := range keptDays + 10 {
		today := first.AddDate(0, 0, d).Format(time.DateOnly)
		var day []Use // one day at a time is fast; the last day is added to all the others
		if d >= keptDays {
			day, rows = rows, nil
		}
		for n := range maxNames + 8 {
			name := nodeName(fmt.Sprintf("%02d%s", n, strings.Repeat("\x01\u2028", maxName)))
			day = recordUse(day, Use{today, name, 1, 10, 1}, today)
		}
		equal(t, today, spentOn(day, today), 11*(maxNames+8))
		rows = append(rows, day...)
	}
	equal(t, "rows", len(rows), keptDays*(maxNames+1))
	known := rows[1]
	equal(t, "a name that is known keeps its row", recordUse(rows, known, known.Day)[1].Requests, known.Requests+1)
	data := encodeUsage(rows)
	errorIf(t, len(data) > maxUsage, "%d bytes", len(data))
	again, ok := decodeUsage(data)
	errorIf(t, !ok || !slices.Equal(again, rows), "got %d rows, %t, want %d", len(again), ok, len(rows))
	rows = recordUse(rows, Use{rows[0].Day, rows[0].Node, 1, maxCount, maxCount}, rows[0].Day)
	if _, ok := decodeUsage(encodeUsage(rows)); !ok || spentOn(rows, rows[0].Day) != maxCount {
		t.Errorf("a sum out of bounds: read back %t, sum %d, want %d", ok, spentOn(rows, rows[0].Day), int64(maxCount))
	}
	for name, want := range map[string]string{
		"香港代理节点": "香港代理节点", "a\xffb": "a?b", strings.Repeat("é", maxName): strings.Repeat("é", maxName/2), "": "",
		"x" + strings.Repeat("é", maxName): "x" + strings.Repeat("é", maxName/2-1),
	} {
		equal(t, name, nodeName(name), want)
	}
}

func TestUsageMergesAddresses(t *testing.T) {
	m := newMachine(t)
	for _, a := range []string{address, "https://moved.example"} {
		charge(t, reserveTokens(t, NewLedger(m.dir, a, "node", 0, m), 1), 1, 2)
	}
	write(t, filepath.Join(m.dir, "notes.txt"), []byte("not ours"))
	equal(t, "usage", m.usage(), "2026-11-24 node 2 2 4")
	write(t, filepath.Join(m.dir, "foreign"+usageSuffix), []byte("not ours"))
	equal(t, "usage beside a file of another program", m.usage(), "2026-11-24 node 2 2 4")
	path := filepath.Join(m.dir, AddressKey("https://broken.example")+usageSuffix)
	write(t, path, []byte("bad"))
	rows, err := Usage(m.dir)
	errorIf(t, len(rows) != 1 || !errors.Is(err, errBroken), "beside a broken one: %+v, %v", rows, err)
}

func FuzzUsage(f *testing.F) {
	f.Add(encodeUsage(nil))
	f.Add(encodeUsage([]Use{{"2026-11-24", "node", 1, 2, 3}, {"2026-11-23", "a \"b\"\n\u2028香", 1, 2, 3}}))
	f.Add([]byte("ferry usage 1\n2026-11-24 1 +2 03 `node`\nrows 1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		rows, ok := decodeUsage(data)
		if !ok {
			return
		}
		again, ok := decodeUsage(encodeUsage(rows))
		fatalIf(t, !ok || !slices.Equal(again, rows), "%q: got %+v, %t, want %+v", data, again, ok, rows)
		if sum := spentOn(recordUse(rows, Use{"2026-11-24", "n", 1, maxTokens, maxTokens}, "2026-11-24"), "2026-11-24"); sum < 2*maxTokens {
			t.Fatalf("a sum of %d", sum)
		}
	})
}

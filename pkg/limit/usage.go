package limit

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"ferry/pkg/state"
	"ferry/pkg/text"
)

// Use is the usage of one node on one day. As JSON it is the output of config usage. Fields are only ever added.
type Use struct {
	Day      string `json:"day"` // a date of the local calendar, 2026-11-24
	Node     string `json:"node"`
	Requests int64  `json:"requests"`
	Input    int64  `json:"input_tokens"`
	Output   int64  `json:"output_tokens"`
}

const (
	usageSuffix = ".usage"
	usageHead   = "ferry usage 1"

	// keptDays is the number of days that the file keeps.
	keptDays = 400
	// maxNames is how many node names a day lists separately for one address. Further names share one row.
	maxNames   = 16
	otherNames = "(others)"
	maxName    = 64
	// maxUsage is larger than the largest file that the limits allow.
	maxUsage = 4 << 20
	// maxCount limits each number of a row, so that sums fit in 64 bits.
	maxCount = 1 << 50
)

// Usage returns the tokens used at all addresses that have or had a budget, newest day first, then by name. If a file
// cannot be read, it returns the rows of the others and an error.
func Usage(folder string) ([]Use, error) {
	names := regexp.MustCompile(ownFiles)
	files, err := state.List(folder, func(entry fs.DirEntry) bool {
		return filepath.Ext(entry.Name()) == usageSuffix && names.MatchString(entry.Name())
	})
	if err != nil {
		return nil, fmt.Errorf("the usage cannot be read: %w", err)
	}
	var all []Use
	var bad error
	for _, file := range files {
		rows, err := readUsage(file)
		bad = errors.Join(bad, err)
		for _, u := range rows {
			all = add(all, u)
		}
	}
	slices.SortFunc(all, newestFirst)
	return all, bad
}

func newestFirst(a, b Use) int {
	return cmp.Or(strings.Compare(b.Day, a.Day), strings.Compare(a.Node, b.Node))
}

// add adds a use to the row of its day and node.
func add(rows []Use, u Use) []Use {
	for i := range rows {
		if r := &rows[i]; r.Day == u.Day && r.Node == u.Node {
			r.Requests = min(r.Requests+u.Requests, maxCount)
			r.Input = min(r.Input+u.Input, maxCount)
			r.Output = min(r.Output+u.Output, maxCount)
			return rows
		}
	}
	return append(rows, u)
}

// recordUse adds a use to the rows of an address and removes days that are older than keptDays.
func recordUse(rows []Use, u Use, today string) []Use {
	names, known := 0, false
	for _, r := range rows {
		if r.Day == u.Day {
			names++
			known = known || r.Node == u.Node
		}
	}
	if !known && names >= maxNames {
		u.Node = otherNames
	}
	rows = add(slices.Clone(rows), u)
	if date, err := time.Parse(time.DateOnly, today); err == nil {
		oldest := date.AddDate(0, 0, 1-keptDays).Format(time.DateOnly)
		rows = slices.DeleteFunc(rows, func(r Use) bool { return r.Day < oldest })
	}
	slices.SortFunc(rows, newestFirst)
	return rows
}

// spentOn returns the input and output tokens of a day.
func spentOn(rows []Use, day string) int64 {
	var sum int64
	for _, r := range rows {
		if r.Day == day {
			sum = min(sum+r.Input+r.Output, maxCount)
		}
	}
	return sum
}

// nodeName makes a name valid UTF-8 of at most maxName bytes.
func nodeName(name string) string {
	name = strings.ToValidUTF8(name, "?")
	return text.WholeRunes(name[:min(len(name), maxName)])
}

// encodeUsage writes one line per row, between a first line that names the format and a last line that counts the
// rows. The file is read before each request, and as JSON the rows of a year take four times as long to read.
func encodeUsage(rows []Use) []byte {
	data := append(make([]byte, 0, 64*(len(rows)+2)), usageHead+"\n"...)
	for _, r := range rows {
		data = fmt.Appendf(data, "%s %d %d %d %q\n", r.Day, r.Requests, r.Input, r.Output, r.Node)
	}
	return fmt.Appendf(data, "rows %d\n", len(rows))
}

// decodeUsage decodes what encodeUsage wrote and refuses anything else: if a row were missing, its tokens could be
// used again on that day.
func decodeUsage(data []byte) ([]Use, bool) {
	lines := strings.Split(string(data), "\n")
	last := len(lines) - 2
	if last < 1 || lines[0] != usageHead || lines[last] != fmt.Sprintf("rows %d", last-1) || lines[last+1] != "" {
		return nil, false
	}
	rows := make([]Use, last-1)
	for i := range rows {
		if !rows[i].decode(lines[i+1]) {
			return nil, false
		}
	}
	return rows, true
}

func (u *Use) decode(line string) (ok bool) {
	part := strings.SplitN(line, " ", 5)
	if len(part) != 5 {
		return false
	}
	for i, n := range []*int64{&u.Requests, &u.Input, &u.Output} {
		var err error
		if *n, err = strconv.ParseInt(part[i+1], 10, 64); err != nil || *n < 0 || *n > maxCount {
			return false
		}
	}
	_, badDay := time.Parse(time.DateOnly, part[0])
	name, badName := strconv.Unquote(part[4])
	u.Day, u.Node = part[0], name
	return badDay == nil && badName == nil && len(name) <= maxName
}

// readUsage returns no rows if there is no file.
func readUsage(path string) ([]Use, error) {
	data, err := state.ReadPrivate(path, maxUsage)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	rows, ok := decodeUsage(data)
	if !ok {
		hint := "ferry does not change the file; to start the day's count at 0, remove it: rm " + text.CommandWord(path)
		return nil, text.Errorf(hint, "%s: %w", path, errBroken)
	}
	return rows, nil
}

// errBroken reports that a usage file cannot be parsed. The file is not changed.
var errBroken = errors.New("it is not a complete list of used tokens")

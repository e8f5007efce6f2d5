package limit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"ferry/pkg/state"
)

// promise is the most that a request on its way may use. It ends by itself, so that a killed process does not hold it.
type promise struct {
	day    string
	tokens int64
	at     reading
	lasts  time.Duration
}

const (
	holdsSuffix = ".holds"
	// holdSize divides a page of memory, so that the kernel never writes half a line of a killed process.
	holdSize = 256
	// maxHolds bounds the file, and how many requests of a user may be on their way to an address.
	maxHolds = 4096
	maxLasts = 7 * 24 * time.Hour
)

// stands tells whether a promise still counts at now. One from before a restart does not: its process is gone. By the
// wall's time, which can be set, it counts for as long as it lasts around the moment it was made.
func (p promise) stands(now reading) bool {
	if p.at.id != "" && now.id != "" {
		return p.at.id == now.id && now.since(p.at) < p.lasts
	}
	return time.Duration(max(now.wall-p.at.wall, p.at.wall-now.wall)) < p.lasts
}

func (p promise) encode() []byte {
	line := appendReading(append(make([]byte, 0, holdSize), "ferry hold"...), p.at)
	return seal(holdSize, fmt.Appendf(line, " day %s tokens %d lasts %d", p.day, p.tokens, p.lasts))
}

func decodePromise(line []byte) (promise, bool) {
	fields, ok := unseal(line)
	if !ok || len(line) != holdSize {
		return promise{}, false
	}
	f := fieldReader{fields: fields}
	f.words("ferry", "hold")
	p := promise{at: f.reading()}
	f.words("day")
	p.day = f.next()
	f.words("tokens")
	p.tokens = f.number(0, maxTokens)
	f.words("lasts")
	p.lasts = time.Duration(f.number(0, int64(maxLasts)))
	_, badDay := time.Parse(time.DateOnly, p.day)
	return p, f.ok() && badDay == nil
}

// holds are the promises that stand, by their place in the file.
type holds map[int]promise

func (h holds) on(day string) int64 {
	var sum int64
	for _, p := range h {
		if p.day == day {
			sum = min(sum+p.tokens, maxCount)
		}
	}
	return sum
}

// free gives the first place that is not taken, false when all are.
func (h holds) free() (int, bool) {
	for i := range maxHolds {
		if _, taken := h[i]; !taken {
			return i, true
		}
	}
	return 0, false
}

// readHolds reads the promises that stand at now. Lines that are none, or no longer, are free places. It makes no file.
func readHolds(path string, now reading) (holds, error) {
	f, err := state.OpenPrivate(path, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return holds{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxHolds*holdSize))
	if err != nil {
		return nil, err
	}
	return decodeHolds(data, now), nil
}

func decodeHolds(data []byte, now reading) holds {
	h := holds{}
	for i := 0; i+holdSize <= len(data); i += holdSize {
		if p, ok := decodePromise(data[i : i+holdSize]); ok && p.stands(now) {
			h[i/holdSize] = p
		}
	}
	return h
}

// putHold writes one place: what it holds now, or that it is free. The file is never cut: some file systems flush one
// that was cut to nothing when it is closed, which takes milliseconds.
func putHold(f *os.File, place int, h holds) error {
	line := make([]byte, holdSize)
	if p, taken := h[place]; taken {
		line = p.encode()
	}
	_, err := f.WriteAt(line, int64(place)*holdSize)
	return err
}

package bench

import (
	"math"
	"slices"
	"time"
)

// word holds when a request began, its latency in microseconds, and whether it was a success. Words have an order of
// their own, so that it does not matter in which one the samples were kept, even for those that began together.
func (s place) word() uint64 {
	word := uint64(s.start)<<32 | uint64(min(max(s.latency().Microseconds(), 0), math.MaxInt32))<<1
	if s.OK() {
		word |= 1
	}
	return word
}

func pointOf(word uint64) Point {
	return Point{
		At:      (time.Duration(word>>32) * startUnit).Seconds(),
		Latency: float64(word&math.MaxUint32>>1) / 1000,
		OK:      word&1 == 1,
	}
}

// timelineSpans is into how many spans of equal length a timeline's time is cut.
const timelineSpans = 1 << 16

// timeline chooses points evenly by their place in the order of starts, the first and the last among them. Only the spans
// of time that have a chosen point are put in order, which of a million requests are few.
func (c *nodeSeries) timeline(w *workspace) []Point {
	size := c.size()
	points := make([]Point, min(size, timelinePoints))
	if size == 0 {
		return points
	}
	span, counts := c.spans()
	chosen := func(i int) int { // the place of point i among all
		if len(points) == size {
			return i
		}
		return i * (size - 1) / (len(points) - 1)
	}
	const leftOut = -1
	places := make([]int, 0, len(points)) // of the points, among what is not left out
	passed, skipped := 0, 0
	for i, n := range counts {
		passed += n
		if len(places) == len(points) || chosen(len(places)) >= passed {
			skipped += n
			counts[i] = leftOut
			continue
		}
		for len(places) < len(points) && chosen(len(places)) < passed {
			places = append(places, chosen(len(places))-skipped)
		}
	}
	words := w.keys(size - skipped)
	for s := range c.all() {
		if counts[span(s)] != leftOut {
			words = append(words, s.word())
		}
	}
	slices.Sort(words)
	for i, at := range places {
		points[i] = pointOf(words[at])
	}
	return points
}

// spans counts the requests of each span of time, and says which span one began in.
func (c *nodeSeries) spans() (span func(place) int, counts []int) {
	first, last := uint32(math.MaxUint32), uint32(0)
	for s := range c.all() {
		first, last = min(first, s.start), max(last, s.start)
	}
	length := (uint64(last)-uint64(first))/timelineSpans + 1
	span = func(s place) int { return int(uint64(s.start-first) / length) }
	counts = make([]int, timelineSpans)
	for s := range c.all() {
		counts[span(s)]++
	}
	return span, counts
}

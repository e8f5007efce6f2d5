package bench

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Whatever the parts of a run and their order, the summary equals the summary of the complete run, bit for bit.
func TestPartsAreTheWhole(t *testing.T) {
	skipIfShort(t, "sixty runs, taken apart")
	random := rand.New(rand.NewPCG(10, 10))
	for round := range 60 {
		h := Header{ID: "one", Reference: "a", Nodes: nodesOf("a", "b", "c"), Rate: float64(round % 2)}
		records := randomRecords(random, h)
		other := h
		other.ID = "two"
		if round%3 == 0 {
			other.Vantage = "elsewhere"
		}
		second := completed(newRun(other, randomRecords(random, other)...))
		whole := Summarise([]*Run{completed(newRun(h, records...)), second})

		parts := make([]*Run, 1+random.IntN(4))
		split := make([][]Outcome, len(parts))
		for _, r := range records {
			i := random.IntN(len(parts))
			split[i] = append(split[i], r)
		}
		for i := range parts {
			parts[i] = newRun(h, split[i]...)
		}
		completed(parts[0])
		random.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		got := Summarise(append(parts, second))
		equal(t, "runs, elapsed", []any{got.Runs, got.Elapsed}, []any{2, 120})
		if dump(got) != dump(whole) {
			t.Fatalf("%d parts: got\n%s\nwant\n%s", len(parts), dump(got), dump(whole))
		}
	}
}

// Rounds of different runs are never paired, even if their numbers are equal.
func TestPairsStayInTheirRun(t *testing.T) {
	h := Header{ID: "one", Reference: "a", Nodes: nodesOf("a", "b")}
	first := newRun(h, rounds(0, around(100, 30)...)...)
	h.ID = "two"
	second := newRun(h, rounds(1, around(200, 30)...)...)
	s := Summarise([]*Run{first, second})
	equal(t, "two runs, compared", []any{s.Runs, s.Rows[1].VsReference != nil}, []any{2, false})
	second.Header.ID = "one"
	s = Summarise([]*Run{first, second})
	equal(t, "halves of one run", []any{s.Runs, inShort(s.Rows[1].VsReference)}, []any{1, "30 pairs, 2.00 of a, slower"})
}

func TestSummarisePairs(t *testing.T) {
	h := Header{ID: "x", Reference: "a", Nodes: nodesOf("a", "b"), Requests: 30}
	records := slices.Concat(rounds(0, around(100, 30)...), rounds(1, around(80, 30)...))
	for _, i := range []int{3, 4, 35} { // two failures of the reference, and one of the other node
		records[i].Class = "timeout"
	}
	slices.Reverse(records) // pairs do not depend on the order in which requests end
	s := Summarise([]*Run{newRun(h, records...)})
	v := s.Rows[1].VsReference
	equal(t, "the reference, the other", []string{inShort(s.Rows[0].VsReference), inShort(v)},
		[]string{"", "27 pairs, 0.80 of a, faster"})
	r := s.Rows[0]
	equal(t, "p50s", []any{v.P50, v.ReferenceP50, v.ShapesDiffer}, []any{s.Rows[1].Latency.P50, r.Latency.P50, false})
	equal(t, "successes", []any{r.OK, r.Latency.N, len(r.Sorted), slices.IsSorted(r.Sorted)}, []any{28, 28, 28, true})
	equal(t, "best, model", []any{s.Best, s.Leads(s.Rows[1]), s.Model}, []any{[]Choice{{Rows: []int{1}, Leader: 1}}, true, "m"})
}

// A node that always takes 102 ms is typically faster than a node that takes 100 or 1000 ms, though its p50 is higher.
func TestShapesDiffer(t *testing.T) {
	steady, split := slices.Repeat([]float64{102}, 100), slices.Repeat([]float64{100, 1000}, 49)
	records := append(rounds(0, append(split, 100, 100)...), rounds(1, steady...)...)
	for reference, want := range map[string]string{"a": "faster, p50 102 and 100: true", "b": "slower, p50 100 and 102: true"} {
		s := Summarise([]*Run{newRun(Header{ID: "x", Reference: reference, Nodes: nodesOf("a", "b")}, records...)})
		for _, r := range s.Rows {
			if v := r.VsReference; v != nil {
				equal(t, "against "+reference, fmt.Sprintf("%s, p50 %g and %g: %v", v.Verdict, v.P50, v.ReferenceP50, v.ShapesDiffer), want)
			}
		}
	}
}

// Cold is compared with cold, and each vantage has its own reference.
func TestReferenceOfItsKind(t *testing.T) {
	nodes := append(nodesOf("a", "b"), nodesOf("a", "b")...)
	nodes[2].Connection, nodes[3].Connection = Reused, Reused
	records := slices.Concat(rounds(0, around(100, 20)...), rounds(1, around(110, 20)...),
		rounds(2, around(50, 20)...), rounds(3, around(40, 20)...))
	here := Header{ID: "1", Vantage: "here", Reference: "a", Nodes: nodes}
	there := Header{ID: "2", Vantage: "there", Reference: "a", Nodes: nodes[:2]}
	s := Summarise([]*Run{newRun(here, records...), newRun(there, rounds(0, around(10, 20)...)...)})
	want := []string{"a (cold) @here", "b (cold) @here", "a (reused) @here", "b (reused) @here", "a (cold) @there", "b (cold) @there"}
	versus := []string{"", "20 pairs, 1.10 of a, slower", "", "20 pairs, 0.80 of a, faster", "", ""}
	for i, r := range s.Rows {
		equal(t, "title", s.Title(r), want[i])
		equal(t, want[i], inShort(r.VsReference), versus[i])
	}
	equal(t, "best of each place, for which kept connections do not compete with new ones", s.Best,
		[]Choice{{"here", []int{0}, 0}, {"there", []int{4}, 4}})
}

// TestReferenceOfAnotherPlace checks that a place whose nodes do not include the reference compares its own nodes, in any
// order of the runs.
func TestReferenceOfAnotherPlace(t *testing.T) {
	records := slices.Concat(rounds(0, around(100, 20)...), rounds(1, around(110, 20)...))
	here := newRun(Header{ID: "1", Vantage: "here", Reference: "a", Nodes: nodesOf("a", "b")}, records...)
	there := newRun(Header{ID: "2", Vantage: "there", Reference: "c", Nodes: nodesOf("c", "d")}, records...)
	for _, runs := range [][]*Run{{here, there}, {there, here}} {
		s := Summarise(runs)
		for i, r := range s.Rows {
			want := []string{"", "20 pairs, 1.10 of a, slower"}[i%2]
			if r.Node.Name == "d" {
				want = "20 pairs, 1.10 of c, slower"
			}
			equal(t, s.Title(r), inShort(r.VsReference), want)
		}
	}
}

func TestOpenLoopCountsFromTheIntendedStart(t *testing.T) {
	h := Header{ID: "x", Rate: 10, Nodes: nodesOf("a")}
	records := rounds(0, 10, 10, 10, 10)
	records[2].Lag = 990 * time.Millisecond
	r := Summarise([]*Run{newRun(h, records...)}).Rows[0]
	equal(t, "latency, uncorrected, lag, sorted", []float64{r.Latency.Max, r.Uncorrected.Max, r.Lag.Max, r.Lag.Min, r.Sorted[3]},
		[]float64{1000, 10, 990, 0, 1000})
	h.Rate = 0
	r = Summarise([]*Run{newRun(h, records...)}).Rows[0]
	equal(t, "a closed loop", []any{r.Latency.Max, r.Uncorrected == nil, r.Lag == nil}, []any{10, true, true})
}

// At a fixed rate TTFT counts from the intended start everywhere: on its own, in buckets, with failures, and in a
// comparison.
func TestOpenLoopCountsTTFTFromTheIntendedStart(t *testing.T) {
	h := Header{ID: "x", Rate: 10, Stream: true, Reference: "a", Concurrency: 1, Nodes: nodesOf("a", "b")}
	a, b := streamed(0, 40*time.Millisecond, 100, 100, 100, around(200, 20)...), streamed(1, 30*time.Millisecond, 100, 100, 100, around(200, 20)...)
	for i := range b {
		b[i].Lag = 50 * time.Millisecond
	}
	for rate, want := range map[float64]string{10: "80 [0 0 20] 80 20 2.00 slower 80 40 false true", 0: "30 [0 20 20] 30 20 0.75 faster 30 40 false false"} {
		h.Rate = rate
		s := Summarise([]*Run{newRun(h, append(slices.Clone(a), b...)...)})
		r, v := s.Rows[1], s.Rows[1].VsReference
		got := fmt.Sprint(r.TTFT.P50, r.TTFTBuckets[4:7], r.TTFTWithFailures.P50, " ", r.TTFT.N, fmt.Sprintf(" %.2f ", v.Ratio), v.Verdict, " ", v.P50, v.ReferenceP50,
			v.ShapesDiffer, s.Check(parse(t, "b:ttft.p95<70ms"), false)[0].Missed)
		equal(t, fmt.Sprintf("TTFT at a rate of %g", rate), got, want)
	}
}

// Requests per second and in flight are relative to the time of all runs. In a closed loop the faster node waited.
func TestLoad(t *testing.T) {
	h := Header{ID: "x", Reference: "a", Concurrency: 2, Nodes: nodesOf("a", "b")}
	run := func(id string, change func(*Header)) *Run {
		h := h
		h.ID, h.Nodes = id, slices.Clone(h.Nodes)
		change(&h)
		r := newRun(h, append(rounds(0, slices.Repeat([]float64{1000}, 20)...), rounds(1, slices.Repeat([]float64{250}, 20)...)...)...)
		r.Elapsed = 10 * time.Second
		return r
	}
	none := func(*Header) {}
	for _, c := range []struct {
		name   string
		runs   []*Run
		want   [4]float64 // of a and b: requests/s, in flight
		waited bool
	}{
		{"one run", []*Run{run("x", none)}, [4]float64{2, 2, 2, 0.5}, true},
		{"two runs", []*Run{run("x", none), run("y", none)}, [4]float64{2, 2, 2, 0.5}, true},
		{"two parts of one run", []*Run{run("x", none), run("x", none)}, [4]float64{4, 4, 4, 1}, true},
		{"a fixed rate", []*Run{run("x", func(h *Header) { h.Rate = 2 })}, [4]float64{2, 2, 2, 0.5}, false},
		{"a rate limit", []*Run{run("x", func(h *Header) { h.Nodes[1].Limit = "2/s" })}, [4]float64{2, 2, 2, 0.5}, false},
	} {
		s := Summarise(c.runs)
		a, b := s.Rows[0], s.Rows[1]
		got := [4]float64{a.PerSecond, a.InFlight, b.PerSecond, b.InFlight}
		equal(t, c.name, []any{got, s.FasterWaited}, []any{c.want, c.waited})
	}
	one := newRun(Header{ID: "x", Nodes: nodesOf("a")}, rounds(0, 1000, 10)...)
	one.Elapsed = 10 * time.Second
	equal(t, "one node", Summarise([]*Run{one}).FasterWaited, false)
}

// Requests of runs over several days are at their own place on the time axis, and there are results by hour of day.
func TestRunsOfDays(t *testing.T) {
	first := time.Date(2026, 11, 2, 20, 30, 0, 0, time.FixedZone("", 8*3600))
	var runs []*Run
	for _, hours := range []int{26, 0, 49} { // at 22:30, 20:30 and 21:30
		h := Header{ID: fmt.Sprint(hours), Reference: "a", Nodes: nodesOf("a"), Started: first.Add(time.Duration(hours) * time.Hour).UTC()}
		if hours == 0 {
			h.Started = first
		}
		records := rounds(0, slices.Repeat([]float64{float64(100 + hours)}, 4)...)
		records[3].Start = 40 * time.Minute // in the next hour of day
		if hours == 49 {
			records[2].Class = "reset"
		}
		runs = append(runs, newRun(h, records...))
	}
	s := Summarise(runs)
	equal(t, "first and last", []any{s.Started.Equal(first), s.LastStarted.Sub(first)}, []any{true, 49 * time.Hour})
	equal(t, "hours", s.Rows[0].Hours, "[{20 3 3 100} {21 4 3 149} {22 4 4 126} {23 1 1 NaN}]")
	line := s.Rows[0].Timeline
	equal(t, "first and last point, in hours", []float64{line[0].At, math.Round(line[len(line)-1].At) / 3600}, []float64{0, 49 + 2./3})
	equal(t, "of one day", Summarise(runs[1:2]).Rows[0].Hours == nil, true)
	// An invalid start time breaks nothing.
	runs[0].Header.Started = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	if at := Summarise(runs).Rows[0].Timeline[11].At; at <= 0 || at > 101*365*86400 {
		t.Errorf("a run of the year 9999 lies at %g s", at)
	}
}

// A setting that merged runs do not have in common is left out, whichever file is first.
func TestPlanOfMergedRuns(t *testing.T) {
	a := newRun(Header{ID: "a", Requests: 25, Seed: 1, Warmup: 1, Nodes: nodesOf("a")}, rounds(0, 100)...)
	b := newRun(Header{ID: "b", Requests: 40, Seed: 2, Warmup: 1, Nodes: nodesOf("a")}, rounds(0, 100)...)
	for _, runs := range [][]*Run{{a, b}, {b, a}} {
		h := Summarise(runs).Header
		equal(t, "requests, duration, seed, warm-ups", []any{h.Requests, h.Duration, h.Seed, h.Warmup}, []any{0, time.Duration(0), 0, 1})
	}
	h := Summarise([]*Run{a, a}).Header
	equal(t, "requests and seed of parts of one run", []any{h.Requests, h.Seed}, []any{25, 1})
}

func TestBuckets(t *testing.T) {
	r := summary("a", streamed(0, 5*time.Millisecond, 0, 0, 0, 1, 2.5, 2.6, 60_000, 200_000)...).Rows[0]
	equal(t, "latencies up to 1, 2.5, 5, 60,000 and 120,000 ms", []int{r.LatencyBuckets[0], r.LatencyBuckets[1], r.LatencyBuckets[2],
		r.LatencyBuckets[14], r.LatencyBuckets[15]}, []int{1, 2, 3, 4, 4})
	equal(t, "TTFT up to 2.5 and 5 ms", r.TTFTBuckets[1:3], []int{0, 5})
}

// streamed returns successes of a node like rounds, all with the same stream.
func streamed(node int, ttft time.Duration, tokens, textTokens, chunks int64, ms ...float64) []Outcome {
	records := rounds(node, ms...)
	for i := range records {
		r := &records[i]
		r.TTFT, r.OutputTokens, r.TextTokens, r.Chunks = ttft, tokens, textTokens, chunks
	}
	return records
}

// The time between tokens is reported only if it is known.
func TestInterTokenLatency(t *testing.T) {
	const ttft = 100 * time.Millisecond
	whole := slices.Repeat([]float64{1090}, 20)
	typical := func(s *Stats) string {
		if s == nil {
			return ""
		}
		equal(t, "answers with a value", s.N, len(whole))
		return fmt.Sprintf("%.5g", s.P50)
	}
	for _, c := range []struct {
		name                       string
		ttft                       time.Duration
		tokens, textTokens, chunks int64
		itl, decode                string // of answers of 1090 ms; "" for no value
		warning                    string
	}{
		{"a token in each event", ttft, 100, 100, 100, "10", "100", ""},
		{"four tokens in each event, which share its time", ttft, 100, 100, 25, "10.312", "96.97", ""},
		{"reasoning that is counted apart", ttft, 700, 100, 100, "10", "100", ""},
		{"reasoning that is not", ttft, 700, 0, 100, "", "",
			"itl_unknown a: a: reasoning tokens are not counted separately: inter-token latency unknown"},
		{"two tokens", ttft, 2, 2, 2, "", "", "itl_unknown a: a: answers have fewer than 10 tokens: inter-token latency unknown"},
		{"a node that does not count", ttft, 0, 0, 100, "", "", ""},
		{"no stream", 0, 100, 0, 0, "", "", ""},
		{"a file of an earlier ferry", ttft, 100, 0, 0, "", "", ""},
		{"one event", 1080 * time.Millisecond, 100, 100, 1, "", "",
			"buffered a: a: first and last text arrived together in 20 of 20 answers: a proxy may be buffering the stream"},
		{"all events at once", 1080 * time.Millisecond, 100, 100, 100, "", "",
			"buffered a: a: first and last text arrived together in 20 of 20 answers: a proxy may be buffering the stream"},
		{"a short text after long reasoning", 1050 * time.Millisecond, 700, 20, 20, "2.1053", "475", ""},
	} {
		s := summary("a", streamed(0, c.ttft, c.tokens, c.textTokens, c.chunks, whole...)...)
		equal(t, c.name+": warnings", warned(s), c.warning)
		r := s.Rows[0]
		equal(t, c.name+": ITL, decode rate", []string{typical(r.ITL), typical(r.DecodeRate)}, []string{c.itl, c.decode})
		if c.tokens > 0 {
			equal(t, c.name+": tokens of an answer", r.AnswerTokens.P50, float64(c.tokens))
		}
	}
}

// Only long answers show whether they arrived at once, and the warning counts only these.
func TestBufferedCountsLongAnswers(t *testing.T) {
	records := append(streamed(0, 1080*time.Millisecond, 100, 100, 1, around(1090, 6)...), streamed(0, 100*time.Millisecond, 2, 2, 2, around(1090, 14)...)...)
	s := summary("a", records...)
	equal(t, "warnings", fmt.Sprint(s.Warnings[0].Text, len(s.Warnings)),
		"a: first and last text arrived together in 6 of 6 answers: a proxy may be buffering the stream1")
}

// Text that arrives faster than any model sends it was buffered, whatever its share of a short latency. If this is so
// for most answers, the others do not show the time between tokens either.
func TestBufferedHasNoTimeBetweenTokens(t *testing.T) {
	for bursts, want := range map[int]bool{17: false, 11: false, 10: true} {
		records := append(streamed(0, 10*time.Millisecond, 100, 100, 100, around(15, bursts)...),
			streamed(0, 10*time.Millisecond, 100, 100, 100, around(35, 20-bursts)...)...)
		r := summary("a", records...).Rows[0]
		equal(t, fmt.Sprint(bursts, " of 20 at once: ITL and decode rate known"), []bool{r.ITL != nil, r.DecodeRate != nil}, []bool{want, want})
	}
}

// Streams are compared by their first text, however long the complete answers take.
func TestStreamsAreComparedByTTFT(t *testing.T) {
	a, b := streamed(0, 400*time.Millisecond, 100, 100, 100, around(2000, 20)...), streamed(1, 200*time.Millisecond, 100, 100, 100, around(3000, 20)...)
	s := summary("a b", append(a, b...)...)
	equal(t, "figure and comparison", []any{s.Figure, inShort(s.Rows[1].VsReference), s.Rows[1].VsReference.P50, s.Rows[1].VsReference.ReferenceP50},
		[]any{TTFTFigure, "20 pairs, 0.50 of a, faster", 200, 400})
	equal(t, "best", s.Leads(s.Rows[1]), true)
	for i := range b {
		b[i].TTFT = 0
	}
	s = summary("a b", append(a, b...)...)
	equal(t, "without a first text of one", []any{s.Figure, inShort(s.Rows[1].VsReference)}, []any{LatencyFigure, "20 pairs, 1.50 of a, slower"})
}

func TestAnswersOfDifferentLengthWarn(t *testing.T) {
	for tokens, want := range map[int64]string{
		20: "answer_lengths_differ: answer lengths differ: b typically has 20 tokens, a 100; longer answers take longer",
		90: "", 0: "",
	} {
		a, b := streamed(0, 0, 100, 0, 0, around(800, 20)...), streamed(1, 0, tokens, 0, 0, around(700, 20)...)
		s := summary("a b", append(a, b...)...)
		equal(t, fmt.Sprint(tokens, " tokens"), warned(s), want)
	}
}

func TestTimeline(t *testing.T) {
	const n = 10 * timelinePoints
	var records []Outcome
	for i := range n {
		records = append(records, rounds(0, 3.25)[0])
		records[i].Start, records[i].Round = time.Duration(n-i)*time.Second, i
	}
	records[0].Class = "reset"
	points := summary("a", records...).Rows[0].Timeline
	if len(points) != timelinePoints || points[0].At != 1 || points[len(points)-1] != (Point{n, 3.25, false}) {
		t.Fatalf("%d points, from %+v to %+v", len(points), points[0], points[len(points)-1])
	}
	for i, p := range points[1:] {
		if step := p.At - points[i].At; step < 10 || step > 11 {
			t.Fatalf("point %d is %v s after the one before", i+1, step)
		}
	}
	for i := range records { // all begin at once except one
		records[i].Start, records[i].Latency = 0, time.Duration(n-i)*time.Millisecond
	}
	records[n/2].Start = 9 * time.Hour
	points = summary("a", records...).Rows[0].Timeline
	if points[0] != (Point{0, 1, true}) || points[len(points)-1] != (Point{32400, n / 2, true}) || points[1].Latency != 11 {
		t.Fatalf("from %+v, %+v to %+v", points[0], points[1], points[len(points)-1])
	}
	if few := summary("a", records[:7]...).Rows[0].Timeline; len(few) != 7 {
		t.Errorf("%d points of 7 requests", len(few))
	}
}

func TestSummariseNothing(t *testing.T) {
	s := Summarise(nil)
	equal(t, "no run", []any{len(s.Best), len(s.Rows)}, []any{0, 0})
	s = summary("a")
	equal(t, "no request", []any{len(s.Best), s.Rows[0].Success.Value, s.Rows[0].Latency.Mean}, []any{0, math.NaN(), math.NaN()})
}

// Summarising two series of half a million samples needs at most 24 bytes for each sample.
func TestSummariseMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("one goroutine, and memory that is counted without the race detector")
	}
	const n = 500_000
	random := rand.New(rand.NewPCG(11, 11))
	run := newRun(Header{ID: "x", Reference: "a", Rate: 100, Nodes: nodesOf("a", "b")})
	for round := range n {
		for node, s := range run.Series {
			s.add(Outcome{
				Node: node, Round: round, Start: time.Duration(round) * time.Millisecond, Attempts: 1, OutputTokens: 20,
				Latency: time.Duration(random.Int64N(1e9)), TTFT: time.Millisecond, Lag: time.Duration(random.Int64N(1e9)),
			})
		}
	}
	var s *Summary
	if allocated := allocatedBy(func() { s = Summarise([]*Run{run}) }); allocated > uint64(24*2*n)+1<<20 {
		t.Errorf("got %d bytes allocated for %d samples, want at most 24 for each", allocated, 2*n)
	}
	equal(t, "pairs", s.Rows[1].VsReference.Pairs, n)
}

func TestPrecise(t *testing.T) {
	wild := slices.Repeat([]float64{100, 1000}, 50)
	refused := rounds(2, 5)
	refused[0].Class = "4xx"
	half := rounds(1, around(100, 400)...)
	for i := range half {
		if i%2 == 0 {
			half[i].Class = "timeout"
		}
	}
	// a and b have only five rounds in common.
	apart := rounds(1, around(100, 400)...)
	for i := range apart {
		apart[i].Round += 395
	}
	for _, c := range []struct {
		name      string
		records   []Outcome
		ended     []int
		precision float64
		want      bool
	}{
		{"nothing", nil, nil, 0.5, false},
		{"nine", slices.Concat(rounds(0, around(100, 9)...), rounds(1, around(100, 9)...)), []int{2}, 0.5, false},
		{"ten", slices.Concat(rounds(0, around(100, 10)...), rounds(1, around(100, 10)...)), []int{2}, 0.5, true},
		{"the success rate is not known to 5 % yet", slices.Concat(rounds(0, around(100, 34)...), rounds(1, around(100, 34)...)), []int{2}, 0.05, false},
		{"now it is", slices.Concat(rounds(0, around(100, 35)...), rounds(1, around(100, 35)...)), []int{2}, 0.05, true},
		{"a node without a success that goes on", slices.Concat(rounds(0, around(100, 50)...), rounds(1, around(100, 50)...), refused), nil, 0.05, false},
		{"a node that was refused", slices.Concat(rounds(0, around(100, 50)...), rounds(1, around(100, 50)...), refused), []int{2}, 0.05, true},
		{"all were refused", refused, []int{0, 1, 2}, 0.05, false},
		{"the reference was refused", rounds(1, around(100, 50)...), []int{0, 2}, 0.05, true},
		{"a mean that is not settled", slices.Concat(rounds(0, around(100, 100)...), rounds(1, wild...)), []int{2}, 0.1, false},
		{"half of it fails, and 400 show to 5 % that it is half", slices.Concat(rounds(0, around(100, 400)...), half), []int{2}, 0.05, true},
		{"half of it fails, and 400 do not show it to 2 %", slices.Concat(rounds(0, around(100, 400)...), half), []int{2}, 0.02, false},
		{"five pairs only", slices.Concat(rounds(0, around(100, 400)...), apart), []int{2}, 0.05, false},
	} {
		run := newRun(Header{ID: "x", Reference: "a", Nodes: nodesOf("a", "b", "c")}, c.records...)
		for _, i := range c.ended {
			run.Series[i].Ended = "status 401"
		}
		equal(t, c.name, precise([]*Run{run}, c.precision), c.want)
	}
}

// The interval of the ratio may be wider than the interval of either mean. Then it decides.
func TestPreciseRatio(t *testing.T) {
	random := rand.New(rand.NewPCG(12, 12))
	var values, other []float64
	for range 400 {
		factor := math.Exp(0.2 * random.NormFloat64())
		values, other = append(values, 100*factor), append(other, 100/factor) // slow if the other is fast
	}
	run := newRun(Header{ID: "x", Reference: "a", Nodes: nodesOf("a", "b")}, append(rounds(0, values...), rounds(1, other...)...)...)
	equal(t, "a ratio's interval wider than 3 %", precise([]*Run{run}, 0.03), false)
	run.Header.Nodes[1].Model, run.Series[1].Node.Model = "other", "other"
	equal(t, "nodes of different models, which are not compared", precise([]*Run{run}, 0.03), true)
}

// An answer that takes no time, by a clock that stood still, is a success without a rate.
func TestInstantAnswer(t *testing.T) {
	instant := rounds(0, 0)
	instant[0].OutputTokens = 16
	r := summary("a", instant...).Rows[0]
	equal(t, "successes, tokens/s", []any{r.OK, r.TokensPerSecond}, []any{1, (*Stats)(nil)})
}

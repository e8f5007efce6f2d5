package bench

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// parse parses thresholds.
func parse(t *testing.T, texts ...string) (all []Threshold) {
	t.Helper()
	for _, text := range texts {
		threshold, err := ParseThreshold(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, threshold)
	}
	return all
}

// warned returns the warnings of a summary, each with its code and node on a line.
func warned(s *Summary) string {
	var all []string
	for _, w := range s.Warnings {
		all = append(all, strings.TrimSpace(w.Code+" "+w.Node)+": "+w.Text)
	}
	return strings.Join(all, "\n")
}

// equal compares a result with the expected one, both as text.
func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s: got %s, want %s", what, g, w)
	}
}

// skipIfShort skips a test with -short, and with the race detector, which can find nothing in one goroutine and changes
// memory use. CI runs these tests without both.
func skipIfShort(t *testing.T, what string) {
	t.Helper()
	if testing.Short() || raceEnabled {
		t.Skip("long: " + what)
	}
}

// falsePositives checks that the share of simulated cases that show a difference, although there is none, is at most
// alpha.
func falsePositives(t *testing.T, name string, cases int, tells func(random *rand.Rand) bool) {
	t.Helper()
	told := 0.
	for seed := range cases {
		if tells(rand.New(rand.NewPCG(uint64(seed), 17))) {
			told++
		}
	}
	share := told / float64(cases)
	t.Logf("%s: %.1f %% tell a difference", name, 100*share)
	if most := alpha + 3*math.Sqrt(alpha*(1-alpha)/float64(cases)); share > most {
		t.Errorf("%s: got %.3f of %d with a false difference, want at most %.3f", name, share, cases, most)
	}
}

// drawMany draws n values.
func drawMany(random *rand.Rand, n int, draw func(*rand.Rand) float64) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = draw(random)
	}
	return values
}

// bubble is the clock of a synctest bubble. It takes no real time.
type bubble struct{}

func (bubble) Now() time.Time { return time.Now() }

func (bubble) Sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fake is a node. takes returns how long it takes for a round.
type fake struct {
	takes func(round int) time.Duration
	class func(round int) string

	mu       sync.Mutex
	inFlight int
	most     int
	rounds   []int
	nonces   []string
}

func (f *fake) target(ctx context.Context, r Request) Outcome {
	f.mu.Lock()
	f.inFlight++
	f.most = max(f.most, f.inFlight)
	f.rounds = append(f.rounds, r.Round)
	f.nonces = append(f.nonces, r.Nonce)
	f.mu.Unlock()
	o := Outcome{Started: time.Now(), Attempts: 1, Billed: 10}
	err := bubble{}.Sleep(ctx, f.takes(r.Round))
	o.Latency = time.Since(o.Started)
	f.mu.Lock()
	f.inFlight--
	f.mu.Unlock()
	if err != nil {
		return Outcome{Cancelled: true}
	}
	if f.class != nil {
		o.Class = f.class(r.Round)
		o.Final = o.Class == "4xx" || o.Class == "unsent"
		o.Cancelled = o.Class == "unsent"
		o.Detail = o.Class
	}
	return o
}

func always(d time.Duration) func(int) time.Duration { return func(int) time.Duration { return d } }

// planOf returns a plan for nodes named a, b, c…
func planOf(h Header, fakes ...*fake) Plan {
	p := Plan{Header: h, Clock: bubble{}}
	for i, f := range fakes {
		p.Header.Nodes = append(p.Header.Nodes, Node{Name: string(rune('a' + i)), Connection: Cold, Model: "m"})
		p.Targets = append(p.Targets, f.target)
	}
	return p
}

// runPlan makes a run in a synctest bubble, runHere in the bubble of the caller.
func runPlan(t *testing.T, p Plan) (run *Run) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { run = runHere(t, p) })
	return run
}

func runHere(t *testing.T, p Plan) *Run {
	t.Helper()
	run, err := New(p).Run(t.Context(), t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func roundsOf(s *Series) (rounds []int) {
	for _, sample := range byRound(s) {
		rounds = append(rounds, int(sample.Round))
	}
	return rounds
}

func byRound(s *Series) []Sample {
	return slices.SortedFunc(s.samples.all(), func(a, b Sample) int { return int(a.Round) - int(b.Round) })
}

func upTo(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// savedHeader returns the header of a run with three series, two of them of one node.
func savedHeader() Header {
	return Header{
		Schema: Schema, ID: "6f1d20", Started: time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC), Vantage: "上海",
		PromptSHA256: "9b74", MaxTokens: 100, Requests: 20, Concurrency: 2, Warmup: 1, Attempts: 3, Stream: true,
		Connections: "both", Seed: 7, Program: "1.0.0", Reference: "direct",
		Nodes: []Node{
			{Name: "direct", Label: "直连", Host: "api.example.com", API: "messages", Model: "claude-haiku-5-5", Connection: Cold},
			{Name: "hongkong", Host: "hk.example.com", API: "messages", Model: "claude-haiku-5-5", Connection: Cold},
			{Name: "hongkong", Host: "hk.example.com", API: "messages", Model: "claude-haiku-5-5", Connection: Reused},
		},
	}
}

// savedFile is a saved run of version 1 with savedHeader and savedRequests.
//
//go:embed testdata/saved-v1.jsonl
var savedFile string

var (
	// savedLines are the lines of savedFile in today's version: a head, the lines of the requests and a foot.
	savedLines           = strings.SplitAfter(strings.Replace(savedFile, `"schema":1`, `"schema":2`, 1), "\n")
	savedHead, savedFoot = savedLines[0], savedLines[6]
	requestLines         = []string{savedLines[1], strings.Join(savedLines[2:5], ""), savedLines[5]}
)

// savedRequests are records that use every field.
var savedRequests = []Outcome{
	{
		Node: 0, Round: 0, Start: 1234 * time.Microsecond, Latency: 800*time.Millisecond + 3, TTFT: 300*time.Microsecond + 999,
		Phases: Phases{1, 2, 3, 4, 5}, OutputTokens: 12, Attempts: 1,
	},
	{
		Node: 2, Round: 0, Latency: 5 * time.Second, Lag: 7 * time.Microsecond, Phases: Phases{Wait: 9}, Attempts: 3, Fresh: true,
		Earlier: []Attempt{{"http_503", time.Second}, {"connect", 20}},
	},
	{Node: 1, Round: 19, Start: time.Second, Latency: 2, Class: "reset", Detail: "reset by <peer>\n\"连接\"", Attempts: 1},
}

// writes stores the bytes of each call.
type writes struct {
	mu   sync.Mutex
	all  []string
	room int // how many calls succeed, 0 for all
}

func (w *writes) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, string(p))
	if w.room > 0 && len(w.all) > w.room {
		return 0, fmt.Errorf("full at call %d", len(w.all))
	}
	return len(p), nil
}

// measured returns a run as Bench has it in memory, and saves it to w.
func measured(t testing.TB, w io.Writer) *Run {
	t.Helper()
	run := newRun(savedHeader())
	run.Ending = Ending{9 * time.Second, "interrupted", 150 * time.Microsecond, -2 * time.Millisecond}
	run.Series[1].Ended, run.Series[2].Unsent = "HTTP 401", 4
	saved, err := NewWriter(w, run.Header)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range savedRequests {
		run.Series[r.Node].add(r.rounded())
		saved.request(r.rounded())
	}
	if err := saved.end(run); err != nil {
		t.Fatal(err)
	}
	return run
}

// asText returns everything of a run except its notes.
func asText(r *Run) string {
	h := r.Header
	h.Started = h.Started.UTC()
	var b strings.Builder
	fmt.Fprintf(&b, "%+v\n%+v\n", h, r.Ending)
	for _, s := range r.Series {
		fmt.Fprintf(&b, "%+v %q %d %+v %q\n", s.Node, s.Ended, s.Unsent, s.Phases, s.Details)
		for sample := range s.samples.all() {
			fmt.Fprintf(&b, "%+v %q\n", sample, s.Class(sample))
		}
	}
	return b.String()
}

// newRun returns a run with the given records.
func newRun(h Header, records ...Outcome) *Run {
	run := &Run{Header: h}
	for _, n := range h.Nodes {
		run.Series = append(run.Series, newSeries(n))
	}
	for _, r := range records {
		run.Series[r.Node].add(r)
	}
	return run
}

func nodesOf(names ...string) []Node {
	var nodes []Node
	for _, name := range names {
		nodes = append(nodes, Node{Name: name, Model: "m", Connection: Cold})
	}
	return nodes
}

// summary returns the summary of a run of the named nodes, the first of which is the reference.
func summary(names string, records ...Outcome) *Summary {
	nodes := nodesOf(strings.Fields(names)...)
	return Summarise([]*Run{newRun(Header{ID: "x", Reference: nodes[0].Name, Nodes: nodes}, records...)})
}

// rounds returns successes of a node in rounds 0 and on, 100 ms apart, with the given latencies in ms.
func rounds(node int, ms ...float64) []Outcome {
	var records []Outcome
	for i, v := range ms {
		records = append(records, Outcome{
			Node: node, Round: i, Start: time.Duration(i) * 100 * time.Millisecond,
			Latency: time.Duration(v * float64(time.Millisecond)), Attempts: 1,
		})
	}
	return records
}

// around returns n different latencies near a middle, in ms.
func around(middle float64, n int) []float64 {
	var ms []float64
	for i := range n {
		ms = append(ms, middle*(1+0.01*float64(i%7-3)+1e-6*float64(i)))
	}
	return ms
}

// randomRecords returns the records of a random run, in the order in which they ended.
func randomRecords(random *rand.Rand, h Header) (records []Outcome) {
	classes := []string{"", "", "", "", "", "timeout", "429", "reset"}
	for round := range 60 {
		for node := range h.Nodes {
			r := Outcome{
				Node: node, Round: round, Start: time.Duration(round/3) * time.Second, Attempts: 1 + random.IntN(2),
				Latency: time.Duration(len(records))*time.Millisecond + time.Duration(random.Int64N(1e6)),
				Class:   classes[random.IntN(len(classes))], OutputTokens: random.Int64N(50), TextTokens: random.Int64N(50), Chunks: random.Int64N(50), Fresh: random.IntN(20) == 0,
				Phases: Phases{time.Duration(random.Int64N(1e6)), 2, 3, time.Duration(random.Int64N(1e9)), 5},
			}
			r.TTFT = (r.Latency / 3).Round(time.Microsecond)
			if h.Rate > 0 {
				r.Lag = time.Duration(random.IntN(5)) * time.Millisecond
			}
			if r.Class != "" {
				r.Detail = fmt.Sprintf("%s in round %d", r.Class, round)
			}
			records = append(records, r)
		}
	}
	return records
}

// completed sets the facts that are known at the end of a run.
func completed(run *Run) *Run {
	run.Ending = Ending{time.Minute, "interrupted", time.Second, -time.Hour}
	run.Series[1].Ended, run.Series[1].Unsent = "status 401", 3
	return run
}

// dump returns a complete summary as text, including what its pointers point to. In text, NaN equals NaN.
func dump(s *Summary) string {
	summary := *s
	summary.Rows = nil
	text := fmt.Sprintf("%+v\n", summary)
	for _, r := range s.Rows {
		for field, value := range reflect.ValueOf(*r).Fields() {
			if field.Name != "series" {
				text += fmt.Sprintf("%s %+v\n", field.Name, reflect.Indirect(value))
			}
		}
	}
	return text
}

// inShort returns a comparison in a few words, "" for none.
func inShort(c *Comparison) string {
	if c == nil {
		return ""
	}
	return fmt.Sprintf("%d pairs, %.2f of %s, %s", c.Pairs, c.Ratio, c.Reference, c.Verdict)
}

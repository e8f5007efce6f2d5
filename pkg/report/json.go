package report

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"time"

	"ferry/pkg/bench"
	"ferry/pkg/text"
)

// jsonNumber is a number in JSON, null where there is none: JSON has no NaN.
type jsonNumber float64

// MarshalJSON writes the shortest digits that read back as the same number.
func (n jsonNumber) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// rounded is a number to so many places: picoseconds are not measured.
func rounded(x float64, places int) jsonNumber {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return jsonNumber(math.NaN())
	}
	short, err := strconv.ParseFloat(strconv.FormatFloat(x, 'f', places, 64), 64)
	if err != nil {
		return jsonNumber(math.NaN())
	}
	return jsonNumber(short)
}

// millis is a time in ms, to the microsecond.
func millis(ms float64) jsonNumber { return rounded(ms, 3) }

// share is a rate, a ratio or an end of an interval of one.
func share(x float64) jsonNumber { return rounded(x, 6) }

// The objects of the schema. A field that the schema names is there in every report, null where there is nothing to say;
// of the other fields, what does not apply is left out.
type (
	jsonReport struct {
		Schema       int           `json:"schema"`
		Model        string        `json:"model"`
		PromptSHA256 string        `json:"prompt_sha256"`
		Started      string        `json:"started"`
		Requests     int           `json:"requests"`
		Connections  string        `json:"connections"`
		ElapsedS     jsonNumber    `json:"elapsed_s"`
		DurationS    *jsonNumber   `json:"duration_s,omitempty"`
		Concurrency  int           `json:"concurrency"`
		Rate         *jsonNumber   `json:"rate,omitempty"`
		Attempts     int           `json:"attempts"`
		Warmup       int           `json:"warmup"`
		Stream       bool          `json:"stream"`
		MaxTokens    int           `json:"max_tokens"`
		Seed         uint64        `json:"seed"`
		Runs         int           `json:"runs"`
		Vantages     []string      `json:"vantages"`
		Proxy        string        `json:"proxy,omitempty"`
		Program      string        `json:"program"`
		Reference    string        `json:"reference"`
		Stopped      string        `json:"stopped,omitempty"`
		Best         *string       `json:"best"`
		Nodes        []jsonNode    `json:"nodes"`
		Warnings     []jsonWarning `json:"warnings"`
	}
	jsonNode struct {
		Node            string         `json:"node"`
		Label           string         `json:"label"`
		URLHost         string         `json:"url_host"`
		API             string         `json:"api"`
		Model           string         `json:"model"`
		Connection      string         `json:"connection"`
		Vantage         string         `json:"vantage,omitempty"`
		Requests        int            `json:"requests"`
		OK              int            `json:"ok"`
		SuccessRate     jsonNumber     `json:"success_rate"`
		SuccessCI       [2]jsonNumber  `json:"success_ci"`
		FirstOK         int            `json:"first_ok"`
		FirstRate       jsonNumber     `json:"first_success_rate"`
		FirstCI         [2]jsonNumber  `json:"first_success_ci"`
		Latency         jsonStats      `json:"latency_ms"`
		TTFT            *jsonStats     `json:"ttft_ms"`
		ITL             *jsonStats     `json:"itl_ms"`
		TokensPerSecond *jsonStats     `json:"tokens_per_second,omitempty"`
		Uncorrected     *jsonStats     `json:"uncorrected_ms,omitempty"`
		Lag             *jsonStats     `json:"lag_ms,omitempty"`
		Phases          jsonPhases     `json:"phases_ms"`
		Errors          map[string]int `json:"errors"`
		Failures        []jsonFailure  `json:"failures"`
		Fresh           int            `json:"fresh,omitempty"`
		Unsent          int            `json:"unsent,omitempty"`
		Ended           string         `json:"ended,omitempty"`
		VsReference     *jsonVersus    `json:"vs_reference"`
	}
	jsonStats struct {
		N    int        `json:"n"`
		Mean jsonNumber `json:"mean"`
		SD   jsonNumber `json:"sd"`
		Min  jsonNumber `json:"min"`
		P50  jsonNumber `json:"p50"`
		P90  jsonNumber `json:"p90"`
		P95  jsonNumber `json:"p95"`
		P99  jsonNumber `json:"p99"`
		Max  jsonNumber `json:"max"`
	}
	jsonPhases struct {
		DNS      jsonNumber `json:"dns"`
		Connect  jsonNumber `json:"connect"`
		TLS      jsonNumber `json:"tls"`
		Wait     jsonNumber `json:"wait"`
		Transfer jsonNumber `json:"transfer"`
	}
	jsonFailure struct {
		Class   string    `json:"class"`
		Blame   string    `json:"blame"`
		Count   int       `json:"count"`
		Latency jsonStats `json:"latency_ms"`
		Detail  string    `json:"detail"`
	}
	jsonVersus struct {
		Reference string        `json:"reference"`
		P50Ratio  jsonNumber    `json:"p50_ratio"`
		CI        [2]jsonNumber `json:"ci"`
		Verdict   string        `json:"verdict"`
		Pairs     int           `json:"pairs"`
		P         jsonNumber    `json:"p"`
		Saved     jsonNumber    `json:"saved_ms"`
		SavedCI   [2]jsonNumber `json:"saved_ci_ms"`
	}
	jsonWarning struct {
		Code string `json:"code"`
		Node string `json:"node,omitempty"`
		Text string `json:"text"`
	}
)

// jsonText is the whole summary as one JSON object, indented, with a newline behind it.
func jsonText(s *bench.Summary) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(jsonOf(s)); err != nil {
		return "", err
	}
	return string(text.SafeJSON(b.Bytes())), nil
}

func jsonOf(s *bench.Summary) jsonReport {
	h := s.Header
	out := jsonReport{
		Schema: bench.Schema, Model: s.Model, PromptSHA256: h.PromptSHA256, Started: h.Started.UTC().Format(time.RFC3339Nano),
		Requests: h.Requests, Connections: h.Connections, ElapsedS: millis(s.Elapsed), Concurrency: h.Concurrency,
		Attempts: h.Attempts, Warmup: h.Warmup, Stream: h.Stream, MaxTokens: h.MaxTokens, Seed: h.Seed, Runs: s.Runs,
		Vantages: []string{}, Proxy: h.Proxy, Program: h.Program, Reference: h.Reference,
		Stopped: s.Stopped, Nodes: []jsonNode{}, Warnings: []jsonWarning{},
	}
	for _, v := range s.Vantages {
		if v != "" {
			out.Vantages = append(out.Vantages, v)
		}
	}
	if h.Duration > 0 {
		seconds := millis(h.Duration.Seconds())
		out.DurationS = &seconds
	}
	if h.Rate > 0 {
		perSecond := jsonNumber(h.Rate)
		out.Rate = &perSecond
	}
	if row := s.BestRow(); row != nil {
		out.Best = &row.Node.Name
	}
	for _, r := range s.Rows {
		out.Nodes = append(out.Nodes, jsonRow(r))
	}
	for _, w := range s.Warnings {
		out.Warnings = append(out.Warnings, jsonWarning{w.Code, w.Node, w.Text})
	}
	return out
}

func jsonRow(r *bench.Row) jsonNode {
	out := jsonNode{
		Node: r.Node.Name, Label: r.Node.Label, URLHost: r.Node.Host, API: r.Node.API, Model: r.Node.Model,
		Connection: string(r.Node.Connection), Vantage: r.Vantage, Requests: r.Requests,
		OK: r.OK, SuccessRate: share(r.Success.Value), SuccessCI: interval(r.Success),
		FirstOK: r.FirstOK, FirstRate: share(r.FirstSuccess.Value), FirstCI: interval(r.FirstSuccess),
		Latency: stats(r.Latency), TTFT: optional(r.TTFT), ITL: optional(r.ITL), TokensPerSecond: optional(r.TokensPerSecond),
		Uncorrected: optional(r.Uncorrected), Lag: optional(r.Lag), Phases: phases(r),
		Errors: map[string]int{}, Failures: []jsonFailure{}, Fresh: r.Fresh, Unsent: r.Unsent, Ended: r.Ended,
	}
	for _, f := range r.Failures {
		out.Errors[f.Class] += f.Count
		out.Failures = append(out.Failures, jsonFailure{f.Class, f.Blame, f.Count, stats(f.Latency), f.Detail})
	}
	if c := r.VsReference; c != nil {
		out.VsReference = &jsonVersus{
			Reference: c.Reference, P50Ratio: share(c.Ratio), CI: [2]jsonNumber{share(c.Low), share(c.High)},
			Verdict: string(c.Verdict), Pairs: c.Pairs, P: jsonNumber(c.P), Saved: millis(c.Saved),
			SavedCI: [2]jsonNumber{millis(c.SavedLow), millis(c.SavedHigh)},
		}
	}
	return out
}

func interval(r bench.Rate) [2]jsonNumber { return [2]jsonNumber{share(r.Low), share(r.High)} }

// stats keeps nothing of a description of no values, whatever it was filled with.
func stats(s bench.Stats) jsonStats {
	none := jsonNumber(math.NaN())
	if s.N == 0 {
		return jsonStats{0, none, none, none, none, none, none, none, none}
	}
	return jsonStats{s.N, millis(s.Mean), millis(s.SD), millis(s.Min), millis(s.P50), millis(s.P90), millis(s.P95),
		millis(s.P99), millis(s.Max)}
}

func optional(s *bench.Stats) *jsonStats {
	if !present(s) {
		return nil
	}
	out := stats(*s)
	return &out
}

func phases(r *bench.Row) jsonPhases {
	if r.OK == 0 {
		none := jsonNumber(math.NaN())
		return jsonPhases{none, none, none, none, none}
	}
	p := r.Phases
	return jsonPhases{millis(p.DNS), millis(p.Connect), millis(p.TLS), millis(p.Wait), millis(p.Transfer)}
}

package report

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"time"

	"ferry/pkg/bench"
	"ferry/pkg/text"
)

// object is a JSON object with its members in this order. A member without a name is left out.
type object []member

type member struct {
	name  string
	value any
}

// MarshalJSON writes the members.
func (o object) MarshalJSON() ([]byte, error) {
	var members [][]byte
	for _, m := range o {
		if m.name != "" {
			members = append(members, append([]byte(strconv.Quote(m.name)+":"), text.EncodeLine(m.value)...))
		}
	}
	return slices.Concat([]byte("{"), bytes.Join(members, []byte(",")), []byte("}")), nil
}

// memberIf returns a member, or a member that is left out if applies is false.
func memberIf(applies bool, name string, value any) member {
	if !applies {
		return member{}
	}
	return member{name, value}
}

// number rounds x to the given number of decimals, because picoseconds are not measured; -1 keeps all digits. It
// returns nil, JSON's null, for NaN and infinity, which JSON does not have.
func number(x float64, places int) any {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return rounded(x, places)
}

func rounded(x float64, places int) float64 {
	short, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'f', places, 64), 64)
	return short
}

// millis returns a time in ms, rounded to the microsecond.
func millis(ms float64) any { return number(ms, 3) }

// share returns a rate, a ratio or an end of its interval.
func share(x float64) any { return number(x, 6) }

// asJSON returns the complete summary as one JSON object, indented, with a newline at the end. A member that the schema
// names is in every report, null if there is no value. Other members are left out if they do not apply.
func asJSON(s *bench.Summary, _ Options) (string, error) {
	h := s.Header
	var best any
	choices := each(s.Best, func(c bench.Choice) object {
		names := each(c.Rows, func(i int) string { return s.Rows[i].Node.Name })
		if len(s.Best) == 1 && len(names) == 1 {
			best = names[0]
		}
		return object{memberIf(c.Vantage != "", "vantage", c.Vantage), {"nodes", names}}
	})
	seconds := func(name string, d time.Duration) member { return memberIf(d > 0, name, millis(d.Seconds())) }
	return object{
		{"schema", bench.Schema}, {"model", s.Model}, {"prompt_sha256", h.PromptSHA256},
		{"started", s.Started.UTC().Format(time.RFC3339Nano)},
		memberIf(s.Runs > 1, "last_started", s.LastStarted.UTC().Format(time.RFC3339Nano)), {"requests", h.Requests}, {"connections", h.Connections},
		memberIf(h.Race, "race", h.Race),
		{"elapsed_s", millis(s.Elapsed)}, seconds("duration_s", h.Duration),
		{"concurrency", h.Concurrency}, memberIf(h.Rate > 0, "rate", number(h.Rate, -1)), {"attempts", h.Attempts},
		memberIf(h.Attempts > 1, "retry_policy", h.Policy), seconds("timeout_s", h.Timeout),
		seconds("connect_timeout_s", h.ConnectTimeout), seconds("idle_timeout_s", h.IdleTimeout),
		memberIf(s.FasterWaited, "faster_nodes_waited", true), memberIf(anyRow(s, hasHours), "hours_zone", zone(s)),
		{"warmup", h.Warmup}, {"stream", h.Stream}, {"figure", s.Figure}, {"max_tokens", h.MaxTokens}, {"seed", h.Seed}, {"runs", s.Runs}, {"vantages", vantages(s)},
		memberIf(h.Proxy != "", "proxy", h.Proxy), {"program", h.Program}, {"reference", h.Reference},
		memberIf(s.Stopped != "", "stopped", s.Stopped), {"best", best}, {"best_nodes", choices}, {"nodes", each(s.Rows, jsonRow)},
		{"warnings", each(s.Warnings, jsonWarning)},
	}.document()
}

// document returns an object as a complete report.
func (o object) document() (string, error) {
	var b bytes.Buffer
	err := json.Indent(&b, text.EncodeLine(o), "", "  ")
	return string(text.SafeJSON(b.Bytes())), err
}

func jsonWarning(w bench.Warning) object {
	return object{{"code", w.Code}, memberIf(w.Node != "", "node", w.Node), {"text", w.Text}}
}

func jsonRow(r *bench.Row) object {
	phases := object(each(phasesOf(r), func(part phase) member { return member{part.name, millis(part.ms)} }))
	errors := map[string]int{}
	failures := each(r.Failures, func(f bench.Failure) object {
		errors[f.Class] += f.Count
		return object{{"class", f.Class}, {"blame", f.Blame}, {"count", f.Count}, {"latency_ms", jsonStats(&f.Latency)}, {"detail", f.Detail}}
	})
	hours := each(r.Hours, func(h bench.Hour) object {
		return object{{"hour", h.Hour}, {"requests", h.Requests}, {"ok", h.OK}, {"p50_ms", millis(h.P50)}}
	})
	n := r.Node
	some := func(name string, s *bench.Stats) member { return memberIf(present(s), name, statsOrNull(s)) }
	return object{
		{"node", n.Name}, {"label", n.Label}, {"url_host", n.Host}, {"api", n.API}, {"model", n.Model},
		{"connection", n.Connection}, memberIf(r.Vantage != "", "vantage", r.Vantage), {"requests", r.Requests},
		{"ok", r.OK}, {"success_rate", share(r.Success.Value)}, {"success_ci", interval(r.Success)},
		{"first_ok", r.FirstOK}, {"first_success_rate", share(r.FirstSuccess.Value)},
		{"first_success_ci", interval(r.FirstSuccess)},
		{"latency_ms", jsonStats(&r.Latency)}, {"ttft_ms", statsOrNull(r.TTFT)}, {"itl_ms", statsOrNull(r.ITL)},
		some("decode_tokens_per_second", r.DecodeRate), some("tokens_per_second", r.TokensPerSecond), some("answer_tokens", r.AnswerTokens),
		some("uncorrected_ms", r.Uncorrected), some("lag_ms", r.Lag),
		{"requests_per_second", share(r.PerSecond)}, {"in_flight", share(r.InFlight)}, memberIf(hasHours(r), "hours", hours),
		{"phases_ms", phases}, {"errors", errors}, {"failures", failures}, memberIf(r.Fresh != 0, "fresh", r.Fresh),
		memberIf(r.Unsent != 0, "unsent", r.Unsent), memberIf(r.Ended != "", "ended", r.Ended),
		{"vs_reference", jsonVersus(r.VsReference)},
	}
}

func jsonVersus(c *bench.Comparison) any {
	if c == nil {
		return nil
	}
	return object{
		{"reference", c.Reference}, {"paired_ratio", share(c.Ratio)}, {"ci", []any{share(c.Low), share(c.High)}},
		{"verdict", c.Verdict}, {"pairs", c.Pairs}, {"p", number(c.P, -1)}, {"level", number(c.Level, -1)}, {"reference_p50_ms", millis(c.ReferenceP50)},
		{"shapes_differ", c.ShapesDiffer},
	}
}

func interval(r bench.Rate) any { return []any{share(r.Low), share(r.High)} }

// jsonStats returns the statistics of a sample. If it has no values, all of them are NaN, and so null.
func jsonStats(s *bench.Stats) object {
	all := object{{"n", s.N}}
	for _, name := range bench.StatNames() {
		all = append(all, member{name, millis(s.Named(name))})
	}
	return all
}

func statsOrNull(s *bench.Stats) any {
	if !present(s) {
		return nil
	}
	return jsonStats(s)
}

package bench

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"ferry/pkg/text"
)

func TestParseThreshold(t *testing.T) {
	for _, c := range []struct {
		text string
		want Threshold
	}{
		{"p95<1200ms", Threshold{"p95<1200ms", "", "latency", "p95", "<", 1200, 0}},
		{"p95<=1.2s", Threshold{"p95<=1.2s", "", "latency", "p95", "<=", 1200, 0}},
		{" hongkong : p95 < 1200ms ", Threshold{"hongkong : p95 < 1200ms", "hongkong", "latency", "p95", "<", 1200, 0}},
		{"success>=95%", Threshold{"success>=95%", "", "success", "", ">=", 0.95, 0}},
		{"success>=0.95", Threshold{"success>=0.95", "", "success", "", ">=", 0.95, 0}},
		{"success >= 99.9 %", Threshold{"success >= 99.9 %", "", "success", "", ">=", 0.999, 0}},
		{"a:first_success>0", Threshold{"a:first_success>0", "a", "first_success", "", ">", 0, 0}},
		{"demo:?latency=1s:max<2s", Threshold{"demo:?latency=1s:max<2s", "demo:?latency=1s", "latency", "max", "<", 2000, 0}},
		{"https://h:8443/api?a>b:ttft.p50<500us", Threshold{"https://h:8443/api?a>b:ttft.p50<500us", "https://h:8443/api?a>b", "ttft", "p50", "<", 0.5, 0}},
		{"香港:itl.mean<20ms", Threshold{"香港:itl.mean<20ms", "香港", "itl", "mean", "<", 20, 0}},
		{"tps.min>=12.5", Threshold{"tps.min>=12.5", "", "tps", "min", ">=", 12.5, 0}},
		{"sd<0", Threshold{"sd<0", "", "latency", "sd", "<", 0, 0}},
	} {
		got, err := ParseThreshold(c.text)
		if err != nil || got != c.want {
			t.Errorf("%q: %+v, %v; want %+v", c.text, got, err, c.want)
		}
		if got.String() != c.want.text || got.Node != c.want.Node {
			t.Errorf("%q: %q of %q", c.text, got.String(), got.Node)
		}
	}
}

func TestParseThresholdErrors(t *testing.T) {
	for _, c := range []struct {
		column int
		want   string
		texts  []string
	}{
		{1, "a metric", []string{"", "p96<1s", "latency.p95<1s", "tps<1", "ttft.success<1", "success.p95<1"}},
		{3, "a metric", []string{"a:"}},
		{4, "a metric", []string{"a: p96<1s", "香港:p96<1s"}},
		{7, "a metric", []string{"https://h/api"}},
		{1, "a node before the colon", []string{":p95<1s"}},
		{4, "one of < <= > >=", []string{"p95", "p95=1s"}},
		{5, "one of < <= > >=", []string{"p95 != 1s"}},
		{5, "a duration", []string{"p95<", "p95<1200", "p95<-1s", "p95<<1s"}},
		{6, "a duration", []string{"p95< 5%"}},
		{10, "a share", []string{"success>=95", "success>=101%", "success>=-1%", "success>=%", "success>=1s", "success>=0x1p-2"}},
		{9, "a number", []string{"tps.p50>1e3", "tps.p50>inf", "tps.p50>NaN", "tps.p50>."}},
	} {
		for _, s := range c.texts {
			got, err := ParseThreshold(s)
			want := fmt.Sprintf("threshold %q: column %d: expected %s", s, c.column, c.want)
			if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(text.Hint(err), "ttft.p95") || got != (Threshold{}) {
				t.Errorf("%q: got %+v, %v; want %s", s, got, err, want)
			}
		}
	}
}

func FuzzParseThreshold(f *testing.F) {
	for _, seed := range []string{
		"p95<1200ms", "hongkong:p95<=1.2s", "success>=99.9%", "demo:?latency=1s:tps.min>3", " 香港 : ttft.p50 > 1us ", "a:b", "p95!", "\xff:sd<1s",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseThreshold(s)
		if err != nil {
			where, _ := strings.CutPrefix(err.Error(), fmt.Sprintf("threshold %q: ", s))
			var column int
			var want string
			_, scanned := fmt.Sscanf(where, "column %d: expected %s", &column, &want)
			if scanned != nil || column < 1 || column > utf8.RuneCountInString(s)+1 || got != (Threshold{}) {
				t.Fatalf("%q: got %+v, %v, want an error with a column", s, got, err)
			}
			return
		}
		again, err := ParseThreshold(got.String())
		if err != nil || again != got {
			t.Fatalf("%q: %+v, then %+v, %v", s, got, again, err)
		}
		if !(got.value >= 0) || got.Node != strings.TrimSpace(got.Node) || got.op == "" {
			t.Fatalf("%q: %+v", s, got)
		}
		if strings.HasSuffix(got.family, "success") && got.value > 1 {
			t.Fatalf("%q: a share of %v", s, got.value)
		}
	})
}

func TestCheck(t *testing.T) {
	stream := streamed(0, 20*time.Millisecond, 5, 17, 17, slices.Repeat([]float64{100}, 1000)...)
	stream[7].Class = "reset"
	stream[8].Attempts = 2
	failed := rounds(2, 5, 5)
	failed[0].Class, failed[1].Class = "reset", "429"
	s := summary("a b c d", slices.Concat(stream, rounds(1, 1200.4, 300), failed)...)
	for _, c := range []struct {
		text string
		want []string
	}{
		{"a:p95<=100ms", nil},
		{"a:p95<100ms", []string{"a: a:p95<100ms missed: 100ms"}},
		{"a:p95>100ms", []string{"a: a:p95>100ms missed: 100ms"}},
		{"a:p95>=100ms", nil},
		{"a:success>=99.9%", nil}, // exactly 999 of 1000
		{"a:success>99.9%", []string{"a: a:success>99.9% missed: 99.9%"}},
		{"a:first_success>=99.9%", []string{"a: a:first_success>=99.9% missed: 99.8%"}},
		{"a:ttft.p50<20ms", []string{"a: a:ttft.p50<20ms missed: 20ms"}},
		{"a:max<1h", []string{"a: a:max<1h missed: failure (1 of 1000 requests failed)"}},
		{"a:p99<=100ms", nil},
		{"a:ttft.max<1h", []string{"a: a:ttft.max<1h missed: failure (1 of 1000 requests failed)"}},
		{"a:slo:latency<=100ms>=99.9%", nil},
		{"a:slo:latency<100ms>=1%", []string{"a: a:slo:latency<100ms>=1% missed: 0%"}},
		{"slo:latency<2s>=99%", []string{"c: slo:latency<2s>=99% missed: 0%", "d: slo:latency<2s>=99% missed: no request"}},
		{"a:itl.max<=5ms", nil},
		{"a:tps.mean>=50", nil},
		{"a:tps.mean>50", []string{"a: a:tps.mean>50 missed: 50"}},
		{"b:max<1200ms", []string{"b: b:max<1200ms missed: 1.2004s"}},
		{"b:p95<2s", []string{"b: b:p95<2s missed: p95 needs at least 20 requests, got 2"}},
		{"b:ttft.p95<2s", []string{"b: b:ttft.p95<2s missed: the run is not streaming"}},
		{"b:tps.p95>1", []string{"b: b:tps.p95>1 missed: the node reports no token counts"}},
		{"c:p95<2s", []string{"c: c:p95<2s missed: no success"}},
		{"c:success>0", []string{"c: c:success>0 missed: 0%"}},
		{"d:success>=0", []string{"d: d:success>=0 missed: no request"}},
		{"e:p95<2s", []string{"e: e:p95<2s missed: no results for this node"}},
		{"mean<1s", []string{"c: mean<1s missed: no success", "d: mean<1s missed: no success"}},
	} {
		var got []string
		checks := s.Check(parse(t, c.text), false)
		for _, check := range checks {
			if check.Missed {
				got = append(got, check.String())
			}
		}
		if c.want == nil && (len(checks) != 1 || checks[0].Node != "a" || checks[0].Seen.Format == "") {
			t.Errorf("%s: got %+v, want one that was kept, with what was seen", c.text, checks)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.text, got, c.want)
		}
	}
}

// If 6 of 100 requests failed, p95 is a failure, unless only successes count.
func TestCheckFailures(t *testing.T) {
	records := rounds(0, slices.Repeat([]float64{100}, 100)...)
	for i := range 6 {
		records[i*10].Class = "timeout"
	}
	s := summary("a", records...)
	for text, want := range map[string][2]string{
		"p90<1s":              {"a: p90<1s met: 100ms", "a: p90<1s met: 100ms"},
		"p95<1s":              {"a: p95<1s missed: failure (6 of 100 requests failed)", "a: p95<1s met: 100ms"},
		"p99<1s":              {"a: p99<1s missed: failure (6 of 100 requests failed)", "a: p99<1s missed: p99 needs at least 100 requests, got 94"},
		"slo:latency<2s>=99%": {"a: slo:latency<2s>=99% missed: 94%", "a: slo:latency<2s>=99% met: 100%"},
	} {
		for i, successesOnly := range []bool{false, true} {
			equal(t, text, s.Check(parse(t, text), successesOnly)[0], want[i])
		}
	}
}

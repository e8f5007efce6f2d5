package cmd

import (
	"strings"
	"testing"

	"ferry/pkg/config"
	"ferry/pkg/limit"
)

// TestLimitLanguage holds the rule by which the configuration finds a mistake to the one by which limits and budgets are
// read: the first may not import the second.
func TestLimitLanguage(t *testing.T) {
	texts := []string{
		"", " ", "none", "None", "50", "50/", "/min", "50/min", "50/m", "50/minute", "50/minutes", "50/s", "50/sec", "50/second", "50/h",
		"50/hour", "50/d", "50/day", "50/week", "50 / min", " 50/min ", "50/min/s", "0/min", "-1/min", "+1/min", "1e3/min", "1.5/s",
		"1000000/s", "1000001/s", "4294967296/s", "99999999999999999999/s", "50/1m30s", "50/0s", "50/500ms", "50/1s", "50/24h", "50/24h1ns",
		"50/-1s", "50/1", "50/9999999999999999999s", "5_0/min", "٥/min", "50/min burst 5",
	}
	for _, text := range texts {
		_, wrong := config.Resolve(&config.File{}, nil, map[string]string{"limit": text})
		_, err := limit.ParseRate(text)
		ours := text == "none" || strings.Contains(text, " burst ") // none of limit's business
		if (wrong == nil) != (err == nil) && !ours {
			t.Errorf("limit %q: the configuration says %v, the limit %v", text, wrong, err)
		}
		for _, burst := range []string{"", "0", "1", "+1", "-1", "5", "10000", "10001", "x", "5 ", "05", "99999999999999999999"} {
			values, wrong := config.Resolve(&config.File{}, nil, map[string]string{"limit": text + " burst " + burst})
			if wrong != nil {
				continue
			}
			rate, n := values.LimitFor(config.Node{})
			r, err := limit.ParseRate(rate)
			r.Burst = n
			if err == nil {
				err = r.Check()
			}
			if err != nil || n < 1 {
				t.Errorf("limit %q burst %q: the configuration takes it, the limit says %v", text, burst, err)
			}
		}
	}
	for _, text := range []string{
		"", "none", "1 tokens/day", "200000 tokens/day", "200000  tokens/day", " 5 tokens/day ", "5\ttokens/day", "0 tokens/day",
		"-5 tokens/day", "+5 tokens/day", "1000000000000 tokens/day", "1000000000001 tokens/day", "99999999999999999999 tokens/day",
		"5 tokens/month", "5 token/day", "5tokens/day", "5", "tokens/day", "5 tokens/day more", "1e3 tokens/day",
	} {
		_, wrong := config.Resolve(&config.File{}, nil, map[string]string{"budget": text})
		if _, err := limit.ParseBudget(text); (wrong == nil) != (err == nil) && text != "none" {
			t.Errorf("budget %q: the configuration says %v, the budget %v", text, wrong, err)
		}
	}
}

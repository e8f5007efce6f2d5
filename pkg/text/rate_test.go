package text

import "testing"

func FuzzParseRate(f *testing.F) {
	for _, s := range []string{"50/min", "2/s", "50/1m30s", "1/1.5s", "0/s", "/", "5/ 1h2m3.5s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		events, per, ok := ParseRate(s)
		if !ok {
			return
		}
		if events < 1 || events > MaxEvents || per < minPer || per > maxPer {
			t.Fatalf("%q reads as %d in %s, which is out of bounds", s, events, per)
		}
		shown := Rate(events, per)
		if e, p, ok := ParseRate(shown); !ok || e != events || p != per {
			t.Fatalf("%q reads as %q, which reads as %d in %s", s, shown, e, p)
		}
	})
}

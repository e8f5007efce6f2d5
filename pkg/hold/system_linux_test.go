package hold

import (
	"bytes"
	"testing"
)

func TestReadMapping(t *testing.T) {
	for line, want := range map[string]mapping{
		"00400000-00c54000 r-xp 00000000 08:01 131 /usr/bin/ferry":    {0x400000, 0xc54000, true},
		"00c54000-01a00000 r--p 00854000 08:01 131 /usr/bin/ferry":    {0xc54000, 0x1a00000, true},
		"01a00000-01b00000 rw-p 01600000 08:01 131 /usr/bin/ferry":    {0x1a00000, 0x1b00000, false},
		"c000000000-c000400000 rw-p 00000000 00:00 0":                 {},
		"7ffd000-7ffe000 r-xp 00000000 00:00 0 [vdso]":                {0x7ffd000, 0x7ffe000, false},
		"nonsense r-xp 00000000 08:01 131 /usr/bin/ferry":             {},
		"00400000-00c54000 r-xp 00000000 08:01 131 /usr/my bin/ferry": {0x400000, 0xc54000, true},
	} {
		if got := readMapping(bytes.Fields([]byte(line))); got != want {
			t.Errorf("%s: %+v", line, got)
		}
	}
}

// A program into which its loader has written addresses, as in a build with the race detector, runs on as before.
func TestUnmapProgram(t *testing.T) {
	before := residentMemory()
	unmapProgram()
	if after := residentMemory(); before == 0 || after == 0 || after > before {
		t.Errorf("%d bytes became %d", before, after)
	}
	r := newRig(t, nil).hold()
	r.must("hello")
}

package hold

import (
	"runtime/debug"
	"time"
)

// forgets has the runtime of a holder keep nothing of what crossed. What the garbage collector frees is overwritten; and a
// goroutine is not interrupted by a signal, which would write the processor's registers, the bytes that were copied last in
// them, to where nobody overwrites them.
const forgets = "GODEBUG=clobberfree=1,asyncpreemptoff=1"

// tidyAfter is how long it has to be quiet before a holder tidies up, and twice that at most.
const tidyAfter = 500 * time.Millisecond

// tidyUp gives back what memory the last loans took, once it is quiet. What is left of a request goes with it: crypto/tls
// leaves plain text behind where a buffer grows while it is encrypted (see forgets).
func (h *holder) tidyUp() {
	for loans := -1; ; {
		if h.clock.Sleep(h.alive, tidyAfter) != nil {
			return // about to end
		}
		h.mu.Lock()
		quiet := loans == h.loans
		loans = h.loans
		h.tidying = h.lent == 0 && !quiet
		goesOn := h.tidying
		h.mu.Unlock()
		switch {
		case quiet:
			debug.FreeOSMemory()
			unmapProgram()
			return
		case !goesOn:
			return // whoever ends the loan that goes on comes here
		}
	}
}

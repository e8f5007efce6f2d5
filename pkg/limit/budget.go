package limit

import (
	"fmt"
	"strconv"
	"strings"
)

// Budget is how many tokens may be used in a day, by the local calendar. The zero value bounds nothing.
type Budget struct{ Tokens int64 }

// maxTokens bounds a budget, and what one request is believed to have used.
const maxTokens = 1_000_000_000_000

// ParseBudget reads "200000 tokens/day".
func ParseBudget(text string) (Budget, error) {
	fields := strings.Fields(text)
	if len(fields) != 2 || fields[1] != "tokens/day" {
		return Budget{}, badBudget(text, "a number and tokens/day are wanted")
	}
	n, err := strconv.ParseUint(fields[0], 10, 63)
	if err != nil || n < 1 || n > maxTokens {
		return Budget{}, badBudget(text, fmt.Sprintf("the number has to be whole, from 1 to %d", int64(maxTokens)))
	}
	return Budget{Tokens: int64(n)}, nil
}

func badBudget(text, why string) error {
	return &Error{Text: fmt.Sprintf("%q is not a budget: %s", text, why), HintText: "200000 tokens/day"}
}

// String is the budget as ParseBudget reads it, "" for none.
func (b Budget) String() string {
	if b.Tokens == 0 {
		return ""
	}
	return fmt.Sprintf("%d tokens/day", b.Tokens)
}

// SpentError is that nothing of the day's budget is left. Nothing was held.
type SpentError struct {
	Budget Budget
	// Spent is what the day's answers used; Held is the most that requests on their way may still use.
	Spent, Held int64
}

func (e *SpentError) Error() string {
	if e.Spent >= e.Budget.Tokens {
		return fmt.Sprintf("the budget of %v is used up: %d today", e.Budget, e.Spent)
	}
	return fmt.Sprintf("the budget of %v is spoken for: %d used today, up to %d by requests on their way",
		e.Budget, e.Spent, e.Held)
}

// Hint tells what to do about it.
func (e *SpentError) Hint() string {
	if e.Spent >= e.Budget.Tokens {
		return "a new day begins at midnight; ferry config usage shows what used it"
	}
	return "try again when they are done; fewer at once, or a lower --max-tokens, leave room"
}

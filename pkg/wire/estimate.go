package wire

// EstimateTokens guesses how many tokens a text is, rounded up, for what a request may cost before it is sent. Four ASCII
// bytes count as one token and any other character as one: real tokenisers differ by model, and this errs upwards for
// Chinese.
func EstimateTokens(text string) int {
	quarters := 0
	for _, r := range text {
		if r < 0x80 {
			quarters++
		} else {
			quarters += 4
		}
	}
	return (quarters + 3) / 4
}

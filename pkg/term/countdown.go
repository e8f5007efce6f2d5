package term

import (
	"context"
	"fmt"
	"io"
	"time"

	"ferry/pkg/text"
)

// Countdown waits until nothing is left while it shows what with the seconds that are left, and then clears the line. It
// is for a stream that is a terminal and not plain. Sleep waits; its error ends the countdown.
func Countdown(ctx context.Context, s Stream, left func() time.Duration, what string,
	sleep func(context.Context, time.Duration) error,
) error {
	defer io.WriteString(s, "\r\x1b[K")
	for d := left(); d > 0; d = left() {
		line := cut(fmt.Sprintf("%s in %s", what, text.Seconds((d+time.Second-1).Truncate(time.Second))), s.Width-1)
		if _, err := io.WriteString(s, "\r\x1b[K"+line); err != nil {
			return sleep(ctx, d) // a closed terminal is no reason not to wait
		}
		step := d % time.Second
		if step == 0 {
			step = time.Second
		}
		if err := sleep(ctx, step); err != nil {
			return err
		}
	}
	return nil
}

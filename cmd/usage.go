package cmd

import (
	"fmt"
	"strconv"

	"ferry/pkg/limit"

	"github.com/spf13/cobra"
)

func newConfigUsageCmd(a *app) *cobra.Command {
	return listCmd("usage", "Show the tokens used, by day and node", a.limitsDir, a.listUsage)
}

// listUsage prints the usage that can be read, and then an error for the rest.
func (a *app) listUsage(dir, form string) error {
	used, broken := limit.Usage(dir)
	l := listing[limit.Use]{
		name: "usage", heading: []string{"day", "node", "requests", "tokens in", "tokens out", "in all"}, keep: 2,
		row: func(u limit.Use) []string {
			row := []string{u.Day, u.Node}
			for _, n := range []int64{u.Requests, u.Input, u.Output, u.Input + u.Output} {
				row = append(row, strconv.FormatInt(n, 10))
			}
			return row
		},
	}
	if broken == nil {
		l.none = "nothing is counted yet; tokens are counted where a budget is set: ferry config set budget '200000 tokens/day'"
	}
	if err := l.show(a, form, used); err != nil || broken == nil {
		return err
	}
	return fmt.Errorf("some of it cannot be read: %w", broken)
}

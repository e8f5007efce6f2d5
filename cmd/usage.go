package cmd

import (
	"context"
	"fmt"
	"strconv"

	"ferry/pkg/limit"

	"github.com/spf13/cobra"
)

func newConfigUsageCmd(a *app) *cobra.Command {
	var form string
	c := &cobra.Command{
		Use:   "usage",
		Short: "The tokens used, by day and node",
		Long: `usage shows the requests and tokens of each day and node, the newest day first. They are counted where a budget is set
(budget: 200000 tokens/day, for all nodes or for one), and nowhere else: without one no record is kept.`,
		Args: noArgs,
		RunE: with(a.limitsDir, func(_ context.Context, dir string, _ []string) error { return runConfigUsage(a, dir, form) }),
	}
	textOrJSON(c, &form)
	return c
}

// runConfigUsage prints what could be read, whatever could not.
func runConfigUsage(a *app, dir, form string) error {
	var err error
	used, broken := limit.Usage(dir)
	rows := [][]string{{"day", "node", "requests", "tokens in", "tokens out", "in all"}}
	for _, u := range used {
		row := []string{u.Day, u.Node}
		for _, n := range []int64{u.Requests, u.Input, u.Output, u.Input + u.Output} {
			row = append(row, strconv.FormatInt(n, 10))
		}
		rows = append(rows, row)
	}
	switch {
	case form == "json":
		err = printList(a, "usage", used)
	case len(used) > 0:
		err = a.table(rows, 2)
	case broken == nil:
		a.note("nothing is counted yet; tokens are counted where a budget is set: ferry config set budget '200000 tokens/day'")
	}
	if err == nil && broken != nil {
		err = fmt.Errorf("some of it cannot be read: %w", broken)
	}
	return err
}

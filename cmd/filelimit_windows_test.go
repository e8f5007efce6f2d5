package cmd_test

import "ferry/cmd"

// limitedMain is Main: Windows has no limit on a file's size.
func limitedMain() int { return cmd.Main() }

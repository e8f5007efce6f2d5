// Ferry sends prompts to large-model APIs through named nodes and returns complete answers.
package main

import (
	"os"

	"ferry/cmd"
)

func main() { os.Exit(cmd.Main()) }

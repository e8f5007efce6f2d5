// Ferry carries a prompt to a large-model API through a named node and brings the answer back whole.
package main

import (
	"os"

	"ferry/cmd"
)

func main() { os.Exit(cmd.Main()) }

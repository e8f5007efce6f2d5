package cmd

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Set by the linker: -ldflags "-X ferry/cmd.version=1.2.3 …".
var (
	version = "0.1.0-dev"
	commit  = ""
	date    = ""
)

func newVersionCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "The version, and what it was built from",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return a.write([]byte(versionText() + "\n"))
		},
	}
}

func versionText() string {
	rev, when := commit, date
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision" && rev == "":
				rev = s.Value[:min(12, len(s.Value))]
			case s.Key == "vcs.time" && when == "":
				when = s.Value
			}
		}
	}
	text := "ferry " + version
	if rev != "" {
		text += fmt.Sprintf(" (%s, %s)", rev, when)
	}
	return fmt.Sprintf("%s %s %s/%s", text, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

package cmd

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// unstamped is the version of a build without a stamp.
const unstamped = "0.1.0-dev"

// Set by the linker: -ldflags "-X ferry/cmd.version=1.2.3 …".
var (
	version = unstamped
	commit  = ""
	date    = ""
)

func newVersionCmd(a *app) *cobra.Command {
	var form string
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version and build information",
		Args:  noArgs,
		RunE:  func(*cobra.Command, []string) error { return runVersion(a, form) },
	}
	formatFlag(c, &form)
	return c
}

// versionJSON is what version -o json prints. Fields are only ever added; "" means unknown.
type versionJSON struct {
	Schema  int    `json:"schema"`
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Date    string `json:"date"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

func runVersion(a *app, form string) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	built := builtFrom(versionJSON{Version: version, Commit: commit, Date: date}, info)
	if form == "json" {
		return a.printJSON(built)
	}
	return a.write([]byte(built.text() + "\n"))
}

// builtFrom adds to the linker's stamp what Go knows about the build: the module's version if it was installed or built
// at a tag, and the commit of a clone. The stamp wins, because it was requested.
func builtFrom(stamp versionJSON, info *debug.BuildInfo) versionJSON {
	built := stamp
	built.Schema, built.Go, built.OS, built.Arch = 1, runtime.Version(), runtime.GOOS, runtime.GOARCH
	if known := info.Main.Version; stamp.Version == unstamped && known != "" && known != "(devel)" {
		built.Version = known
	}
	// A tag begins with v, a version does not.
	if number, ok := strings.CutPrefix(built.Version, "v"); ok && number != "" && '0' <= number[0] && number[0] <= '9' {
		built.Version = number
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && stamp.Commit == "":
			built.Commit = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.time" && stamp.Date == "":
			built.Date = s.Value
		}
	}
	return built
}

func (v versionJSON) text() string {
	text := "ferry " + v.Version
	switch {
	case v.Commit != "" && v.Date != "":
		text += fmt.Sprintf(" (%s, %s)", v.Commit, v.Date)
	case v.Commit != "":
		text += fmt.Sprintf(" (%s)", v.Commit)
	}
	return fmt.Sprintf("%s %s %s/%s", text, v.Go, v.OS, v.Arch)
}

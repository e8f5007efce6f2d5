// Command man writes ferry's man pages: a page in section 1 for each command and a page in section 7 for each help
// topic. It owns their form and takes all text from the commands. It is a separate program, so that ferry's binary does
// not contain it.
//
// Cobra's own generator is not used: it treats the texts as Markdown, which they are not, so that tables run together.
//
//	man -version VERSION -date DATE FOLDER     DATE is RFC 3339
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"ferry/cmd"

	"github.com/spf13/cobra"
)

func main() {
	version := flag.String("version", "", "the version of ferry that the pages belong to")
	date := flag.String("date", "", "when it was made, RFC 3339; the pages are the same whenever they are written")
	flag.Parse()
	if err := run(*version, *date, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "man:", err)
		os.Exit(1)
	}
}

func run(version, date string, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want one folder, got %d arguments", len(args))
	}
	day, err := dayOf(date)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(args[0], 0o755); err != nil {
		return err
	}
	return write(cmd.Commands(), edition{version, day}, args[0])
}

// dayOf returns the day of a time in UTC, "" for an empty date, as there is without git.
func dayOf(date string) (string, error) {
	if date == "" {
		return "", nil
	}
	moment, err := time.Parse(time.RFC3339, date)
	if err != nil {
		return "", err
	}
	return moment.UTC().Format(time.DateOnly), nil
}

// write writes the page of a command and the pages of all commands below it.
func write(c *cobra.Command, e edition, folder string) error {
	file := filepath.Join(folder, pageName(c)+"."+section(c))
	errs := []error{os.WriteFile(file, []byte(page(c, e)), 0o644)}
	for _, child := range c.Commands() {
		if documented(child) {
			errs = append(errs, write(child, e, folder))
		}
	}
	return errors.Join(errs...)
}

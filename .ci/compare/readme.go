package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// What stands between these two lines of the README is the tool's.
const (
	beginMark = "<!-- measured: begin; make compare writes what follows -->"
	endMark   = "<!-- measured: end -->"
)

// insert puts a section between the marks of a text.
func insert(text, section string) (string, error) {
	for _, mark := range []string{beginMark, endMark} {
		if n := strings.Count(text, mark); n != 1 {
			return "", fmt.Errorf("it has %d lines %s, and the figures need exactly one", n, mark)
		}
	}
	before, rest, _ := strings.Cut(text, beginMark)
	_, after, ordered := strings.Cut(rest, endMark)
	if !ordered {
		return "", fmt.Errorf("%s stands before %s", endMark, beginMark)
	}
	return before + beginMark + "\n\n" + strings.TrimSpace(section) + "\n\n" + endMark + after, nil
}

// checkMarks says before anything is measured whether the figures will have a place.
func checkMarks(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if _, err := insert(string(text), ""); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// publish writes the page into the README. A run that measured less than all leaves the section as it is, unless it is
// forced: figures that somebody relies on are not replaced by gaps. Leaving parts out on purpose is no failure.
func publish(s settings, p page, failed error) error {
	if s.readme == "" {
		return nil
	}
	if less := p.less(); (less != "" || failed != nil) && !s.force {
		if less == "" {
			less = "not all of it worked"
		}
		kept := fmt.Sprintf("%s keeps the figures that it has (-force replaces them): %s", s.readme, less)
		if p.cut != "" {
			return errors.New(kept)
		}
		fmt.Println("\n" + kept)
		return nil
	}
	text, err := os.ReadFile(s.readme)
	if err != nil {
		return err
	}
	whole, err := insert(string(text), p.markdown())
	if err != nil {
		return fmt.Errorf("%s: %w", s.readme, err)
	}
	if err := os.WriteFile(s.readme, []byte(whole), 0o644); err != nil {
		return err
	}
	fmt.Printf("\n%s has these figures now\n", s.readme)
	return nil
}

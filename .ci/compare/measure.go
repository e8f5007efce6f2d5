package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// runLimit bounds one process: a contestant that hangs must not hold the comparison.
const runLimit = 20 * time.Second

// runner starts processes one at a time and checks each of them against the server.
type runner struct {
	ctx    context.Context
	work   string
	server *server
	tool   *gnuTime // for peak memory, nil where there is none
	typist typist
	page   page
}

// runFunc runs argv for a contestant and returns the wall and processor time of the whole process in milliseconds.
type runFunc func(c *contestant, argv []string) (wall, cpu float64, err error)

// run starts argv for c and returns the wall and processor time of the whole process in milliseconds. Standard output
// goes to a file: a pipe would add a reader's wake-up to every measurement.
func (r *runner) run(c *contestant, argv []string) (wall, cpu float64, err error) {
	out, err := os.Create(filepath.Join(r.work, "stdout"))
	if err != nil {
		return 0, 0, err
	}
	defer out.Close()
	notes, err := os.Create(filepath.Join(r.work, "stderr"))
	if err != nil {
		return 0, 0, err
	}
	defer notes.Close()

	ctx, cancel := context.WithTimeout(r.ctx, runLimit)
	defer cancel()
	command := exec.CommandContext(ctx, argv[0], argv[1:]...)
	command.Env, command.Dir = c.env, c.dir
	command.Stdout, command.Stderr = out, notes

	r.server.reset()
	start := time.Now()
	err = command.Run()
	wall = milliseconds(time.Since(start))
	if err != nil {
		said, _ := os.ReadFile(notes.Name())
		return 0, 0, fmt.Errorf("%w: %s", err, bytes.TrimSpace(said))
	}
	cpu = processorTime(command)
	if err := r.server.verify(c.path); err != nil {
		return 0, 0, err
	}
	got, err := os.ReadFile(out.Name())
	if err == nil && string(got) != c.output {
		err = fmt.Errorf("printed %q, want %q", got, c.output)
	}
	return wall, cpu, err
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func processorTime(ended *exec.Cmd) float64 {
	return milliseconds(ended.ProcessState.UserTime() + ended.ProcessState.SystemTime())
}

// gnuTime measures peak memory through GNU time. A child that Go starts shares its parent's memory until exec, and
// Linux carries that peak into the child's own ru_maxrss; GNU time forks from a process of about one megabyte instead.
type gnuTime struct {
	program string
	floor   float64 // what it says of a program that does nothing, MiB
}

// findGNUTime returns the tool once it has shown that its floor is low; otherwise why memory is not measured.
func (r *runner) findGNUTime() (*gnuTime, error) {
	program, err := exec.LookPath("time")
	if err != nil {
		return nil, errors.New("GNU time is not installed (Debian: apt-get install time)")
	}
	nothing, err := exec.LookPath("true")
	if err != nil {
		return nil, err
	}
	tool := &gnuTime{program: program}
	report := filepath.Join(r.work, "peak")
	ctx, cancel := context.WithTimeout(r.ctx, runLimit)
	defer cancel()
	if err := exec.CommandContext(ctx, program, "-f", "%M", "-o", report, nothing).Run(); err != nil {
		return nil, fmt.Errorf("%s is not GNU time: %w", program, err)
	}
	if tool.floor, err = readPeak(report); err != nil {
		return nil, err
	}
	if tool.floor >= 3 {
		return nil, fmt.Errorf("%s says %.1f MiB of a program that does nothing, so its figures mean nothing", program, tool.floor)
	}
	return tool, nil
}

// peak runs c once more, by run, and returns the largest resident set of any one of its processes, MiB.
func (r *runner) peak(c *contestant, run runFunc) (float64, error) {
	report := filepath.Join(r.work, "peak")
	argv := append([]string{r.tool.program, "-f", "%M", "-o", report}, c.argv...)
	if _, _, err := run(c, argv); err != nil {
		return 0, err
	}
	return readPeak(report)
}

func readPeak(report string) (float64, error) {
	text, err := os.ReadFile(report)
	if err != nil {
		return 0, err
	}
	kib, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
	return kib / 1024, err
}

package config

import "os/exec"

// ownGroup does nothing: Windows has no process groups to kill, so only the command itself is killed.
func ownGroup(*exec.Cmd) {}

// checkProgram returns an error if path cannot be run, by the system's rules for file name extensions such as .exe.
func checkProgram(path string) error {
	_, err := exec.LookPath(path)
	return err
}

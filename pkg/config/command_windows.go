package config

import "os/exec"

// ownGroup does nothing: Windows has no process groups to kill, so only the command itself is killed.
func ownGroup(*exec.Cmd) {}

// isProgram uses the system's rules for file name extensions such as .exe.
func isProgram(path string) error {
	_, err := exec.LookPath(path)
	return err
}

package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// mountEnv is the environment variable with the folder in which a child mounts what a container runtime would mount.
const mountEnv = "FERRY_TEST_MOUNT"

func init() {
	if dir := os.Getenv(mountEnv); dir != "" {
		os.Exit(mountSecrets(dir))
	}
}

// TestMountedSecrets mounts secrets as Kubernetes, Docker and Podman do, and reads them as root and as another user. A
// child process does this in a separate mount namespace.
func TestMountedSecrets(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: no mount can be made, and what is accepted on one is not tested")
	}
	self, err := os.Executable()
	must(t, err)
	child := exec.CommandContext(t.Context(), self)
	child.Env = append(os.Environ(), mountEnv+"="+t.TempDir(), "GORACE=atexit_sleep_ms=0")
	child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	out, err := child.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || strings.HasPrefix(string(out), "no mount: ") {
		t.Skipf("no mount can be made here, and what is accepted on one is not tested: %v %s", err, out)
	}
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	const want = `root, kubernetes/key: read
root, kubernetes/config.yaml: trusted
root, swarm/key: read
root, compose/key: read
root, compose/config.yaml: trusted
root, compose/world: belongs to user 65533
root, podman/key: read
root, podman/0644: can be read or written by others (mode 0644)
root, podman/foreign: belongs to user 65533
root, podman/config.yaml: belongs to user 65533
root, shared/key: can be read or written by others (mode 0444)
user, kubernetes/key: read
user, kubernetes/config.yaml: trusted
user, swarm/key: read
user, compose/key: cannot open: permission denied
user, compose/config.yaml: trusted
user, compose/world: belongs to user 65533
user, podman/key: read
user, podman/0644: can be read or written by others (mode 0644)
user, podman/foreign: belongs to user 65533
user, podman/config.yaml: belongs to user 65533
user, shared/key: can be read or written by others (mode 0444)
`
	errorIf(t, string(out) != want, "got:\n%s\nwant:\n%s", out, want)
}

// mountSecrets runs in the child process of TestMountedSecrets.
func mountSecrets(dir string) int {
	var failed error
	do := func(err error) { failed = errors.Join(failed, err) }
	if err := errors.Join(os.Chmod(dir, 0o755), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")); err != nil {
		fmt.Println("no mount: ", err)
		return 0
	}
	for up := filepath.Dir(dir); up != "/" && up != "/tmp"; up = filepath.Dir(up) {
		do(os.Chmod(up, 0o755)) // the user needs access to it
	}
	mount := func(name, mode string) {
		do(os.Mkdir(filepath.Join(dir, name), 0o755))
		do(unix.Mount("tmpfs", filepath.Join(dir, name), "tmpfs", 0, "size=1m,mode="+mode))
	}
	file := func(name string, perm fs.FileMode, owner int) {
		path := filepath.Join(dir, name)
		do(os.WriteFile(path, []byte("text"), 0o600))
		do(errors.Join(os.Chown(path, owner, owner), os.Chmod(path, perm)))
	}
	mount("kubernetes", "1777")
	do(os.Mkdir(filepath.Join(dir, "kubernetes/..2026_11_27"), 0o755))
	file("kubernetes/..2026_11_27/key", 0o644, 0)
	file("kubernetes/..2026_11_27/config.yaml", 0o644, 0)
	do(os.Symlink("..2026_11_27", filepath.Join(dir, "kubernetes/..data")))
	do(os.Symlink("..data/key", filepath.Join(dir, "kubernetes/key")))
	do(os.Symlink("..data/config.yaml", filepath.Join(dir, "kubernetes/config.yaml")))
	mount("swarm", "755")
	file("swarm/key", 0o444, 0)
	mount("compose", "755") // files of the host's user, which stay in that user's folder
	file("compose/key", 0o600, 65533)
	file("compose/config.yaml", 0o664, 65533)
	file("compose/world", 0o606, 65533)
	for _, name := range []string{"kubernetes", "swarm", "compose"} {
		do(unix.Mount("", filepath.Join(dir, name), "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	}
	mount("podman", "755") // can be written by root
	file("podman/key", 0o444, 0)
	file("podman/0644", 0o644, 0)
	file("podman/foreign", 0o444, 65533)
	file("podman/config.yaml", 0o644, 65533)
	mount("shared", "1777") // as /tmp
	file("shared/key", 0o444, 0)
	if failed != nil {
		fmt.Println(failed)
		return 1
	}
	for _, who := range []string{"root", "user"} {
		if who == "user" {
			if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(65534), syscall.Setuid(65534)); err != nil {
				fmt.Println(err)
				return 1
			}
		}
		for _, name := range []string{"kubernetes/key", "kubernetes/config.yaml", "swarm/key", "compose/key", "compose/config.yaml",
			"compose/world", "podman/key", "podman/0644", "podman/foreign", "podman/config.yaml", "shared/key"} {
			path, said := filepath.Join(dir, name), "read"
			_, err := ReadKey(path)
			if strings.HasSuffix(name, ".yaml") {
				said = "trusted"
				_, err = ReadTrusted(path, MaxSize)
			}
			if err != nil {
				said = strings.TrimPrefix(err.Error(), path+": ")
			}
			fmt.Printf("%s, %s: %s\n", who, name, said)
		}
	}
	return 0
}

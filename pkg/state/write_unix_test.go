//go:build unix

package state

import (
	"errors"
	"os"
	"os/signal"
	"syscall"
	"testing"
)

// TestWriteFileTrust checks that WriteFile follows no link that another user made or could have made, and gives no
// file to another user in a folder that everyone can write.
func TestWriteFileTrust(t *testing.T) {
	p := newTestDir(t)
	p.build(
		"target 0600", "kept 0600", "given 0600", "link -> target", "foreignlink -> kept", "sticky/ 1777",
		"sticky/own 0600", "sticky/given 0600", "sticky/link -> ../kept", "sticky/dangling -> ../absent",
	)
	const open = "is a symbolic link in a folder that others can write"
	type test struct{ name, text, hint string }
	tests := []test{
		{"link", "", ""}, {"sticky/own", "", ""}, {"sticky/new", "", ""}, {"given", "", ""},
		{"sticky/link", open, nameItself}, {"sticky/dangling", open, nameItself},
	}
	if os.Geteuid() == 0 {
		for _, name := range []string{"given", "sticky/given", "foreignlink"} {
			must(t, os.Lchown(p.in(name), nobody, -1))
		}
		tests = append(tests, test{"foreignlink", "is a symbolic link of another user", nameItself},
			test{"sticky/given", "belongs to another user, in a folder that others can write", "name another file"})
	}
	for _, tt := range tests {
		p.refusedWith(CheckWritable(p.in(tt.name)), tt.name, tt.text, tt.hint)
		p.refusedWith(WriteFile(p.in(tt.name), []byte("new"), 0o600), tt.name, tt.text, tt.hint)
		switch {
		case tt.text == "":
			p.wantContent(tt.name, "new")
		case tt.name != "sticky/dangling":
			p.wantContent(tt.name, "text")
		}
	}
	p.wantAbsent("absent")
	testDir{t, p.in("sticky")}.wantFiles("dangling", "given", "link", "new", "own")
}

// If root edits a user's file, the file must stay the user's.
func TestWriteFileKeepsOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to give a file away")
	}
	p := newTestDir(t)
	p.file("f", 0o640)
	if err := errors.Join(os.Chown(p.in("f"), nobody, 65533), os.Chmod(p.in("f"), 0o640)); err != nil {
		t.Skip("root cannot give files away here: ", err)
	}
	must(t, WriteFile(p.in("f"), []byte("new"), 0o640))
	p.wantMode("f", 0o640)
	info, err := os.Stat(p.in("f"))
	must(t, err)
	st := info.Sys().(*syscall.Stat_t)
	errorIf(t, st.Uid != nobody || st.Gid != 65533, "owner %d:%d, want 65534:65533", st.Uid, st.Gid)
}

// A write that the system cuts short must leave the old file and nothing else. The limit on file sizes causes such a
// write; its soft limit can be reset.
func TestWriteFileCutShort(t *testing.T) {
	p := newTestDir(t)
	p.file("f", 0o600)
	signal.Ignore(syscall.SIGXFSZ)
	data := make([]byte, 4<<20+1) // the limit also applies to the log of go test, which is smaller
	var was syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was))
	must(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 4 << 20, Max: was.Max}))
	written, created := WriteFile(p.in("f"), data, 0o600), CreateFile(p.in("new"), data, 0o600)
	must(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was))
	errorIf(t, !errors.Is(written, syscall.EFBIG) || !errors.Is(created, syscall.EFBIG),
		"got %v and %v, want EFBIG", written, created)
	p.wantContent("f", "text")
	p.wantFiles("f")
}

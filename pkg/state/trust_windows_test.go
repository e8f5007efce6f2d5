package state

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/windows"
)

// open gives a file an access list that grants the rights to everyone.
func (p testDir) open(name, rights string) {
	p.t.Helper()
	user, err := currentUser()
	must(p.t, err, setList(p.in(name), "D:P(A;;FA;;;"+user.String()+")(A;;"+rights+";;;WD)", windows.PROTECTED_DACL_SECURITY_INFORMATION))
}

// TestAccessLists checks that keys that everyone can read, and configurations that everyone can write, are refused.
func TestAccessLists(t *testing.T) {
	p := newTestDir(t)
	for _, name := range []string{"private", "read", "written"} {
		must(t, CreateFile(p.in(name), []byte("text"), 0o600))
	}
	p.open("read", "FR")
	p.open("written", "FRFW")
	for name, want := range map[string][2]bool{"private": {true, true}, "read": {false, true}, "written": {false, false}} {
		_, key := ReadKey(p.in(name))
		_, trusted := ReadTrusted(p.in(name), MaxSize)
		errorIf(t, [2]bool{key == nil, trusted == nil} != want,
			"%s: as a key %v, as a configuration %v; want them accepted: %v", name, key, trusted, want)
	}
	_, err := ReadKey(p.in("read"))
	user, failed := currentUser()
	must(t, failed)
	repair := " /inheritance:r /grant:r *" + user.String() + ":F"
	p.refusedWith(err, "read", "can be read or written by others (Everyone)", "icacls "+p.word("read")+repair)
	_, err = ReadTrusted(p.in("written"), MaxSize)
	p.refusedWith(err, "written", "can be written by others (Everyone)", "icacls "+p.word("written")+repair)
}

// TestGranted checks an entry of each type: only denying entries, and entries that only new files inherit, are
// skipped.
func TestGranted(t *testing.T) {
	everyone := func(sid *windows.SID) bool { return sid.IsWellKnown(windows.WinWorldSid) }
	none := func(*windows.SID) bool { return false }
	for kind := range byte(24) {
		sd, err := windows.SecurityDescriptorFromString("D:(A;;FR;;;WD)")
		must(t, err)
		list, _, err := sd.DACL()
		must(t, err)
		var entry *windows.ACCESS_ALLOWED_ACE
		must(t, windows.GetAce(list, 0, &entry))
		entry.Header.AceType = kind
		denies, plain := kind == 1 || kind == 6 || kind == 10 || kind == 12, kind == 0 || kind == 9
		for _, c := range []struct {
			name    string
			rights  windows.ACCESS_MASK
			trusted func(*windows.SID) bool
			want    bool
		}{
			{"a right of others", using, none, !denies}, {"another right", writing, none, !denies && !plain},
			{"a right of one who is trusted", using, everyone, !denies && !plain},
		} {
			others, err := granted(list, c.rights, c.trusted)
			must(t, err)
			errorIf(t, (others != "") != c.want, "type %d, %s: refused (%s), want %t", kind, c.name, others, c.want)
		}
		entry.Header.AceFlags |= windows.INHERIT_ONLY_ACE
		others, err := granted(list, using, none)
		must(t, err)
		errorIf(t, others != "", "type %d, for what is made in the folder alone: refused (%s)", kind, others)
	}
}

// TestPrivateFiles checks that everything ferry creates in a folder that is open to everyone is closed to others.
func TestPrivateFiles(t *testing.T) {
	p := newTestDir(t)
	must(t, setList(p.dir, "D:P(A;OICI;FA;;;WD)", windows.PROTECTED_DACL_SECURITY_INFORMATION))
	must(t, MkdirPrivate(p.in("deep/folder")))
	must(t, WriteFile(p.in("written"), []byte("x"), 0o600))
	must(t, WriteFile(p.in("deep/folder/inside"), []byte("x"), 0o600))
	must(t, CreateFile(p.in("created"), []byte("x"), 0o600))
	f, err := OpenPrivate(p.in("opened"), os.O_RDWR|os.O_CREATE)
	must(t, err, f.Close())
	for _, name := range []string{"written", "deep/folder/inside", "created", "opened"} {
		_, err := ReadKey(p.in(name))
		errorIf(t, err != nil, "%s: got %v, want a file that others cannot use", name, err)
	}
}

// TestReplaceOpenFile replaces, renames and removes a file while it is open for reading.
func TestReplaceOpenFile(t *testing.T) {
	p := newTestDir(t)
	for range 2 {
		must(t, WriteFile(p.in("f"), []byte("old"), 0o600))
		reader, err := OpenPrivate(p.in("f"), os.O_RDONLY)
		must(t, err)
		must(t, WriteFile(p.in("f"), []byte("new"), 0o600))
		p.wantContent("f", "new")
		readAll(t, "the old file", reader, "old")
		trusted, err := OpenTrusted(p.in("f"))
		must(t, err, Rename(p.in("f"), p.in("f.1")), trusted.Close())
		p.wantContent("f.1", "new")
	}
}

// TestPaths tests names in Windows-specific forms: long names, both kinds of slashes, and a drive.
func TestPaths(t *testing.T) {
	p := newTestDir(t)
	long := p.in(strings.Repeat("a-long-name-of-a-folder/", 15))
	for _, dir := range []string{long, filepath.ToSlash(p.in("slashes")), `\\?\` + p.in("verbatim")} {
		name := dir + `\f`
		must(t, MkdirPrivate(dir), WriteFile(name, []byte("x"), 0o600), WriteFile(name, []byte("y"), 0o600))
		text, err := ReadKey(name)
		errorIf(t, err != nil || string(text) != "y", "%s: got %q, %v, want %q", name, text, err, "y")
	}
	_, err := ReadKey(filepath.VolumeName(p.dir) + `\ferry-is-not-there\f`)
	wantError(t, "a file that is not there", err, fs.ErrNotExist)
	f, err := Open("NUL")
	must(t, err, f.Close())
}

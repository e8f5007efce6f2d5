package state

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/windows"
)

// The rights on a file that no other user may have: to write it or its access list, and to read it too where it is private.
const (
	writing = windows.FILE_WRITE_DATA | windows.FILE_APPEND_DATA | windows.WRITE_DAC | windows.WRITE_OWNER |
		windows.GENERIC_WRITE | windows.GENERIC_ALL
	using = writing | windows.FILE_READ_DATA | windows.GENERIC_READ
)

func currentUser() (*windows.SID, error) {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return nil, err
	}
	return user.User.Sid, nil
}

// makePrivate makes a file or folder with an access list for this user, the system and its administrators, which takes over
// nothing of the folder's. What is made in a folder inherits it. A drive without access lists ignores it.
func makePrivate(path string, create func(name *uint16, attributes *windows.SecurityAttributes) error) error {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return err
	}
	user, err := currentUser()
	if err != nil {
		return err
	}
	sd, err := windows.SecurityDescriptorFromString(fmt.Sprintf("D:P(A;OICI;FA;;;%s)(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)", user))
	if err != nil {
		return err
	}
	return create(name, &windows.SecurityAttributes{Length: uint32(unsafe.Sizeof(windows.SecurityAttributes{})), SecurityDescriptor: sd})
}

// setList gives a file an access list, "D:" being one with no entry of its own: with protection off it has the folder's.
func setList(path, list string, protection windows.SECURITY_INFORMATION) error {
	sd, err := windows.SecurityDescriptorFromString(list)
	if err != nil {
		return err
	}
	dacl, _, err := sd.DACL()
	if err != nil {
		return err
	}
	return windows.SetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION|protection, nil, nil, dacl, nil)
}

// checkAccess refuses an open file of another user, and one on which others have any of the rights. The system and its
// administrators, who can read everything, are no others.
func checkAccess(path string, f *os.File, rights windows.ACCESS_MASK) error {
	sd, err := windows.GetSecurityInfo(windows.Handle(f.Fd()), windows.SE_FILE_OBJECT,
		windows.OWNER_SECURITY_INFORMATION|windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		return failed(path, "cannot look at its access list", err)
	}
	user, err := currentUser()
	if err != nil {
		return failed(path, "cannot tell whose it is", err)
	}
	trusted := func(sid *windows.SID) bool {
		return sid.Equals(user) || sid.IsWellKnown(windows.WinLocalSystemSid) ||
			sid.IsWellKnown(windows.WinBuiltinAdministratorsSid) || sid.IsWellKnown(windows.WinCreatorOwnerRightsSid)
	}
	if owner, _, err := sd.Owner(); err != nil || !trusted(owner) {
		return refused(path, "belongs to "+account(owner), "it must be yours or the administrators': takeown /f "+path)
	}
	what := "written"
	if rights == using {
		what = "read or written"
	}
	hint := fmt.Sprintf("icacls %s /inheritance:r /grant:r *%s:F", path, user)
	list, _, err := sd.DACL()
	if err != nil || list == nil {
		return refused(path, "can be "+what+" by others: it has no access list", hint)
	}
	others, err := granted(list, rights, trusted)
	if err != nil {
		return failed(path, "cannot read its access list", err)
	}
	if others != "" {
		return refused(path, "can be "+what+" by others ("+others+")", hint)
	}
	return nil
}

// The types of entries of an access list beside the plain ones, as winnt.h numbers them.
const (
	deniedObject, allowedCallback, deniedCallback, deniedCallbackObject = 6, 9, 10, 12
)

// granted names the first one of others to whom a list gives any of the rights, "" where there is none. A condition is taken
// to hold. An entry of a type that is neither known to allow nor to deny is taken to allow.
func granted(list *windows.ACL, rights windows.ACCESS_MASK, trusted func(*windows.SID) bool) (string, error) {
	for i := range uint32(list.AceCount) {
		var entry *windows.ACCESS_ALLOWED_ACE
		if err := windows.GetAce(list, i, &entry); err != nil {
			return "", err
		}
		if entry.Header.AceFlags&windows.INHERIT_ONLY_ACE != 0 {
			continue
		}
		switch kind := entry.Header.AceType; kind {
		case windows.ACCESS_DENIED_ACE_TYPE, deniedObject, deniedCallback, deniedCallbackObject:
		case windows.ACCESS_ALLOWED_ACE_TYPE, allowedCallback:
			if sid := (*windows.SID)(unsafe.Pointer(&entry.SidStart)); entry.Mask&rights != 0 && !trusted(sid) {
				return account(sid), nil
			}
		default:
			return fmt.Sprintf("an entry of type %d", kind), nil
		}
	}
	return "", nil
}

// account is the name of a user or group.
func account(sid *windows.SID) string {
	if sid == nil {
		return "nobody"
	}
	name, _, _, err := sid.LookupAccount("")
	if err != nil {
		name = ""
	}
	return cmp.Or(name, sid.String())
}

// CheckOwn checks the type alone: what it is for, sockets, ferry does not use on Windows.
func CheckOwn(path string, want fs.FileMode) error {
	info, err := os.Lstat(path)
	if err != nil {
		return failed(path, "cannot look at it", err)
	}
	if info.Mode().Type() != want {
		return refused(path, "is something else than it was made as", "")
	}
	return nil
}

// OpenPrivate opens a private file, and makes it with an access list for this user alone where the flag says so and it is
// missing. The file itself, not a symbolic link, must be a regular one of the current user or the administrators, closed to
// others for reading and writing. Every failure is an *Error.
func OpenPrivate(path string, flag int) (*os.File, error) {
	if err := checkKind(path); err != nil && (flag&os.O_CREATE == 0 || !errors.Is(err, fs.ErrNotExist)) {
		return nil, err
	}
	f, err := create(path, flag)
	if err != nil {
		return nil, failed(path, "cannot open", err)
	}
	return checked(f, checkAccess(path, f, using))
}

func checkKind(path string) error {
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return failed(path, "cannot open", err)
	case info.Mode()&fs.ModeSymlink != 0:
		return refused(path, "is a symbolic link", nameItself)
	case !info.Mode().IsRegular():
		return refused(path, "is not a regular file", "")
	}
	return nil
}

// OpenTrusted opens a file that says what ferry does, such as the configuration. Only this user and the administrators may
// be able to write it. Every failure is an *Error.
func OpenTrusted(path string) (*os.File, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return f, nil // a pipe or a device has no list; what is wrong with a folder its reading says
	}
	return checked(f, checkAccess(path, f, writing))
}

// Open opens a file to read.
func Open(path string) (*os.File, error) {
	whole, err := filepath.EvalSymlinks(path)
	if err != nil {
		whole = path // not there, or a device: the opening tells
	}
	f, err := open(whole, os.O_RDONLY)
	if err != nil {
		return nil, failed(path, "cannot open", err)
	}
	return f, nil
}

func openKey(path string) (*os.File, error) { return OpenPrivate(path, os.O_RDONLY) }

func checkReplace(string, fs.FileInfo) error { return nil }

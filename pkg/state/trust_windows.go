package state

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"unsafe"

	"ferry/pkg/text"

	"golang.org/x/sys/windows"
)

// The rights that no other user may have: to write a file or its access list, and for a private file also to read it.
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

// makePrivate creates a file or folder with an access list for this user, the system and its administrators. It
// inherits nothing from its parent folder. What is created in a new folder inherits this list. A drive without access
// lists ignores it.
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

// setList sets the access list of a file. "D:" is a list without entries: with protection off, the file has the list
// of its folder.
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

// checkAccess refuses an open file that belongs to another user, or on which others have any of the rights. The system
// and its administrators, who can read everything, do not count as others.
func checkAccess(path string, f *os.File, rights windows.ACCESS_MASK) error {
	sd, err := windows.GetSecurityInfo(windows.Handle(f.Fd()), windows.SE_FILE_OBJECT,
		windows.OWNER_SECURITY_INFORMATION|windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		return failed(path, "cannot read its access list", err)
	}
	user, err := currentUser()
	if err != nil {
		return failed(path, "cannot read its owner", err)
	}
	trusted := func(sid *windows.SID) bool {
		return sid.Equals(user) || sid.IsWellKnown(windows.WinLocalSystemSid) ||
			sid.IsWellKnown(windows.WinBuiltinAdministratorsSid) || sid.IsWellKnown(windows.WinCreatorOwnerRightsSid)
	}
	if owner, _, err := sd.Owner(); err != nil || !trusted(owner) {
		return refused(path, "belongs to "+account(owner), "it must be yours or the administrators': takeown /f "+text.CommandWord(path))
	}
	what := "written"
	if rights == using {
		what = "read or written"
	}
	hint := fmt.Sprintf("icacls %s /inheritance:r /grant:r *%s:F", text.CommandWord(path), user)
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

// The types of access list entries besides the plain ones, with their numbers in winnt.h.
const (
	deniedObject, allowedCallback, deniedCallback, deniedCallbackObject = 6, 9, 10, 12
)

// granted returns the name of the first account outside trusted to which a list grants any of the rights, or "".
// Conditions are treated as true. An entry of an unknown type is treated as granting.
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

// account returns the name of a user or group.
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

// CheckOwn checks only the type: it is for sockets, which ferry does not use on Windows.
func CheckOwn(path string, want fs.FileMode) error {
	info, err := os.Lstat(path)
	if err != nil {
		return failed(path, "cannot stat it", err)
	}
	if info.Mode().Type() != want {
		return refused(path, "was replaced after it was created", "")
	}
	return nil
}

// OpenPrivate opens a private file. If it is missing and flag has os.O_CREATE, the file is created with an access list
// for this user only. path must be a regular file, not a symbolic link, that belongs to the current user or the
// administrators and that others can neither read nor write. Every failure is an *Error.
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

// OpenTrusted opens a file that controls what ferry does, such as the configuration. Only this user and the
// administrators may be able to write it. Every failure is an *Error.
func OpenTrusted(path string) (*os.File, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return f, nil // a pipe or a device has no list; reading a folder fails later
	}
	return checked(f, checkAccess(path, f, writing))
}

// Open opens a file for reading.
func Open(path string) (*os.File, error) {
	whole, err := filepath.EvalSymlinks(path)
	if err != nil {
		whole = path // missing, or a device: open reports it
	}
	f, err := open(whole, os.O_RDONLY)
	if err != nil {
		return nil, failed(path, "cannot open", err)
	}
	return f, nil
}

func openKey(path string) (*os.File, error) { return OpenPrivate(path, os.O_RDONLY) }

func checkReplace(string, fs.FileInfo) error { return nil }

package safety

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

const (
	accessACL  = "system.posix_acl_access"
	defaultACL = "system.posix_acl_default"
	seLabel    = "security.selinux"
)

type xattr struct {
	name string
	data []byte
}

// CopyXattrs copies the extended attributes (POSIX ACLs among them) that both sides can hold.
// Attributes that dst cannot hold are left out without an error. dst may have lost its write bits already.
func CopyXattrs(dst, src *os.File) error { return new(Copier).CopyXattrs(dst, src) }

// CopyXattrs is the function CopyXattrs.
func (c *Copier) CopyXattrs(dst, src *os.File) error {
	if err := copyXattrs(c.do(), int(dst.Fd()), int(src.Fd()), src.Name()); err != nil {
		return fmt.Errorf("copy the attributes of %q: %w", src.Name(), err)
	}
	return nil
}

func copyXattrs(s *sys, dst, src int, name string) error {
	attrs, err := readXattrs(s, OpXattr, src, name, isUserAttr)
	if err != nil || len(attrs) == 0 {
		return err
	}
	_, err = writeXattrs(s, OpXattr, dst, name, attrs)
	return err
}

// isUserAttr tells the attributes that belong to the content. Labels and capabilities belong to the place.
func isUserAttr(name string) bool {
	return strings.HasPrefix(name, "user.") || name == accessACL || name == defaultACL
}

// isHarmAttr tells the attributes without which a replaced file would be accessible to others than before.
func isHarmAttr(name string) bool { return isUserAttr(name) || name == seLabel }

// readXattrs returns the wanted attributes, sorted; none costs one call. A file system without attributes has none.
func readXattrs(s *sys, op Op, fd int, name string, want func(string) bool) ([]xattr, error) {
	names, err := xattrNames(s, op, fd, name)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	var out []xattr
	for _, n := range names {
		if !want(n) {
			continue
		}
		data, err := xattrValue(s, op, fd, n)
		if isNoAttr(err) || isLacking(err) || isDenied(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, xattr{n, data})
	}
	return out, nil
}

func xattrNames(s *sys, op Op, fd int, name string) ([]string, error) {
	var small [512]byte
	n, err := s.listXattrs(op, fd, small[:], name)
	buf := small[:]
	if isTooSmall(err) {
		buf = make([]byte, 64<<10) // the kernel's own limit
		n, err = s.listXattrs(op, fd, buf, name)
	}
	if isLacking(err) || isDenied(err) {
		return nil, nil
	}
	if err != nil || n == 0 {
		return nil, err
	}
	names := strings.Split(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00")
	slices.Sort(names)
	return names, nil
}

func xattrValue(s *sys, op Op, fd int, attr string) ([]byte, error) {
	buf := make([]byte, 4<<10)
	n, err := s.getXattr(op, fd, attr, buf)
	if isTooSmall(err) {
		buf = make([]byte, 64<<10)
		n, err = s.getXattr(op, fd, attr, buf)
	}
	if err != nil {
		return nil, err
	}
	return buf[:n], nil
}

// writeXattrs sets the attributes and counts those that fd cannot hold.
func writeXattrs(s *sys, op Op, fd int, name string, attrs []xattr) (missing int, err error) {
	for _, a := range attrs {
		err := s.setXattr(op, fd, a.name, a.data)
		if isDenied(err) {
			err = setXattrReadOnly(s, op, fd, name, a)
		}
		if isNoXattr(err) || isDenied(err) {
			missing++
			continue
		}
		if err != nil {
			return missing, err
		}
	}
	return missing, nil
}

// setXattrReadOnly sets an attribute of a file without write bits: the kernel asks the mode, not the descriptor.
func setXattrReadOnly(s *sys, op Op, fd int, name string, a xattr) error {
	info, err := s.fstat(op, fd, name)
	if err != nil || info.Mode&0o200 != 0 {
		return os.ErrPermission
	}
	if err := s.fchmod(op, fd, info.Mode|0o200, name); err != nil {
		return os.ErrPermission
	}
	set := s.setXattr(op, fd, a.name, a.data)
	if err := s.fchmod(op, fd, info.Mode, name); err != nil {
		return err
	}
	return set
}

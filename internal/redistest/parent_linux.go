package redistest

import "syscall"

// dieWithParent makes the kernel kill the server if the test binary dies
// without running its cleanups, as on a test timeout.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

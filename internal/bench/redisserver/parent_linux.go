package redisserver

import "syscall"

// dieWithParent makes the kernel kill the server if the benchmark dies
// without running Close.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

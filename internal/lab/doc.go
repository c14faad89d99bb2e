// Package lab makes machines that are as close to virtual machines as one Linux
// machine without virtualisation gets: each host is a systemd-nspawn container
// that boots a real Debian with systemd, sshd and apt, has its own address on a
// bridge, and can be stopped, killed, rebooted and cut off.
//
// A lab lives in its own network, mount and process namespaces. The process that
// started it holds a pipe to the first process in them; when the pipe closes,
// whatever the reason, the kernel ends every host and drops every mount, and a
// sweeper that outlives the owner deletes the files.
package lab

// Package labtest tests the whole way to a host in the lab: SSH, the pushed
// binary, packages, systemd, reboots. It holds tests only.
package labtest

//go:build !unix

package reach

import "os/exec"

// detach does nothing: redis-bootstrap runs on Linux only, so that on this
// system the local transport has nothing to run.
func detach(*exec.Cmd) {}

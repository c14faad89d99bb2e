//go:build !linux

package fleet

import "runtime"

// lend refuses: Redis is not run on this system.
func (h *Host) lend() (string, error) {
	_, _, err := h.choose([]string{runtime.GOOS, runtime.GOARCH})
	return "", err
}

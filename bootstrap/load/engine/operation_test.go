//go:build linux

package engine

import (
	"testing"
	"unsafe"
)

func TestAnOperationFitsACacheLine(t *testing.T) {
	if size := unsafe.Sizeof(operation{}); size != 64 {
		t.Errorf("it has %d bytes", size)
	}
}

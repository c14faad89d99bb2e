//go:build !race

package cluster

const largeNodes = 1000

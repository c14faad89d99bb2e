//go:build race

package cluster

const largeNodes = 300

//go:build linux

package clustertest

import (
	"testing"
)

func TestNodesFormAClusterAndComeBack(t *testing.T) {
	c := Start(t, 6, Password("sesame"))
	c.Form(1)
	client := c.NewClient()
	if err := client.Set(t.Context(), "key", "value", 0).Err(); err != nil {
		t.Fatal(err)
	}
	n := c.Node(5)
	n.Kill()
	if n.running() {
		t.Error("the node runs after Kill")
	}
	n.Start()
	c.WaitOK()
	n.Pause()
	n.Resume()
	n.Stop()
	if n.running() {
		t.Error("the node runs after Stop")
	}
}

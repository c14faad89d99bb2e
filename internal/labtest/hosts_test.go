//go:build linux

package labtest_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/redisfleet/terraform-provider-redis/internal/lab"
)

// hostsConfig is a cluster on hosts that are there: what examples/ssh is, without the load.
const hostsConfig = `
terraform {
  required_providers {
    redis = { source = "redisfleet/redis" }
  }
}

variable "hosts" {
  type = map(object({ address = string, host_key = string, processes = optional(number) }))
}
variable "ssh_user" { default = "` + lab.Admin + `" }
variable "ssh_private_key_file" { type = string }
variable "connect_timeout" { default = "60s" }
variable "ssh" {
  type    = object({ user = string })
  default = null
}
variable "redis_password" {
  type      = string
  sensitive = true
  ephemeral = true
}

provider "redis" {
  ssh = {
    user             = var.ssh_user
    private_key_file = var.ssh_private_key_file
    connect_timeout  = var.connect_timeout
    parallelism      = 64
  }
}

resource "redis_cluster" "this" {
  name                = "kv"
  nodes               = var.hosts
  config              = { "appendonly" = "yes", "cluster-node-timeout" = "5000" }
  password_wo         = var.redis_password
  password_wo_version = 1
  deletion_protection = false
  ssh                 = var.ssh
}

output "status" { value = redis_cluster.this.status }
`

// node is a value of the variable hosts.
type node struct {
	Address   string `json:"address"`
	HostKey   string `json:"host_key"`
	Processes int    `json:"processes,omitempty"`
}

func nodesOn(l *lab.Lab, processes int) map[string]node {
	nodes := make(map[string]node)
	for _, h := range l.Hosts {
		nodes[h.Name] = node{h.Addr, h.HostKey, processes}
	}
	return nodes
}

// variable is the argument that sets a variable of the configuration.
func variable(t testing.TB, name string, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return name + "=" + string(text)
}

// newHostsWorkspace is a workspace for a cluster on all hosts of l, a process on each.
func newHostsWorkspace(t testing.TB, ctx context.Context, l *lab.Lab) *workspace { //nolint:revive // t comes first in tests.
	t.Helper()
	w := newWorkspace(t, ctx, l)
	w.env = append(w.env, "TF_VAR_"+variable(t, "hosts", nodesOn(l, 1)))
	write(t, filepath.Join(w.dir, "main.tf"), hostsConfig)
	w.run("init", "-no-color")
	return w
}

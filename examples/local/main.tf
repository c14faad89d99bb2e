# Six Redis processes on this machine, three primaries and three replicas, and a
# load test that goes through a failover. It needs redis-server and no root.

terraform {
  required_version = ">= 1.5"
  required_providers {
    redis = {
      source = "redisfleet/redis"
    }
  }
}

provider "redis" {}

locals {
  ports = range(7100, 7106)
}

resource "redis_cluster" "this" {
  name                = "local"
  base_dir            = abspath("${path.module}/.redis")
  deletion_protection = false

  server = {
    install = "preinstalled"
  }

  nodes = {
    for i, port in local.ports : "node-${i + 1}" => {
      address   = "127.0.0.1"
      port      = port
      transport = "local"
    }
  }
  replicas_per_shard = 1

  config = {
    "appendonly"           = "yes"
    "cluster-node-timeout" = "2000"
  }
}

resource "redis_loadtest" "failover" {
  cluster = redis_cluster.this.connection_info

  workload = {
    duration   = "20s"
    clients    = 48
    operations = { set = 1, get = 1 }
    keys       = { prefix = "key:", minimum = 1, maximum = 100000 }
    data_size  = 16
  }

  # The first shard's primary is stopped in the middle, and started again.
  faults = [{
    at            = "8s"
    kind          = "stop"
    target        = "primary:0"
    recover_after = "5s"
  }]

  report_dir = "${path.module}/reports"
}

# The cluster as the load test has left it: roles have changed hands.
data "redis_cluster" "after" {
  cluster    = redis_cluster.this.connection_info
  depends_on = [redis_loadtest.failover]
}

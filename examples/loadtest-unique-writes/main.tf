# Writes only, and no key twice: each of 2,000 clients counts up behind a UUID of
# its own, and writes the key twice over as the value. Six primaries without
# replicas or persistence, for the most writes per second.

terraform {
  required_version = ">= 1.5"
  required_providers {
    redis = {
      source = "redisfleet/redis"
    }
  }
}

resource "redis_cluster" "this" {
  name                = "unique-writes"
  base_dir            = abspath("${path.module}/.redis")
  deletion_protection = false
  server              = { install = "preinstalled" }

  replicas_per_shard = 0
  config = {
    "appendonly"           = "no"
    "save"                 = "\"\""
    "cluster-node-timeout" = "5000"
  }

  nodes = {
    for i in range(6) : "node-${i + 1}" => {
      address   = "127.0.0.1"
      port      = 7130 + i
      transport = "local"
    }
  }
}

resource "redis_loadtest" "this" {
  cluster    = redis_cluster.this.connection_info
  report_dir = "${path.module}/reports"

  workload = {
    duration = "30s"
    clients  = 2000
    commands = [{ command = "SET __key__ __key____key__" }]
    keys     = { client_uuid = true, pattern = "unique" }
  }
}

output "throughput_ops_per_second" {
  value = redis_loadtest.this.throughput_ops_per_second
}

output "latency_ms" {
  value = redis_loadtest.this.latency_ms
}

output "report_html" {
  value = redis_loadtest.this.report_html
}

# Four clients that set and read key:1 to key:10000, 50,000 times each: a fixed
# number of commands, so that runs can be compared.

terraform {
  required_version = ">= 1.5"
  required_providers {
    redis = {
      source = "redisfleet/redis"
    }
  }
}

resource "redis_cluster" "this" {
  name                = "set-then-get"
  base_dir            = abspath("${path.module}/.redis")
  deletion_protection = false
  server              = { install = "preinstalled" }

  config = {
    "appendonly"           = "yes"
    "cluster-node-timeout" = "5000"
  }

  nodes = {
    for i in range(6) : "node-${i + 1}" => {
      address   = "127.0.0.1"
      port      = 7120 + i
      transport = "local"
    }
  }
}

resource "redis_loadtest" "this" {
  cluster    = redis_cluster.this.connection_info
  report_dir = "${path.module}/reports"

  workload = {
    requests   = 4 * 50000 * 2
    clients    = 4
    threads    = 4
    operations = { set = 1, get = 1 }
    sequence   = "cycle"
    keys       = { prefix = "key:", minimum = 1, maximum = 10000 }
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

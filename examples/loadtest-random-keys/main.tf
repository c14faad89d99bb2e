# A loop that sets a random key and reads it back: keys of 8 random characters,
# values of 16.

terraform {
  required_version = ">= 1.5"
  required_providers {
    redis = {
      source = "redisfleet/redis"
    }
  }
}

resource "redis_cluster" "this" {
  name                = "random-keys"
  base_dir            = abspath("${path.module}/.redis")
  deletion_protection = false
  server              = { install = "preinstalled" }

  nodes = {
    for i in range(6) : "node-${i + 1}" => {
      address   = "127.0.0.1"
      port      = 7110 + i
      transport = "local"
    }
  }
}

resource "redis_loadtest" "this" {
  cluster    = redis_cluster.this.connection_info
  report_dir = "${path.module}/reports"

  workload = {
    duration   = "60s"
    clients    = 10
    operations = { set = 1, get = 1 }
    sequence   = "cycle" # SET, then GET of the same key
    keys       = { length = 8 }
    data_size  = 16
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

# Values from 16 bytes (128 bits) to 512 KiB (4 Mbit), a minute each.

terraform {
  required_version = ">= 1.5"
  required_providers {
    redis = {
      source = "redisfleet/redis"
    }
  }
}

resource "redis_cluster" "this" {
  name                = "value-sizes"
  base_dir            = abspath("${path.module}/.redis")
  deletion_protection = false
  server              = { install = "preinstalled" }

  config = {
    "maxmemory"        = "256mb"
    "maxmemory-policy" = "allkeys-lru"
  }

  nodes = {
    for i in range(6) : "node-${i + 1}" => {
      address   = "127.0.0.1"
      port      = 7140 + i
      transport = "local"
    }
  }
}

resource "redis_loadtest" "this" {
  cluster    = redis_cluster.this.connection_info
  report_dir = "${path.module}/reports"

  workload = {
    clients    = 8
    operations = { set = 1, get = 1 }
    sequence   = "cycle"
    keys       = { maximum = 1000 }
    stages = [
      for bytes in [16, 128, 1024, 8192, 65536, 524288] : {
        name      = "${bytes} bytes"
        duration  = "1m"
        data_size = bytes
      }
    ]
  }
}

output "throughput_ops_per_second" {
  value = redis_loadtest.this.throughput_ops_per_second
}

output "throughput_mb_per_second" {
  value = redis_loadtest.this.throughput_mb_per_second
}

output "by_command" {
  value = redis_loadtest.this.by_command
}

output "report_html" {
  value = redis_loadtest.this.report_html
}

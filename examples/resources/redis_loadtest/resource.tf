resource "redis_loadtest" "failover" {
  cluster = redis_cluster.kv.connection_info

  workload = {
    duration   = "60s"
    rate       = 20000
    clients    = 64
    operations = { set = 1, get = 9 }
    keys       = { minimum = 1, maximum = 1000000, pattern = "zipfian" }
    data_size  = 256
  }
  verify = true

  # The first shard loses its primary for ten seconds.
  faults = [{
    at            = "20s"
    kind          = "kill"
    target        = "primary:0"
    recover_after = "10s"
  }]

  # The apply fails if one of them is not kept to.
  objectives = {
    p99_ms         = 20
    unavailable_ms = 10000
    lost_writes    = 100
  }

  report_dir = "${path.module}/reports"
  # The report compares this run with an earlier one.
  baseline = "${path.module}/baseline.json"
}

# A load that rises by the minute, from two hosts.
resource "redis_loadtest" "ramp" {
  cluster = redis_cluster.kv.connection_info

  runners = {
    for i in range(2) : "load-${i + 1}" => { address = "10.128.0.${i + 20}" }
  }
  workload = {
    clients = 64
    stages  = [for rate in [10000, 20000, 40000] : { name = "${rate} per second", duration = "1m", rate = rate }]
  }
}

resource "redis_cluster" "kv" {
  name  = "kv"
  nodes = { for i in range(6) : "kv-${i + 1}" => { address = "10.128.0.${i + 2}" } }

  allow_unauthenticated = true
}

output "outages" {
  description = "When a shard answered nothing although commands for it were waiting."
  value       = [for o in redis_loadtest.failover.outages : "shard ${o.shard}: no ${o.access} for ${o.duration_ms} ms from second ${o.at_seconds}"]
}

output "p99_ms_by_stage" {
  value = { for s in redis_loadtest.ramp.stage_results : s.name => s.latency_ms.p99 }
}

output "runners_at_their_limit" {
  description = "Their figures are their own limit rather than the cluster's."
  value       = [for r in redis_loadtest.ramp.runner_results : r.name if r.saturated || r.error != null]
}

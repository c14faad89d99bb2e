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
}

resource "redis_cluster" "kv" {
  name  = "kv"
  nodes = { for i in range(6) : "kv-${i + 1}" => { address = "10.128.0.${i + 2}" } }

  allow_unauthenticated = true
}

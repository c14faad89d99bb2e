output "endpoints" {
  description = "Where the cluster answers."
  value       = redis_cluster.this.endpoints
}

output "status" {
  description = "How the cluster is after the load test."
  value       = data.redis_cluster.after.status
}

output "slots_ok" {
  description = "How many of the 16384 slots are served."
  value       = data.redis_cluster.after.slots_ok
}

output "shards" {
  description = "Who serves which slots."
  value       = data.redis_cluster.after.shards
}

output "throughput_ops_per_second" {
  description = "Commands per second, over the whole test."
  value       = redis_loadtest.failover.throughput_ops_per_second
}

output "latency_ms" {
  description = "Latency percentiles in milliseconds."
  value       = redis_loadtest.failover.latency_ms
}

output "errors" {
  description = "Errors by kind; redirections that were followed are among them."
  value       = redis_loadtest.failover.errors
}

output "unavailable_ms" {
  description = "How long the shard did not answer while its primary was gone."
  value       = redis_loadtest.failover.unavailable_ms
}

output "failover" {
  description = "Who was stopped, who was promoted and when, and what the old primary came back as."
  value = {
    for name in ["node", "kind", "at_seconds", "detected_ms", "promoted", "promoted_ms", "recovered_at_seconds", "rejoined_as", "rejoined_ms"] :
    name => redis_loadtest.failover.fault_results[0][name]
  }
}

output "report_html" {
  description = "The report, to be opened in a browser."
  value       = redis_loadtest.failover.report_html
}

output "endpoints" {
  description = "Where the cluster answers, inside the network."
  value       = module.cluster.endpoints
}

output "status" {
  description = "How the cluster is."
  value       = module.cluster.status
}

output "shards" {
  description = "Who serves which slots."
  value       = module.cluster.shards
}

output "throughput_ops_per_second" {
  description = "Commands per second of the load test, over all runners."
  value       = redis_loadtest.this.throughput_ops_per_second
}

output "latency_ms" {
  description = "Latency percentiles in milliseconds."
  value       = redis_loadtest.this.latency_ms
}

output "errors" {
  description = "Errors by kind."
  value       = redis_loadtest.this.errors
}

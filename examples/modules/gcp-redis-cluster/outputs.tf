output "endpoints" {
  description = "Where the cluster answers: address:port of every node, in a stable order."
  value       = redis_cluster.this.endpoints
}

output "status" {
  description = "ok, degraded, down or unreachable."
  value       = redis_cluster.this.status
}

output "shards" {
  description = "Who serves which slots."
  value       = redis_cluster.this.shards
}

output "connection_info" {
  description = "What redis_loadtest needs to reach the cluster."
  value       = redis_cluster.this.connection_info
}

output "instances" {
  description = "Self links of the VMs, by node."
  value       = { for name, vm in google_compute_instance.node : name => vm.self_link }
}

# Any cluster, asked from the machine that Terraform runs on.
data "redis_cluster" "sessions" {
  endpoints     = ["10.128.0.2:6379", "10.128.0.3:6379"]
  password_file = "/run/secrets/redis-password"
}

check "sessions" {
  assert {
    condition     = data.redis_cluster.sessions.healthy
    error_message = join("\n", data.redis_cluster.sessions.problems)
  }
}

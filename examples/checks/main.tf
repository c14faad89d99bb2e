# Watches a cluster, whoever made it: every plan and apply says what is wrong with it.

terraform {
  required_version = ">= 1.5"
  required_providers {
    redis = {
      source = "redisfleet/redis"
    }
  }
}

variable "endpoints" {
  description = "address:port of some of its nodes."
  type        = list(string)
  default     = ["127.0.0.1:7100", "127.0.0.1:7101"]
}

variable "replicas" {
  description = "How many replicas each shard is to have at least."
  type        = number
  default     = 1
}

variable "version_prefix" {
  description = "How the version of all nodes begins."
  type        = string
  default     = ""
}

data "redis_cluster" "watched" {
  endpoints = var.endpoints
}

check "healthy" {
  assert {
    condition     = data.redis_cluster.watched.healthy
    error_message = "The cluster is ${data.redis_cluster.watched.status}: ${join("; ", data.redis_cluster.watched.problems)}"
  }
}

check "every_slot_is_served" {
  assert {
    condition     = data.redis_cluster.watched.slots_ok == 16384
    error_message = "${16384 - data.redis_cluster.watched.slots_ok} of 16384 slots are not served."
  }
}

check "every_shard_has_its_replicas" {
  assert {
    condition     = alltrue([for s in data.redis_cluster.watched.shards : length(s.replicas) >= var.replicas])
    error_message = "Without enough replicas: ${join(", ", [for s in data.redis_cluster.watched.shards : s.primary if length(s.replicas) < var.replicas])}"
  }
}

check "version" {
  assert {
    condition     = startswith(data.redis_cluster.watched.server_version, var.version_prefix)
    error_message = "The nodes run ${data.redis_cluster.watched.server_version}, and ${var.version_prefix} is wanted."
  }
}

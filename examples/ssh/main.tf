# Six hosts that are reached over SSH: three primaries, three replicas, a
# password, and a short load test from the first host.

terraform {
  required_version = ">= 1.11"
  required_providers {
    redis = {
      source = "redisfleet/redis"
    }
  }
}

variable "hosts" {
  description = "Private addresses of the hosts, by name; a multiple of two, at least six."
  type        = map(string)
}

variable "user" {
  description = "User to log in as: root, or one who may use sudo without a password."
  type        = string
}

variable "redis_password" {
  description = "Password of the cluster. It is stored nowhere but on the hosts."
  type        = string
  sensitive   = true
  ephemeral   = true
}

provider "redis" {
  ssh = {
    user = var.user
  }
}

resource "redis_cluster" "this" {
  name  = "kv"
  nodes = { for name, address in var.hosts : name => { address = address } }

  config = {
    "appendonly"           = "yes"
    "cluster-node-timeout" = "5000"
  }

  password_wo         = var.redis_password
  password_wo_version = 1
}

resource "redis_loadtest" "smoke" {
  cluster = redis_cluster.this.connection_info

  workload = {
    duration = "30s"
  }
}

output "endpoints" {
  value = redis_cluster.this.endpoints
}

output "throughput_ops_per_second" {
  value = redis_loadtest.smoke.throughput_ops_per_second
}

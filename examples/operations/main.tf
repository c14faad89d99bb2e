# A cluster on this machine through its life: what to look at, and what to set
# for the few applies that need a person's consent.
#
#   terraform apply                               # three primaries and four replicas
#   terraform apply -var nodes=8                  # one shard more: 4,096 slots move to it
#   redis-cli -p 7160 config set maxmemory 1mb    # somebody changes something by hand:
#   terraform plan                                # drift names it, and an apply puts it right
#   terraform apply -var accept_data_loss=true    # only after all copies of a shard were lost

terraform {
  required_version = ">= 1.5"
  required_providers {
    redis = {
      source = "redisfleet/redis"
    }
  }
}

variable "nodes" {
  description = "How many processes. An odd one out is the second replica of a shard."
  type        = number
  default     = 7
}

variable "accept_data_loss" {
  description = "Give slots whose every copy is lost to other nodes, empty. For the one apply that needs it."
  type        = bool
  default     = false
}

variable "take_over" {
  description = "After an import of somebody else's cluster: have this provider's services keep its processes running now."
  type        = bool
  default     = false
}

resource "redis_cluster" "this" {
  name                = "operations"
  base_dir            = abspath("${path.module}/.redis")
  deletion_protection = false
  server              = { install = "preinstalled" }

  nodes = {
    for i in range(var.nodes) : "node-${i + 1}" => {
      address   = "127.0.0.1"
      port      = 7160 + i
      transport = "local"
    }
  }
  replicas_per_shard = 1
  spare_replicas     = var.nodes % 2

  config = {
    "maxmemory" = "64mb"
  }

  accept_data_loss = var.accept_data_loss
  take_over        = var.take_over
}

output "shards" {
  description = "Each shard's primary and replicas."
  value       = { for s in redis_cluster.this.shards : s.primary => s.replicas }
}

output "drift" {
  description = "What was changed by hand, as of the last refresh, and the next apply puts right."
  value       = redis_cluster.this.drift
}

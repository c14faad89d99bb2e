# What a pipeline asks of a cluster before it goes on: `terraform test`. It changes nothing.
#
#   terraform test -var 'endpoints=["10.128.0.2:6379"]' -var password_file=/run/secrets/redis

terraform {
  required_version = ">= 1.6"
  required_providers {
    redis = {
      source = "redisfleet/redis"
    }
  }
}

variable "endpoints" {
  description = "address:port of some of its nodes."
  type        = list(string)
  default     = ["127.0.0.1:7100"]
}

variable "password_file" {
  description = "File whose first line is the password."
  type        = string
  default     = null
}

variable "shards" {
  description = "How many shards it is to have at least."
  type        = number
  default     = 3
}

data "redis_cluster" "tested" {
  endpoints     = var.endpoints
  password_file = var.password_file
}

output "cluster" {
  value = data.redis_cluster.tested
}

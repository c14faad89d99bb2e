terraform {
  required_providers {
    redis = {
      source = "redisfleet/redis"
    }
  }
}

output "slot" {
  value = provider::redis::keyslot("{user1000}.following") # 3443
}

terraform {
  required_providers {
    redis = {
      source = "redisfleet/redis"
    }
  }
}

provider "redis" {
  ssh = {
    user             = "admin"
    private_key_file = pathexpand("~/.ssh/id_ed25519")
    bastion = {
      host = "bastion.example.com"
    }
  }
}

variable "redis_password" {
  type      = string
  sensitive = true
  ephemeral = true
}

# Three primaries and three replicas on six hosts.
resource "redis_cluster" "kv" {
  name = "kv"

  nodes = {
    for i in range(6) : "kv-${i + 1}" => {
      address = "10.128.0.${i + 2}"
      zone    = "us-central1-${element(["a", "b", "c"], i)}"
    }
  }
  replicas_per_shard = 1

  config = {
    "appendonly"           = "yes"
    "cluster-node-timeout" = "5000"
    "maxmemory"            = "2gb"
  }

  # Raise the version to have a new password taken up.
  password_wo         = var.redis_password
  password_wo_version = 1

  # Only where these hosts are logged in to in another way than the provider's ssh says.
  ssh = {
    user             = "ops"
    private_key_file = "~/.ssh/ops"
  }
}

output "endpoints" {
  value = redis_cluster.kv.endpoints
}

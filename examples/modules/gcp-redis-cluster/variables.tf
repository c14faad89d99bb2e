variable "name" {
  description = "Name of the cluster, and beginning of the names of its VMs."
  type        = string
}

variable "size" {
  description = "How many VMs: a multiple of 1 + replicas_per_shard, at least three times that."
  type        = number
  default     = 6
}

variable "zones" {
  description = "Zones that the VMs are spread over. A replica is kept in another zone than its primary where that can be."
  type        = list(string)
}

variable "subnetwork" {
  description = "Self link of the subnetwork of the VMs."
  type        = string
}

variable "tag" {
  description = "Network tag of the VMs. Firewall rules have to open 6379 and 16379 between them, and 22 for Terraform."
  type        = string
  default     = "redis"
}

variable "external_addresses" {
  description = "Gives the VMs external addresses, and has Terraform reach them there. Redis stays on the private ones."
  type        = bool
  default     = true
}

variable "machine_type" {
  description = "Machine type of the VMs."
  type        = string
  default     = "e2-medium"
}

variable "image" {
  description = "Image of the VMs: Debian 12 or 13, or Ubuntu 22.04 or 24.04."
  type        = string
  default     = "debian-cloud/debian-12"
}

variable "disk_size_gb" {
  description = "Size of the boot disks, which hold the data too."
  type        = number
  default     = 10
}

variable "generations" {
  description = "Replaces VMs: raise the number of one (0 until it is given), such as { kv-3 = 1 }. The new VM takes over before the old one goes, which `-replace` cannot do: both would have one name."
  type        = map(number)
  default     = {}
}

variable "ssh_user" {
  description = "User that Terraform logs in as. The guest agent makes it, with sudo."
  type        = string
  default     = "terraform"
}

variable "ssh_public_key" {
  description = "Its public key."
  type        = string
}

variable "replicas_per_shard" {
  description = "How many replicas each primary has."
  type        = number
  default     = 1
}

variable "server" {
  description = "Which server to run, as redis_cluster takes it; null means Redis from the distribution's packages."
  type = object({
    flavor     = optional(string)
    install    = optional(string)
    version    = optional(string)
    source_url = optional(string)
    sha256     = optional(string)
  })
  default = null
}

variable "config" {
  description = "Directives of redis.conf."
  type        = map(string)
  default = {
    "appendonly"           = "yes"
    "cluster-node-timeout" = "5000"
  }
}

variable "password" {
  description = "Password of the cluster. It is in no state and no plan."
  type        = string
  sensitive   = true
  ephemeral   = true
}

variable "password_version" {
  description = "Raise it when the password has changed."
  type        = number
  default     = 1
}

variable "deletion_protection" {
  description = "Refuses to destroy the cluster."
  type        = bool
  default     = true
}

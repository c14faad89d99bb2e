variable "project" {
  description = "Project of everything here."
  type        = string
}

variable "region" {
  description = "Region of the subnetwork."
  type        = string
  default     = "us-central1"
}

variable "zones" {
  description = "Zones that the VMs are spread over."
  type        = list(string)
  default     = ["us-central1-a", "us-central1-b", "us-central1-c"]
}

variable "name" {
  description = "Name of the cluster, its network and its VMs."
  type        = string
  default     = "kv"
}

variable "size" {
  description = "How many VMs the cluster has."
  type        = number
  default     = 6
}

variable "image" {
  description = "Image of the VMs."
  type        = string
  default     = "debian-cloud/debian-12"
}

variable "machine_type" {
  description = "Machine type of the cluster's VMs. Another one makes them all anew, while the cluster goes on."
  type        = string
  default     = "e2-medium"
}

variable "generations" {
  description = "Replaces VMs of the cluster: raise the number of one (0 until it is given), such as { kv-3 = 1 }."
  type        = map(number)
  default     = {}
}

variable "ssh_user" {
  description = "User that Terraform logs in as."
  type        = string
  default     = "terraform"
}

variable "ssh_private_key_file" {
  description = "Its private key. The public one is beside it, with .pub at the end."
  type        = string
  default     = "~/.ssh/id_ed25519"
}

variable "ssh_source_ranges" {
  description = "Where Terraform runs: the addresses that may use SSH."
  type        = list(string)
}

variable "redis_password" {
  description = "Password of the cluster. It is stored nowhere but on the VMs."
  type        = string
  sensitive   = true
  ephemeral   = true
}

variable "runners" {
  description = "How many VMs of their own send the load; 0 has the first node's VM do it."
  type        = number
  default     = 0
}

variable "load_duration" {
  description = "How long the load test runs."
  type        = string
  default     = "60s"
}

variable "deletion_protection" {
  description = "Refuses to destroy the cluster."
  type        = bool
  default     = true
}

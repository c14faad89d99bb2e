# A Redis Cluster on Compute Engine: the VMs, spread over zones, and the cluster
# on them. The network and its firewall rules are the caller's.

terraform {
  required_version = ">= 1.11"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.0"
    }
    redis = {
      source = "redisfleet/redis"
    }
  }
}

locals {
  zones = { for i in range(var.size) : "${var.name}-${i + 1}" => var.zones[i % length(var.zones)] }

  # A VM that is replaced is made anew before the old one goes (see below), so
  # that both exist for a while and need different names: the name carries a
  # digest of what a VM cannot change while it runs. That has other machine types
  # come without a pause too, while stopping all VMs to change theirs would be one.
  digests = {
    for name, zone in local.zones : name => substr(sha256(join(",", [
      zone, var.machine_type, var.image, var.disk_size_gb, var.subnetwork, lookup(var.generations, name, 0)
    ])), 0, 4)
  }
}

resource "google_compute_instance" "node" {
  for_each = local.zones

  name         = "${each.key}-${local.digests[each.key]}"
  zone         = each.value
  machine_type = var.machine_type
  tags         = [var.tag]

  boot_disk {
    initialize_params {
      image = var.image
      size  = var.disk_size_gb
    }
  }

  network_interface {
    subnetwork = var.subnetwork

    dynamic "access_config" {
      for_each = var.external_addresses ? [1] : []
      content {}
    }
  }

  metadata = {
    ssh-keys = "${var.ssh_user}:${trimspace(var.ssh_public_key)}"
    # The guest publishes its SSH host keys, and nobody can answer in its place.
    enable-guest-attributes = "TRUE"
  }

  # Without this, Terraform destroys a VM that is not wanted any more *before* it
  # updates the cluster that uses it: its data would go with it. This way the
  # cluster moves the data away first, and the VM goes afterwards.
  lifecycle {
    create_before_destroy = true
  }
}

resource "redis_cluster" "this" {
  name = var.name

  nodes = {
    for name, vm in google_compute_instance.node : name => {
      instance = vm.self_link
      ssh_host = var.external_addresses ? vm.network_interface[0].access_config[0].nat_ip : null
    }
  }
  replicas_per_shard = var.replicas_per_shard

  server = var.server
  config = var.config

  password_wo         = var.password
  password_wo_version = var.password_version

  deletion_protection = var.deletion_protection
}

# A Redis Cluster on six Compute Engine VMs over three zones, and a load test of
# it: one from the first VM, or from VMs of their own (runners = 2), whose results
# are merged.

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

provider "google" {
  project = var.project
  region  = var.region
}

# It asks Compute Engine with the same credentials and environment as google.
provider "redis" {
  ssh = {
    user             = var.ssh_user
    private_key_file = var.ssh_private_key_file
    # A VM that was just made still boots.
    connect_timeout = "3m"
  }
  gce = {
    project = var.project
  }
}

resource "google_compute_network" "redis" {
  name                    = var.name
  auto_create_subnetworks = false
}

resource "google_compute_subnetwork" "redis" {
  name          = var.name
  region        = var.region
  network       = google_compute_network.redis.id
  ip_cidr_range = "10.128.0.0/24"
}

# Terraform needs SSH and nothing else.
resource "google_compute_firewall" "ssh" {
  name          = "${var.name}-ssh"
  network       = google_compute_network.redis.id
  source_ranges = var.ssh_source_ranges
  target_tags   = ["redis"]

  allow {
    protocol = "tcp"
    ports    = ["22"]
  }
}

# Clients need 6379, and the nodes 16379 (the cluster bus) among themselves too.
resource "google_compute_firewall" "redis" {
  name        = "${var.name}-nodes"
  network     = google_compute_network.redis.id
  source_tags = ["redis"]
  target_tags = ["redis"]

  allow {
    protocol = "tcp"
    ports    = ["6379", "16379"]
  }
}

module "cluster" {
  source = "../modules/gcp-redis-cluster"

  name                = var.name
  size                = var.size
  zones               = var.zones
  subnetwork          = google_compute_subnetwork.redis.id
  tag                 = "redis"
  image               = var.image
  machine_type        = var.machine_type
  generations         = var.generations
  ssh_user            = var.ssh_user
  ssh_public_key      = file(pathexpand("${var.ssh_private_key_file}.pub"))
  password            = var.redis_password
  deletion_protection = var.deletion_protection

  # The nodes have to reach each other, and Terraform has to reach them, before
  # there can be a cluster, and until it is gone.
  depends_on = [google_compute_firewall.ssh, google_compute_firewall.redis]
}

# VMs that only send load. There are none unless runners says so.
resource "google_compute_instance" "runner" {
  count = var.runners

  name         = "${var.name}-runner-${count.index + 1}"
  zone         = var.zones[count.index % length(var.zones)]
  machine_type = "e2-medium"
  tags         = ["redis"]

  boot_disk {
    initialize_params {
      image = var.image
    }
  }

  network_interface {
    subnetwork = google_compute_subnetwork.redis.id
    access_config {}
  }

  metadata = {
    ssh-keys                = "${var.ssh_user}:${trimspace(file(pathexpand("${var.ssh_private_key_file}.pub")))}"
    enable-guest-attributes = "TRUE"
  }
}

resource "redis_loadtest" "this" {
  cluster = module.cluster.connection_info

  runners = var.runners == 0 ? null : {
    for vm in google_compute_instance.runner : vm.name => {
      address  = vm.network_interface[0].network_ip
      ssh_host = vm.network_interface[0].access_config[0].nat_ip
      instance = vm.self_link
    }
  }

  workload = {
    duration   = var.load_duration
    clients    = 32
    operations = { set = 1, get = 1 }
    keys       = { prefix = "key:", minimum = 1, maximum = 10000 }
    data_size  = 16
  }
}

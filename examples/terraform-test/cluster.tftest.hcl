run "is_healthy" {
  command = plan

  assert {
    condition     = data.redis_cluster.tested.healthy
    error_message = join("\n", concat([data.redis_cluster.tested.status], data.redis_cluster.tested.problems))
  }
}

run "serves_every_slot" {
  command = plan

  assert {
    condition     = data.redis_cluster.tested.slots_ok == 16384
    error_message = "${data.redis_cluster.tested.slots_ok} of 16384 slots are served."
  }

  assert {
    condition     = length(data.redis_cluster.tested.shards) >= var.shards
    error_message = "There are ${length(data.redis_cluster.tested.shards)} shards, and ${var.shards} are wanted."
  }
}

run "survives_a_node" {
  command = plan

  assert {
    condition     = alltrue([for s in data.redis_cluster.tested.shards : length(s.replicas) > 0])
    error_message = "A shard without a replica is gone with its primary."
  }
}

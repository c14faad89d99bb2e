# HOST:/BASE_DIR/NAME: any host of the cluster, reached over SSH.
terraform import redis_cluster.kv 10.128.0.2:/var/lib/redis-cluster/kv

# A cluster on the machine that Terraform runs on.
terraform import redis_cluster.kv local:/home/me/project/.redis/kv

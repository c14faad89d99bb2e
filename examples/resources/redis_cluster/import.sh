# HOST:/BASE_DIR/NAME: any host of a cluster that this provider made, reached over SSH.
terraform import redis_cluster.kv 10.128.0.2:/var/lib/redis-cluster/kv

# The same on the machine that Terraform runs on.
terraform import redis_cluster.kv local:/home/me/project/.redis/kv

# HOST:PORT of any node of a cluster that somebody else made, and the name that it is to
# have. The import changes nothing and prints the configuration that stands for the cluster.
terraform import redis_cluster.kv 127.0.0.1:7000/kv

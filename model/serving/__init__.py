"""The protocols (KServe v1 and v2, REST and gRPC, health, metrics), and the server's life."""

"""A real node for the test cluster: kubelet, containerd, runc, kube-proxy and DNS on this machine.

What an operator and a model server get wrong together is what only a pod shows: probes that kill,
drains, volumes, limits, Pod Security, names. It needs root, and there is one node on a machine at a
time, because the kernel has one table of services. All that it puts outside its cluster's folder is
named here in one place each, so that the cluster's end can remove it however the cluster ended.
"""

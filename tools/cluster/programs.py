"""The programs of a cluster, in the order of their start: flags and health checks, as data.

``{host}``, ``{address}``, ``{folder}`` and the ports of ``layout.PORTS`` are filled in for each
cluster. Those of the node are in ``node.programs``.
"""

from . import audit, kserve
from .node.programs import NODE_PROGRAMS
from .program import Program

ETCD = Program(
    name="etcd",
    family="etcd",
    binary="server",
    flags={
        "data-dir": "{folder}/etcd",
        "listen-client-urls": "https://{host}:{etcd}",
        "advertise-client-urls": "https://{host}:{etcd}",
        "listen-peer-urls": "https://{host}:{etcd_peer}",
        "initial-advertise-peer-urls": "https://{host}:{etcd_peer}",
        "initial-cluster": "default=https://{host}:{etcd_peer}",
        "listen-metrics-urls": "http://{host}:{etcd_health}",
        # Whoever can write here has every right in the cluster, so it takes our certificate only.
        "client-cert-auth": "true",
        "trusted-ca-file": "{folder}/authority.crt",
        "cert-file": "{folder}/loopback.crt",
        "key-file": "{folder}/loopback.key",
        "peer-client-cert-auth": "true",
        "peer-trusted-ca-file": "{folder}/authority.crt",
        "peer-cert-file": "{folder}/loopback.crt",
        "peer-key-file": "{folder}/loopback.key",
        # What a power cut would lose is a test's.
        "unsafe-no-fsync": "true",
        "log-level": "warn",
    },
    health="http://{host}:{etcd_health}/health",
)

API_SERVER = Program(
    name="kube-apiserver",
    family="kubernetes",
    binary="kube-apiserver",
    flags={
        "bind-address": "{address}",
        "advertise-address": "{address}",
        "secure-port": "{apiserver}",
        # Endpoints on the loopback are not valid, and without a node nothing inside calls it.
        "endpoint-reconciler-type": "none",
        "etcd-servers": "https://{host}:{etcd}",
        "etcd-cafile": "{folder}/authority.crt",
        "etcd-certfile": "{folder}/loopback.crt",
        "etcd-keyfile": "{folder}/loopback.key",
        "tls-cert-file": "{folder}/loopback.crt",
        "tls-private-key-file": "{folder}/loopback.key",
        "client-ca-file": "{folder}/authority.crt",
        # Rights are real: a test under a service account may do what its roles say.
        "authorization-mode": "Node,RBAC",
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-key-file": "{folder}/service-account.pub",
        "service-account-signing-key-file": "{folder}/service-account.key",
        "service-cluster-ip-range": "{services}",
        "allow-privileged": "true",
        "audit-policy-file": f"{{folder}}/{audit.POLICY_NAME}",
        "audit-log-path": f"{{folder}}/{audit.LOG_NAME}",
        # What is not answered yet is not in the log: whoever has the answer finds it there.
        "audit-log-mode": "blocking",
        "audit-log-maxsize": "100",
        "audit-log-maxbackup": "1",
        "profiling": "false",
    },
    node_flags={
        "endpoint-reconciler-type": "lease",
        # For logs, exec and port-forward.
        "kubelet-certificate-authority": "{folder}/authority.crt",
        "kubelet-client-certificate": "{folder}/kubelet-client.crt",
        "kubelet-client-key": "{folder}/kubelet-client.key",
        "kubelet-preferred-address-types": "InternalIP",
    },
    health="https://{address}:{apiserver}/readyz",
    prepare=audit.write_policy,
)

CONTROLLER_MANAGER = Program(
    name="kube-controller-manager",
    family="kubernetes",
    binary="kube-controller-manager",
    flags={
        "bind-address": "{host}",
        "secure-port": "{controller_manager}",
        "tls-cert-file": "{folder}/loopback.crt",
        "tls-private-key-file": "{folder}/loopback.key",
        "kubeconfig": "{folder}/kube-controller-manager.kubeconfig",
        "authentication-kubeconfig": "{folder}/kube-controller-manager.kubeconfig",
        "authorization-kubeconfig": "{folder}/kube-controller-manager.kubeconfig",
        # Otherwise it makes a folder for plugins in /usr/libexec.
        "flex-volume-plugin-dir": "{folder}/volume-plugins",
        # Each controller has its own account and no more than its own rights, as in a real cluster.
        "use-service-account-credentials": "true",
        "service-account-private-key-file": "{folder}/service-account.key",
        "root-ca-file": "{folder}/authority.crt",
        "cluster-signing-cert-file": "{folder}/authority.crt",
        "cluster-signing-key-file": "{folder}/authority.key",
        "leader-elect": "false",
        "profiling": "false",
    },
    health="https://{host}:{controller_manager}/healthz",
)

KSERVE_MANAGER = Program(
    name="kserve-manager",
    family="kserve",
    binary="manager",
    flags={
        "kubeconfig": "{folder}/kserve-manager.kubeconfig",
        "metrics-addr": "0",
        "health-probe-addr": "{host}:{kserve_health}",
        # No flag binds the webhooks to the loopback; they answer whoever reaches this machine.
        "webhook-port": "{kserve_webhook}",
    },
    # It looks for its webhooks' certificate below the temporary folder.
    environment={"POD_NAMESPACE": kserve.NAMESPACE, "TMPDIR": "{folder}/temporary"},
    health="http://{host}:{kserve_health}/readyz",
    prepare=kserve.install,
)

PROGRAMS = (ETCD, API_SERVER, CONTROLLER_MANAGER, *NODE_PROGRAMS, KSERVE_MANAGER)

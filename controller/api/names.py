"""The words that clusters know us by. Renaming one strands what older operators wrote."""

from typing import Final

GROUP: Final = "kiln.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "DiffusionService"
PLURAL: Final = "diffusionservices"
SINGULAR: Final = "diffusionservice"
SHORT_NAMES: Final = ("dsvc",)
CATEGORIES: Final = ("all", "serving")

# What server-side apply records as the owner of our fields.
FIELD_MANAGER: Final = "kiln"

SERVICE_LABEL: Final = f"{GROUP}/service"
ROLE_LABEL: Final = f"{GROUP}/role"
# What selects pods: front, or a worker's role. The front stays the front when roles come or go,
# which a Deployment's selector could not follow.
PART_LABEL: Final = f"{GROUP}/part"
# On pod templates: tells whether what runs was made of what we rendered.
SPEC_HASH_ANNOTATION: Final = f"{GROUP}/spec-hash"
# Of the operator's own pods, and of every namespace: NetworkPolicies let the one into the other.
OPERATOR_LABELS: Final = {"app.kubernetes.io/component": "operator"}
NAMESPACE_LABEL: Final = "kubernetes.io/metadata.name"
RESERVED_PREFIXES: Final = (f"{GROUP}/", "app.kubernetes.io/", "serving.kserve.io/")

# NAME-denoiser has to be a name of Services, and NAME-predictor-NAMESPACE one label of DNS.
LONGEST_NAME: Final = 40
LONGEST_DNS_LABEL: Final = 63

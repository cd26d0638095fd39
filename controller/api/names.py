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
# On our children: the defaults that they were rendered with (C09), and of which spec.
DEFAULTS_ANNOTATION: Final = f"{GROUP}/defaults"
# On pod templates: tells whether what runs was made of what we rendered.
SPEC_HASH_ANNOTATION: Final = f"{GROUP}/spec-hash"
RESERVED_PREFIXES: Final = (f"{GROUP}/", "app.kubernetes.io/", "serving.kserve.io/")

# NAME-denoiser has to be a name of Services, and NAME-predictor-NAMESPACE one label of DNS.
LONGEST_NAME: Final = 40
LONGEST_DNS_LABEL: Final = 63

"""``spec.model``: which model, from where, under which name."""

from enum import StrEnum
from typing import Final

from pydantic import ConfigDict, Field

from .base import ApiModel, KubernetesName, Rule, rules

EMBEDDED: Final = "embedded"
HUB: Final = "hf"
BUCKETS: Final = ("s3", "gs")
REGISTRY: Final = "oci"
CLAIM: Final = "pvc"

ADDRESS: Final = (
    r"^(embedded://"
    r"|hf://[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*(@[A-Za-z0-9._/-]+)?"
    r"|s3://[^/\s]+/\S+"
    r"|gs://[^/\s]+/\S+"
    r"|oci://[^/\s]+/\S+"
    r"|pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?(/\S*)?)$"
)


class Dtype(StrEnum):
    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class LocalReference(ApiModel):
    """An object of the same namespace."""

    name: KubernetesName = Field(description="Its name.")


class ModelSource(ApiModel):
    """Which model is served, and under which name."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "!has(self.secretRef) || !(self.uri.startsWith('embedded://') || "
                "self.uri.startsWith('pvc://'))",
                "spec.model.secretRef: embedded:// and pvc:// need no credentials; remove it",
            )
        )
    )

    uri: str = Field(
        "embedded://",
        max_length=1024,
        description="Where the model comes from: embedded:// (the small model that ships with "
        "Kiln), hf://ORGANISATION/NAME[@REVISION] (the Hugging Face hub), s3://BUCKET/PATH, "
        "gs://BUCKET/PATH, oci://REGISTRY/REPOSITORY[:TAG|@DIGEST] (an image whose /models holds "
        "it), or pvc://CLAIM[/PATH]. It must be a diffusers folder, with safetensors weights.",
        json_schema_extra=rules(
            Rule(
                f"self.matches(r'{ADDRESS}')",
                "spec.model.uri: write embedded://, hf://ORGANISATION/NAME[@REVISION], "
                "s3://BUCKET/PATH, gs://BUCKET/PATH, oci://REGISTRY/REPOSITORY[:TAG] or "
                "pvc://CLAIM[/PATH]",
            ),
            Rule(
                "!self.contains('/../') && !self.endsWith('/..')",
                "spec.model.uri: '..' would leave the place that it names; write the path "
                "without it",
            ),
        ),
    )
    name: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        max_length=100,
        description="The model's name in URLs, /v2/models/NAME. Without it, the name of the "
        "DiffusionService.",
    )
    dtype: Dtype = Field(
        Dtype.AUTO,
        description="Type of the weights. auto: bfloat16 on a GPU, float32 on a CPU.",
    )
    secret_ref: LocalReference | None = Field(
        None,
        description="A Secret whose keys become environment variables of the download: HF_TOKEN, "
        "AWS_ACCESS_KEY_ID and its kin, or for oci:// the Secret that pulls the image.",
    )

    @property
    def scheme(self) -> str:
        return self.uri.partition("://")[0]

    @property
    def place(self) -> str:
        """What comes after the scheme."""
        return self.uri.partition("://")[2]

"""What the CRD cannot check, because its rules do not see the namespace."""

from ..api.names import LONGEST_DNS_LABEL
from ..errors import InvalidService
from .plan import Plan, Target


class NameTooLong(InvalidService):
    reason = "NameTooLong"


def check_names(plan: Plan) -> None:
    """KServe makes NAME-predictor-NAMESPACE one label of a DNS name.

    Raises:
        NameTooLong: it would have more than 63 characters.
    """
    service = plan.service
    label = f"{service.name}-predictor-{service.namespace}"
    if plan.target is Target.KSERVE and len(label) > LONGEST_DNS_LABEL:
        over = len(label) - LONGEST_DNS_LABEL
        raise NameTooLong(
            (
                f"metadata.name: KServe names the service {label}, which is {over} characters "
                f"longer than the {LONGEST_DNS_LABEL} of a DNS label; take a name that is "
                f"shorter by {over}, or set spec.backend: Deployment",
            )
        )

"""What pods of roles are told of each other (C02, C13)."""

from typing import Any

from model.contract.flags import GRPC_PORT

from ..conftest import Object, RenderOf

ROLES: dict[str, Any] = {"encoder": {}, "denoiser": {}, "decoder": {}}
NAMES = ("fox", "fox-encoder", "fox-denoiser", "fox-decoder")


def pod(found: dict[tuple[str, str], Object], name: str) -> Object:
    spec: Object = found["Deployment", name]["spec"]["template"]["spec"]
    return spec


def arguments(found: dict[tuple[str, str], Object], name: str) -> dict[str, str]:
    words = pod(found, name)["containers"][0]["args"][1:]
    return {flag: value for flag, _, value in (each.partition("=") for each in words)}


def test_c02_the_router_is_told_where_its_workers_are_and_nobody_else_is(
    render_of: RenderOf,
) -> None:
    found = render_of({"roles": ROLES})
    told = arguments(found, "fox")
    for role in ROLES:
        headless = found["Service", f"fox-{role}"]["spec"]
        assert headless["clusterIP"] == "None", "its name has an address for each pod"
        assert GRPC_PORT in [each["port"] for each in headless["ports"]]
        assert told[f"--{role}s"] == f"dns://fox-{role}:{GRPC_PORT}"
        assert not {f"--{each}s" for each in ROLES} & set(arguments(found, f"fox-{role}"))
    assert not [each for each in told if "token" in each]


def test_c13_a_token_comes_to_all_roles_as_a_file_that_the_operator_never_reads(
    render_of: RenderOf,
) -> None:
    found = render_of({"roles": {**ROLES, "tokenSecretRef": {"name": "between-us"}}})
    for name in NAMES:
        assert arguments(found, name)["--role-token-file"] == "/etc/kiln/roles/token"
        (volume,) = (each for each in pod(found, name)["volumes"] if "secret" in each)
        assert volume["secret"] == {
            "secretName": "between-us",
            "items": [{"key": "token", "path": "token"}],
        }
        mounts = pod(found, name)["containers"][0]["volumeMounts"]
        (mount,) = (each for each in mounts if each["name"] == volume["name"])
        assert mount == {
            "name": volume["name"],
            "mountPath": "/etc/kiln/roles",
            "readOnly": True,
        }
    assert not [each for each in pod(render_of({}), "fox")["volumes"] if "secret" in each]

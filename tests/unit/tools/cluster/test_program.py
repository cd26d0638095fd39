"""One table starts a cluster with a node and one without."""

from dataclasses import replace
from pathlib import Path

import pytest

from tools.cluster import cluster
from tools.cluster import record as records
from tools.cluster.layout import HOST, NODE_HOST, Layout
from tools.cluster.node.programs import NODE_PROGRAMS
from tools.cluster.programs import API_SERVER, PROGRAMS
from tools.cluster.record import Record


@pytest.fixture
def built(layout: Layout) -> Layout:
    families = {program.family for program in PROGRAMS}
    return replace(layout, built={name: Path("/built") / name for name in families})


@pytest.mark.parametrize(("node", "address"), [(False, HOST), (True, NODE_HOST)])
def test_api_server_listens_where_its_clients_look(
    built: Layout, *, node: bool, address: str
) -> None:
    layout = replace(built, node=node)
    command = API_SERVER.command(layout)
    port = layout.ports["apiserver"]
    assert f"--bind-address={address}" in command
    assert layout.api_server == f"https://{address}:{port}"
    assert layout.fill(API_SERVER.health) == f"{layout.api_server}/readyz"
    assert ("--endpoint-reconciler-type=none" in command) is not node
    assert any(each.startswith("--kubelet-client-key=") for each in command) is node


def test_a_flag_of_a_node_is_given_once(built: Layout) -> None:
    for program in PROGRAMS:
        names = [each.partition("=")[0] for each in program.command(replace(built, node=True))]
        assert len(names) == len(set(names)), program.name


def test_only_a_cluster_with_a_node_has_its_programs(built: Layout) -> None:
    without = cluster.programs_of(Record(built))
    assert without == [each for each in PROGRAMS if each not in NODE_PROGRAMS]
    assert cluster.programs_of(Record(replace(built, node=True))) == list(PROGRAMS)


def test_record_knows_whether_there_is_a_node(built: Layout) -> None:
    for node in (True, False):
        record = Record(replace(built, node=node))
        records.write(record)
        assert records.read(built.folder) == record


def test_kubeconfig_of_a_node_has_a_name_that_every_tool_takes(layout: Layout) -> None:
    assert layout.kubeconfig("system:node:node1").name == "node-node1.kubeconfig"

"""One replica, as its callers see it."""

from dataclasses import replace

from model.contract.roles import Role
from model.transport.replica import Replica, ReplicaState
from tests.unit.model.transport.support import BOUNDS, OPEN, StageHost


async def test_w44_what_its_model_is_may_be_known_later_than_who_it_is(host: StageHost) -> None:
    loaded = host.identity
    host.identity = replace(loaded, revision="")
    replica = Replica(Role.DENOISER, host.address, BOUNDS, OPEN)
    await replica.look()
    assert (replica.instance, replica.revision) == (loaded.instance, "")
    replica.become(ReplicaState.PROVEN)

    host.identity = loaded
    await replica.look()
    assert (replica.revision, replica.state) == (loaded.revision, ReplicaState.PROVEN)

    host.identity = replace(loaded, instance="another")
    await replica.look()
    assert replica.state is ReplicaState.UNPROVEN, "another process has proven nothing"
    await replica.close()

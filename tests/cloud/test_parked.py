"""What cannot be reconciled yet waits with its reason, for everyone to see."""

from __future__ import annotations

from click.testing import CliRunner

from mockcloud import MockCloud
from mockcloud.cli.main import main
from mockcloud.cloud.views import ParkedRun

EAST, WEST = "aws-us-east-1", "aws-us-west-2"


async def test_status_and_history_tell_why_a_run_waits(mockcloud: MockCloud) -> None:
    namespace = mockcloud.namespace("default")
    client = await namespace.client(region=EAST)
    other = await namespace.client(region=WEST)
    handle = await client.start_workflow("any", id="w", task_queue="nobody")
    await namespace.replicated()
    cut = mockcloud.link(EAST, WEST).partition()
    await namespace.failover(WEST, forced=True)
    await handle.cancel()  # in the branch that loses
    await other.get_workflow_handle("w").signal("s")

    cut.remove()
    await namespace.replicated()

    reason = "reapply not built: event 3 of the losing branch is a cancel request"
    (status,) = (await mockcloud.status()).namespaces
    run_id = handle.first_execution_run_id
    assert run_id is not None
    assert {view.region: (view.parked, view.parked_runs) for view in status.regions} == {
        EAST: (0, ()),
        WEST: (1, (ParkedRun("w", run_id, reason),)),
    }
    history = await namespace.history("w")
    assert {region: run.parked for region, (run,) in history.items()} == {EAST: "", WEST: reason}

    cloud = ("--cloud", mockcloud.cloud_ops)
    for command in (("status",), ("status", "-o", "json"), ("history", "default", "w")):
        shown = CliRunner().invoke(main, [*command, *cloud])
        assert reason in shown.stdout, shown.output


async def test_a_run_of_which_nothing_is_here_yet(mockcloud: MockCloud) -> None:
    namespace = mockcloud.namespace("default")
    clients = {region: await namespace.client(region=region) for region in (EAST, WEST)}
    cut = mockcloud.link(EAST, WEST).partition()
    await namespace.failover(WEST, forced=True)
    runs = {}
    for region, client in clients.items():
        handle = await client.start_workflow("any", id="twice", task_queue="nobody")
        runs[region] = handle.first_execution_run_id

    cut.remove()
    await namespace.replicated()

    shown = CliRunner().invoke(main, ["history", "default", "twice", "--cloud", mockcloud.cloud_ops])
    assert f"{EAST}: run {runs[EAST]} (running, current)" in shown.stdout
    assert f"{WEST}: run {runs[EAST]} (parked: zombie runs not built" in shown.stdout
    assert "unspecified" not in shown.stdout

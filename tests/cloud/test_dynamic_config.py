"""Dynamic configuration of a cloud: what its keys set is in force in every region, before and after a failover."""

from __future__ import annotations

import logging

import pytest
from temporalio.service import RPCError

from mockcloud import MockCloud
from mockcloud.cloud.settings import CloudSettings
from mockcloud.core.errors import StartupError

EAST, WEST = "aws-us-east-1", "aws-us-west-2"


async def test_a_limit_is_in_force_in_every_region() -> None:
    async with MockCloud(dynamic_config={"limit.maxIDLength": 40}) as cloud:
        orders = await cloud.create_namespace("orders")
        for region in (EAST, WEST):
            client = await orders.client(region=region)
            with pytest.raises(RPCError, match="WorkflowId length exceeds limit"):
                await client.start_workflow("any", id="w" * 41, task_queue="q")
            await client.start_workflow("any", id=region, task_queue="q")
            if region == EAST:
                await orders.failover(WEST)


@pytest.mark.parametrize("enabled", [True, False])
async def test_a_capability_follows_its_switch(enabled: bool) -> None:
    from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest

    async with MockCloud(dynamic_config={"frontend.enableCancelWorkerPollsOnShutdown": enabled}) as cloud:
        client = await (await cloud.create_namespace("orders")).client()
        described = await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace="orders")
        )
        assert described.namespace_info.capabilities.worker_poll_complete_on_shutdown is enabled


def test_a_key_without_effect_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with MockCloud(dynamic_config={"frontend.namespaceRPS": 100}):
        pass
    told = [record.getMessage() for record in caplog.records if "dynamic config" in record.getMessage()]
    assert told == ["dynamic config key frontend.namespaceRPS is accepted and changes nothing here"]


def test_a_value_of_another_type_keeps_the_cloud_from_starting() -> None:
    with pytest.raises(StartupError, match=r"'limit.maxIDLength': value type is not int"):
        MockCloud(dynamic_config={"limit.maxIDLength": "10"}).start()


def test_the_age_of_connections_is_a_setting_of_the_cloud() -> None:
    settings = CloudSettings(dynamic_config={"frontend.keepAliveMaxConnectionAge": "1m30s", "a.b": 1})
    configured, without_effect = settings.configured()
    assert (configured.connection_age, without_effect) == (90.0, ["a.b"])


@pytest.mark.mockcloud(dynamic_config={"limit.maxIDLength": 10})
def test_a_test_sets_it_with_a_mark(mockcloud: MockCloud) -> None:
    assert mockcloud.call(lambda: mockcloud.cloud.node(EAST).region.limits.id_characters) == 10

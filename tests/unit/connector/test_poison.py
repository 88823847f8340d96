"""A mail over which the connector died."""

from __future__ import annotations

import asyncio

from connector.delivery import Delivery
from connector.poison import DEATHS_MAX, SUSPECT_DELIVERED, Poison
from connector.shelf import Shelf
from mailchute import subjects

from tests.servers.nats import NatsServer
from tests.unit.connector.rooms import eventually, house, mail_for, running


def test_a_mail_that_killed_the_connector_is_dead_after_the_third_time_and_no_other_is(
    nats_server: NatsServer,
) -> None:
    async def work() -> None:
        async with house(nats_server, is_running=False) as built:
            deadly, other = mail_for("end_a"), mail_for("end_a")
            sequence = await built.accept(deadly)
            await built.accept(other)
            taken = await built.publisher.client.jetstream().pull_subscribe_bind(
                consumer="mail", stream=subjects.MAIL
            )
            for _ in range(SUSPECT_DELIVERED - 1):  # as often as it takes to be a suspect
                for message in await taken.fetch(2):
                    await message.nak()
            shelf = Shelf(built.publisher)
            # What connectors that died in the middle have left on the shelf.
            await shelf.put(f"poison.mail-accepted-{sequence}", b"%d" % DEATHS_MAX, for_s=60)
            async with running(built.settings):
                await eventually(lambda: built.functions.of_kind("delivered"))
                await eventually(lambda: built.functions.of_kind("dead"))
                await eventually(built.is_quiet)
            assert [(each.mail_id, each.reason) for each in await built.dead()] == [
                (deadly.id, "poison: the connector died over it")
            ]
            assert [mail_id for _, mail_id in built.functions.posts] == [other.id]
            assert await shelf.all_under("poison") == []

    asyncio.run(work())


def test_a_mark_is_counted_up_each_time_and_gone_when_the_work_ends(nats_server: NatsServer) -> None:
    async def work() -> None:
        async with house(nats_server, is_running=False) as built:
            poison = Poison(Shelf(built.publisher))
            await built.accept(mail_for("end_a"))
            taken = await built.publisher.client.jetstream().pull_subscribe_bind(
                consumer="mail", stream=subjects.MAIL
            )
            (message,) = await taken.fetch(1)
            delivery = Delivery.of(built.publisher.client, message)
            assert not await poison.is_deadly(delivery)
            delivery.num_delivered = SUSPECT_DELIVERED
            assert [await poison.is_deadly(delivery) for _ in range(DEATHS_MAX + 1)] == [
                False
            ] * DEATHS_MAX + [True]
            await poison.unmark(delivery)
            assert not await poison.is_deadly(delivery)

    asyncio.run(work())

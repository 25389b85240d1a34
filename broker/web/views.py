"""What a client may see of a message: found in the store, checked against its HER-ids, and explained."""

from broker.diagnosis import Standing, stand, stand_item
from broker.errors import Unaddressable, Unknown
from broker.lifecycle import Outcome
from broker.message import Client, Delivery, Message
from broker.ports import Delivered, Doors
from broker.web import shapes


class MessageViews:
    """Reads only."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors

    async def find(self, id: str, client: Client) -> Delivered:
        """Return the client's message by our id or its MsgId. Raises Unknown, also for another client's."""
        found = await self._doors.store.find(id, hers=client.hers)
        named = [one for one in found if id in (one.message.id, one.message.msg_id)]
        if not named:
            raise Unknown("no such message")
        # A MsgId may be another sender's too: what the client itself posted comes first.
        return min(named, key=lambda one: (one.message.id != id, not shapes.outgoing(one.message)))

    async def show(self, id: str, client: Client) -> shapes.Json:
        """Return how a message stands, at each of its receivers. Raises Unknown."""
        found = await self.find(id, client)
        if not shapes.outgoing(found.message):
            return await self._show_received(found.message)
        stands = [(delivery, await self._stand(delivery, found.message)) for delivery in found.deliveries]
        # The message stands where its slowest receiver does.
        slowest = min(
            stands, key=lambda one: (one[0].state.outcome is not Outcome.OPEN, one[1].stop_point), default=None
        )
        return shapes.message(found.message, slowest[1] if slowest else None, [shapes.receiver(*one) for one in stands])

    async def receipt(self, message_id: str) -> Message | None:
        """Return the AppRec that decided a delivery, by our id of it."""
        found = await self._doors.store.find(message_id, hers=None)
        return next((one.message for one in found if one.message.id == message_id), None)

    async def _show_received(self, message: Message) -> shapes.Json:
        received = await self._doors.store.inbound(sender_her=message.sender_her, msg_id=message.msg_id)
        if received is None or received[1] is None:
            return shapes.message(message, None, [])
        item = received[1]
        standing = stand_item(
            item,
            message,
            name=self._name(message.sender_her),
            now=self._doors.clock.now(),
            cancellation=self._doors.processes().cancels(message.process, message.function),
        )
        return shapes.message(message, standing, [shapes.received_by(item, standing)])

    async def _stand(self, delivery: Delivery, message: Message) -> Standing:
        work = await self._doors.store.work(delivery.id)
        return stand(
            delivery,
            message,
            name=self._name(delivery.receiver_her),
            now=self._doors.clock.now(),
            envelope=work.envelope if work else None,
        )

    def _name(self, her: int) -> str:
        try:
            party = self._doors.addresses.current().party(her)
        except Unaddressable:
            party = None
        return party.name if party else ""

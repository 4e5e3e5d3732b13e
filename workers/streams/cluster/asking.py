"""Ask the node to which a slot is moving."""

from typing import Any

from redis.asyncio.cluster import ClusterNode


class AskingNode:
    """A node that receives ASKING and the command after it on one connection.

    redis-py sends the two one after the other, each on whatever connection is free; the permission
    holds only on its own.

    Args:
        node: the node; all other attributes are its own.
    """

    def __init__(self, node: ClusterNode) -> None:
        self._node = node

    def __getattr__(self, name: str) -> Any:
        return getattr(self._node, name)

    async def execute_command(
        self,
        *args: Any,
        asking: bool = False,  # noqa: ARG002  # redis-py's argument; it is always asked here
        **kwargs: Any,
    ) -> Any:
        """Run a command, with ASKING before it.

        Args:
            args: the command.
            asking: unused: it is always asked for.
            kwargs: as redis-py's node takes them.
        """
        if args == ("ASKING",):
            return True
        node, connection = self._node, self._node.acquire_connection()
        try:
            await node.disconnect_if_needed(connection)
            await connection.send_packed_command(connection.pack_commands([("ASKING",), args]))
            try:
                await node.parse_response(connection, "ASKING")
            except BaseException:
                # The answer to the command is still to come.
                await connection.disconnect(nowait=True)
                raise
            return await node.parse_response(connection, args[0], **kwargs)
        finally:
            node.release(connection)

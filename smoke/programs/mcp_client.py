"""A client on the official SDK for Python: talks to a server and closes the connection.

usage: PYTHONPATH=SDK mcp_client.py COMMAND [ARG]...
"""
import asyncio
import os
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client


async def main():
    server = StdioServerParameters(command=sys.argv[1], args=sys.argv[2:], env=dict(os.environ))
    async with stdio_client(server) as (read, write):
        async with ClientSession(read, write) as session:
            await session.initialize()
            print(f"{len((await session.list_tools()).tools)} tools")


asyncio.run(main())

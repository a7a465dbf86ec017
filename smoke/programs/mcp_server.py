"""An MCP server that has something to do once its input has ended.

usage: mcp_server.py MARKER

It answers what a client asks at first. At the end of its input it cleans up for 1.6 s, which is within the time that
the official clients allow, and then writes MARKER.
"""
import json
import sys
import time

for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message or "method" not in message:
        continue
    result = {}
    if message["method"] == "initialize":
        result = {
            "protocolVersion": message["params"]["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "cleans-up", "version": "1"},
        }
    elif message["method"] == "tools/list":
        result = {"tools": []}
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)

time.sleep(1.6)
with open(sys.argv[1], "w") as marker:
    marker.write("cleaned up\n")

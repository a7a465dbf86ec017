// A client on the official SDK for TypeScript: talks to a server and closes the connection.
//
// usage: node mcp_client.mjs SDK COMMAND [ARG]...

const [sdk, command, ...args] = process.argv.slice(2);
const { Client } = await import(`${sdk}/dist/esm/client/index.js`);
const { StdioClientTransport } = await import(`${sdk}/dist/esm/client/stdio.js`);

const client = new Client({ name: "rekindle-smoke", version: "1" });
await client.connect(new StdioClientTransport({ command, args, env: process.env }));
console.log(`${(await client.listTools()).tools.length} tools`);
await client.close();

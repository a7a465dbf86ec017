//! A real MCP server from the npm registry under `rekindle supervise`, and the official client SDKs in front.
//!
//! `.ci/run` fetches server and SDKs, and sets `REKINDLE_MCP_SERVER` and `REKINDLE_MCP_SDKS`.

use rekindle_smoke::proxy::Proxy;
use rekindle_smoke::suite::{MCP_SDKS, MCP_SERVER};
use rekindle_smoke::{Launcher, TestEnv, cli, programs, tests};
use serde_json::{Value, json};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

tests![
    a_real_server_is_talked_to needs McpServer,
    the_python_client_lets_a_server_clean_up needs McpSdks,
    the_typescript_client_lets_a_server_clean_up needs McpSdks,
];

/// Sends a request and returns the answer; other messages of the server are skipped.
fn ask(proxy: &mut Proxy, id: u32, method: &str, params: &Value) -> Value {
    let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
    proxy.say(format!("{request}\n"));
    loop {
        let line = proxy.hear();
        let message: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        if message["id"] == id {
            assert_eq!(message["error"], Value::Null, "{message}");
            return message["result"].clone();
        }
    }
}

fn a_real_server_is_talked_to() {
    let env = TestEnv::new();
    let server = env::var(MCP_SERVER).expect("the test is skipped without");
    let node = programs::find("node", "nodejs");
    let mut proxy = Proxy::start(&env, &[], &[&node, &server, "stdio"]);
    let client = json!({
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": { "name": "rekindle-smoke", "version": "1" },
    });
    let about = ask(&mut proxy, 1, "initialize", &client);
    assert!(about["serverInfo"]["name"].is_string(), "{about}");
    proxy.say("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n");
    let tools = ask(&mut proxy, 2, "tools/list", &json!({}));
    let has_echo =
        tools["tools"].as_array().is_some_and(|tools| tools.iter().any(|tool| tool["name"] == "echo"));
    assert!(has_echo, "{tools}");
    let echo = json!({ "name": "echo", "arguments": { "message": "are you there" } });
    let answer = ask(&mut proxy, 3, "tools/call", &echo);
    let said = answer["content"][0]["text"].as_str().unwrap_or_default();
    assert!(said.contains("are you there"), "{answer}");

    proxy.close_stdin();
    let end = proxy.finish();
    assert_eq!((end.code, end.text().as_str()), (Some(0), ""), "{end:?}");
    env.assert_no_process();
}

fn sdks() -> PathBuf {
    let dir = env::var_os(MCP_SDKS).expect("the test is skipped without");
    fs::canonicalize(dir).expect("the SDKs were fetched")
}

/// U6: a client of an official SDK closes the input, and waits for 2 s before SIGTERM. A server that needs 1.6 s for
/// its end has time enough, with or without `rekindle supervise` in between.
fn lets_a_server_clean_up(client: impl Fn(&TestEnv) -> Command) {
    let env = TestEnv::new();
    let server = env.file("server.py", include_str!("../../../programs/mcp_server.py"));
    let marker = env.path("cleaned-up");
    let mut command = client(&env);
    command.arg(cli::binary()).args(["supervise", "--", &programs::python()]).arg(server).arg(&marker);
    let reply = Launcher::start(command).finish();
    assert_eq!((reply.code, reply.stdout.as_str()), (Some(0), "0 tools\n"), "{reply}");
    let cleaned_up = fs::read_to_string(&marker).ok();
    assert_eq!(cleaned_up.as_deref(), Some("cleaned up\n"), "{reply}");
    env.assert_no_process();
}

fn the_python_client_lets_a_server_clean_up() {
    lets_a_server_clean_up(|env| {
        let client = env.file("client.py", include_str!("../../../programs/mcp_client.py"));
        let mut command = env.command(programs::python());
        command.env("PYTHONPATH", sdks().join("python")).env("PYTHONDONTWRITEBYTECODE", "1").arg(client);
        command
    });
}

fn the_typescript_client_lets_a_server_clean_up() {
    lets_a_server_clean_up(|env| {
        let client = env.file("client.mjs", include_str!("../../../programs/mcp_client.mjs"));
        let mut command = env.command(programs::find("node", "nodejs"));
        command.arg(client).arg(sdks().join(Path::new("node_modules/@modelcontextprotocol/sdk")));
        command
    });
}

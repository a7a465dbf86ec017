//! S9: a real MCP server from the npm registry under `rekindle supervise`.
//!
//! `.ci/run` fetches it and names it in `REKINDLE_MCP_SERVER`.

use rekindle_smoke::proxy::Proxy;
use rekindle_smoke::suite::MCP_SERVER;
use rekindle_smoke::{Scene, programs, trials};
use serde_json::{Value, json};
use std::env;

trials![a_real_server_is_talked_to needs McpServer];

/// Sends a request, and returns what is answered to it; what else the server says is not for us.
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
    let scene = Scene::new();
    let server = env::var(MCP_SERVER).expect("the trial is skipped without");
    let node = programs::find("node", "nodejs");
    let mut proxy = Proxy::start(&scene, &[], &[&node, &server, "stdio"]);
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
    scene.assert_no_process();
}

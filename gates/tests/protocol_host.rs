//! The host's view of a `feed_result`: every cell of DESIGN 8, and every unknown shape.

use proptest::prelude::*;
use rekindle_core::protocol::{FeedResult, WorkerName, host_json};
use rekindle_gates::property;
use serde_json::{Map, Value, json};

/// The name of the session on the worker's side.
fn session() -> WorkerName {
    "9f:3c".parse().expect("it is short and not empty")
}

/// Expects an exact host's view.
#[track_caller]
fn expect(feed_result: &Value, seen: &str) {
    assert_eq!(host_json(&session(), feed_result).to_string(), seen, "for {feed_result}");
}

fn paused(queries: &Value) -> Value {
    json!({ "Paused": { "queries": queries } })
}

fn finished(state: &Value) -> Value {
    json!({ "Finished": { "state": state, "metrics": { "steps": 2 } } })
}

#[test]
fn one_query_is_shown_in_full() {
    expect(
        &paused(
            &json!([{"id": "q-7", "prompt": "Who?", "system": "be brief", "max_tokens": 9, "grounded": true, "underspecified": true}]),
        ),
        r#"{"status":"needs_response","session_id":"9f:3c","query_id":"q-7","prompt":"Who?","system":"be brief","max_tokens":9,"grounded":true,"underspecified":true}"#,
    );
}

#[test]
fn what_a_query_leaves_out_has_its_default() {
    let seen = r#"{"status":"needs_response","session_id":"9f:3c","query_id":"q-0","prompt":"Who?","system":null,"max_tokens":1024}"#;
    expect(&paused(&json!([{"prompt": "Who?"}])), seen);
    let nulls = json!([{"id": null, "prompt": "Who?", "system": null, "max_tokens": null, "grounded": null, "underspecified": null}]);
    expect(&paused(&nulls), seen);
    // A flag is shown only if set, and unknown fields are not passed on.
    expect(
        &paused(&json!([{"prompt": "Who?", "grounded": false, "underspecified": false, "later": 1}])),
        seen,
    );
}

#[test]
fn several_queries_are_a_list() {
    expect(
        &paused(&json!([{"id": "a", "prompt": "1"}, {"prompt": "2", "grounded": true}])),
        r#"{"status":"needs_response","session_id":"9f:3c","queries":[{"id":"a","prompt":"1","system":null,"max_tokens":1024},{"id":"q-1","prompt":"2","system":null,"max_tokens":1024,"grounded":true}]}"#,
    );
}

#[test]
fn an_end_is_shown_as_what_it_is() {
    expect(
        &finished(&json!({"Completed": {"result": {"a": [1]}}})),
        r#"{"status":"completed","result":{"a":[1]},"stats":{"steps":2}}"#,
    );
    expect(
        &finished(&json!({"Completed": {}})),
        r#"{"status":"completed","result":null,"stats":{"steps":2}}"#,
    );
    expect(&finished(&json!({"Failed": {"error": "no"}})), r#"{"status":"error","error":"no"}"#);
    for silent in [json!({"Failed": {"error": null}}), json!({"Failed": {}})] {
        expect(&finished(&silent), r#"{"status":"error","error":"execution failed"}"#);
    }
    for cancelled in [json!("Cancelled"), json!({"Cancelled": null})] {
        expect(&finished(&cancelled), r#"{"status":"cancelled","stats":{"steps":2}}"#);
    }
    expect(&json!({"Finished": {"state": "Cancelled"}}), r#"{"status":"cancelled","stats":null}"#);
}

#[test]
fn an_accepted_answer_says_how_many_are_missing() {
    expect(&json!({"Accepted": {"remaining": 2}}), r#"{"status":"accepted","remaining":2}"#);
    expect(
        &json!({"later": 1, "Accepted": {"remaining": 0, "x": 1}}),
        r#"{"status":"accepted","remaining":0}"#,
    );
}

#[test]
fn what_is_not_recognised_is_an_error_that_shows_it() {
    let shapes = [
        json!(null),
        json!(7),
        json!("Paused"),
        json!("Cancelled"),
        json!([]),
        json!({}),
        json!({"Sleeping": {}}),
        json!({"Paused": {"queries": []}}),
        json!({"Paused": {"queries": [{"id": "q-0"}]}}),
        json!({"Paused": {"queries": [{"prompt": "x", "max_tokens": -1}]}}),
        json!({"Paused": {"queries": [{"prompt": "x", "grounded": "yes"}]}}),
        json!({"Paused": {"queries": {}}}),
        json!({"Paused": [[]]}),
        json!({"Paused": {"queries": [{"prompt": "x"}]}, "Accepted": {"remaining": 1}}),
        json!({"Accepted": {}}),
        json!({"Accepted": {"remaining": -1}}),
        json!({"Accepted": 1}),
        json!({"Finished": {}}),
        json!({"Finished": {"state": "Completed"}}),
        json!({"Finished": {"state": {"Completed": 1}}}),
        json!({"Finished": {"state": {"Completed": {}, "Failed": {}}}}),
        json!({"Finished": {"state": {"Failed": {"error": {"code": 1}}}}}),
        json!({"Finished": {"state": "Sleeping"}}),
    ];
    for shape in shapes {
        let seen = json!({"status": "error", "error": format!("unrecognised feed_result shape: {shape}")});
        assert_eq!(host_json(&session(), &shape), seen);
    }
}

/// An unknown shape of any size is named by its beginning, safe for a terminal.
#[test]
fn an_unrecognised_shape_is_named_in_short() {
    let error = host_json(&session(), &json!({"\u{9b}2J": "x".repeat(1 << 20)}))["error"].to_string();
    assert!(error.len() < 300 && !error.contains('\u{9b}'), "{error}");
}

/// T32: any JSON has a view and never causes a panic; read values are shown unchanged.
#[test]
fn any_json_is_shown_as_one_of_the_known_states() {
    property!("protocol_host", any_json_is_shown_as_one_of_the_known_states).check(&any_shape(), |shape| {
        let seen = host_json(&session(), &shape);
        let status = seen["status"].as_str().unwrap_or_default();
        prop_assert!(["needs_response", "completed", "error", "cancelled", "accepted"].contains(&status));
        if let Ok(result) = FeedResult::read(&shape) {
            let written = serde_json::to_value(&result).unwrap();
            prop_assert_eq!(FeedResult::read(&written), Ok(result));
        } else {
            prop_assert_eq!(status, "error");
        }
        Ok(())
    });
}

/// JSON near the known shapes, and JSON far from them.
fn any_shape() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2_i64..3).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop_oneof!["Cancelled|Completed", any::<String>()].prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 32, 4, |inner| {
        let key = prop_oneof![
            4 => "Paused|Finished|Accepted|Completed|Failed|Cancelled|queries|state|prompt|id|remaining|error|result",
            1 => any::<String>()
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

//! The messages of the pool protocol: exact lines, tolerated deviations, and refusals (T32, S15).

use proptest::prelude::*;
use rekindle_core::protocol::{
    Answer, Continue, EXCERPT_CHARS_MAX, Excerpt, Feed, FeedResult, Finish, Greeting, Handshake,
    LINE_LEN_MAX, Malformed, Query, Refusal, Request, Response, Run, Speaking, StatusReport, StatusRequest,
    VERSION_LEN_MAX, Version, VersionPolicy, WORKER_NAME_LEN_MAX, WorkerName, read_json,
};
use rekindle_gates::builders::session_named;
use rekindle_gates::property;
use serde_json::{Map, Value, json};

fn version(text: &str) -> Version {
    text.parse().expect("it is short and not empty")
}

fn name(text: &str) -> WorkerName {
    text.parse().expect("it is short and not empty")
}

/// Every request, with the exact line.
fn requests() -> Vec<(Request, &'static str)> {
    vec![
        (Request::Handshake(Handshake { version: version("1") }), r#"{"op":"handshake","version":"1"}"#),
        (
            Request::Run(Run {
                code: "done(1)".into(),
                ctx: json!({"key": "v"}),
                lib_paths: vec!["/lib".into()],
            }),
            r#"{"op":"run","code":"done(1)","ctx":{"key":"v"},"lib_paths":["/lib"]}"#,
        ),
        (Request::Run(Run::default()), r#"{"op":"run","code":"","ctx":null,"lib_paths":[]}"#),
        (
            Request::Continue(Continue {
                sid: name("9f:3c"),
                response: "Ada\n".into(),
                query_id: Some("q-0".into()),
                usage: json!({"tokens": 3}),
            }),
            r#"{"op":"continue","sid":"9f:3c","response":"Ada\n","query_id":"q-0","usage":{"tokens":3}}"#,
        ),
        (
            Request::Continue(Continue {
                sid: name("s"),
                response: String::new(),
                query_id: None,
                usage: Value::Null,
            }),
            r#"{"op":"continue","sid":"s","response":"","query_id":null,"usage":null}"#,
        ),
        (
            Request::Status(StatusRequest { include_history: true }),
            r#"{"op":"status","include_history":true}"#,
        ),
        (Request::Shutdown, r#"{"op":"shutdown"}"#),
    ]
}

/// Every response, with the exact line.
fn responses() -> Vec<(Response, &'static str)> {
    let answer = Response::Answer;
    let paused = FeedResult::Paused { queries: vec![Query::new("q-0", "Who?")] };
    vec![
        (
            answer(Answer::Handshake(Greeting::new(version("1")))),
            r#"{"ok":true,"data":{"kind":"handshake","version":"1"}}"#,
        ),
        (
            answer(Answer::Feed(Feed::new(name("s"), &paused))),
            r#"{"ok":true,"data":{"kind":"feed","session_id":"s","feed_result":{"Paused":{"queries":[{"id":"q-0","prompt":"Who?","system":null,"max_tokens":1024}]}}}}"#,
        ),
        (
            answer(Answer::Status(StatusReport {
                has_session: true,
                session_id: Some(name("s")),
                conversation_history: None,
            })),
            r#"{"ok":true,"data":{"kind":"status","has_session":true,"session_id":"s"}}"#,
        ),
        (
            answer(Answer::Status(StatusReport {
                conversation_history: Some(json!([])),
                ..StatusReport::default()
            })),
            r#"{"ok":true,"data":{"kind":"status","has_session":false,"session_id":null,"conversation_history":[]}}"#,
        ),
        (answer(Answer::Shutdown), r#"{"ok":true,"data":{"kind":"shutdown"}}"#),
        (Response::Refused(Refusal::new("no")), r#"{"ok":false,"error":"no"}"#),
    ]
}

#[test]
fn the_lines_are_the_documented_ones_and_are_read_back() {
    for (request, line) in requests() {
        assert_eq!(request.to_line(), line);
        assert!(line.starts_with(&format!(r#"{{"op":"{}""#, request.op())), "{line}");
        assert_eq!(Request::read(line.as_bytes()), Ok(request));
    }
    for (response, line) in responses() {
        assert_eq!(response.to_line(), line);
        if let Response::Answer(answer) = &response {
            assert!(line.contains(&format!(r#"{{"kind":"{}""#, answer.kind())), "{line}");
        }
        assert_eq!(Response::read(line.as_bytes()), Ok(response));
    }
}

#[test]
fn every_feed_result_is_written_as_documented() {
    let finished = |state| FeedResult::Finished { state, metrics: Value::Null };
    let loud = Query {
        grounded: true,
        underspecified: true,
        system: Some("be brief".into()),
        ..Query::new("a", "b")
    };
    let written = [
        (
            FeedResult::Paused { queries: vec![loud] },
            r#"{"Paused":{"queries":[{"id":"a","prompt":"b","system":"be brief","max_tokens":1024,"grounded":true,"underspecified":true}]}}"#,
        ),
        (
            finished(Finish::Completed { result: json!([1]) }),
            r#"{"Finished":{"state":{"Completed":{"result":[1]}},"metrics":null}}"#,
        ),
        (
            finished(Finish::Failed { error: Some("no".into()) }),
            r#"{"Finished":{"state":{"Failed":{"error":"no"}},"metrics":null}}"#,
        ),
        (finished(Finish::Cancelled), r#"{"Finished":{"state":"Cancelled","metrics":null}}"#),
        (FeedResult::Accepted { remaining: 2 }, r#"{"Accepted":{"remaining":2}}"#),
    ];
    for (result, json) in written {
        assert_eq!(serde_json::to_string(&result).unwrap(), json);
        assert_eq!(FeedResult::read(&serde_json::from_str(json).unwrap()), Ok(result));
    }
}

#[test]
fn what_is_optional_may_be_null_or_missing_and_what_is_unknown_is_ignored() {
    let requests = [
        (r#"{"op":"run","code":"x"}"#, Request::Run(Run { code: "x".into(), ..Run::default() })),
        (
            r#"{"later":1,"op":"run","code":"x","ctx":null,"lib_paths":null,"more":{}}"#,
            Request::Run(Run { code: "x".into(), ..Run::default() }),
        ),
        (r#"{"op":"status"}"#, Request::Status(StatusRequest::default())),
        (r#"{"op":"status","include_history":null}"#, Request::Status(StatusRequest::default())),
        (
            r#"{"op":"continue","sid":"s","response":"r"}"#,
            Request::Continue(Continue {
                sid: name("s"),
                response: "r".into(),
                query_id: None,
                usage: Value::Null,
            }),
        ),
        (r#"{"op":"shutdown","now":true}"#, Request::Shutdown),
    ];
    for (line, request) in requests {
        assert_eq!(Request::read(line.as_bytes()), Ok(request), "{line}");
    }
    let nameless = Feed { session_id: None, feed_result: json!(1) };
    let responses = [
        (
            r#"{"ok":true,"data":{"kind":"feed","feed_result":1},"error":null}"#,
            Answer::Feed(nameless.clone()),
        ),
        (r#"{"ok":true,"data":{"kind":"feed","session_id":null,"feed_result":1}}"#, Answer::Feed(nameless)),
        (
            r#"{"ok":true,"data":{"kind":"status","has_session":false}}"#,
            Answer::Status(StatusReport::default()),
        ),
        (r#"{"ok":true,"data":{"x":1,"kind":"shutdown"},"y":2}"#, Answer::Shutdown),
    ];
    for (line, answer) in responses {
        assert_eq!(Response::read(line.as_bytes()), Ok(Response::Answer(answer)), "{line}");
    }
}

/// A worker may send more fields than the version.
#[test]
fn what_a_greeting_says_besides_is_kept() {
    let line = br#"{"ok":true,"data":{"kind":"handshake","version":"2","build":"abc","pid":7}}"#;
    let Ok(Response::Answer(Answer::Handshake(greeting))) = Response::read(line) else {
        panic!("another message")
    };
    assert_eq!(greeting.version, version("2"));
    assert_eq!(Value::Object(greeting.more), json!({"build": "abc", "pid": 7}));
}

/// A refusal stays a refusal, even if the reason is missing or not a text.
#[test]
fn a_refusal_is_one_whatever_its_reason_looks_like() {
    let reasons = [
        (r#"{"ok":false}"#, "it gave no reason"),
        (r#"{"ok":false,"error":null}"#, "it gave no reason"),
        (r#"{"ok":false,"error":{"code":3}}"#, r#"{"code":3}"#),
        (r#"{"ok":false,"error":"no","data":{"kind":"shutdown"}}"#, "no"),
    ];
    for (line, reason) in reasons {
        assert_eq!(Response::read(line.as_bytes()), Ok(Response::Refused(Refusal::new(reason))), "{line}");
    }
}

/// X7: a worker's text cannot steer a terminal; the caller still has the exact words.
#[test]
fn a_refusal_is_shown_escaped_and_bounded() {
    let refusal = Refusal::new("a\u{1b}[2J\u{7}\u{202e}\r\n\"b\"");
    assert_eq!(refusal.to_string(), "a\\u{1b}[2J\\u{7}\\u{202e}\\r\\n\"b\"");
    assert_eq!(refusal.as_str(), "a\u{1b}[2J\u{7}\u{202e}\r\n\"b\"");
    assert!(Refusal::new("x".repeat(1 << 20)).to_string().len() < 5_000);
}

#[test]
fn what_is_no_message_is_said_to_be_none() {
    type Is = fn(&Malformed) -> bool;
    let not_utf8: Is = |it| matches!(it, Malformed::NotUtf8 { .. });
    let not_json: Is = |it| matches!(it, Malformed::NotJson { .. });
    let not_protocol: Is = |it| matches!(it, Malformed::NotProtocol { .. });
    let deep = [&b"{\"ok\":true,\"data\":"[..], &b"[".repeat(200), &b"]".repeat(200), b"}"].concat();
    let responses: [(&[u8], Is); 20] = [
        (b"", not_json),
        (b"\0", not_json),
        (b"{\"ok\":true", not_json),
        (b"{\"ok\":true}{\"ok\":true}", not_json),
        (b"{\"ok\":true,\"data\":{\"kind\":\"shutdown\"}}\0", not_json),
        (b"{\"ok\":true,\"data\":{\"kind\":\"shut\0down\"}}", not_json),
        (b"{\"ok\":true,\"ok\":false}", not_json),
        (b"{\"ok\":true,\"data\":{\"kind\":\"shutdown\",\"kind\":\"shutdown\"}}", not_json),
        (b"{\"ok\":true,\"data\":{\"kind\":\"feed\",\"feed_result\":{\"a\":1,\"a\":1}}}", not_json),
        (&deep, not_json),
        (b"{\"ok\":\"\xff\"}", not_utf8),
        (b"[]", not_protocol),
        (b"[true,{\"kind\":\"shutdown\"},null]", not_protocol),
        (b"{}", not_protocol),
        (b"{\"ok\":1}", not_protocol),
        (b"{\"ok\":true}", not_protocol),
        (b"{\"ok\":true,\"data\":{\"kind\":\"else\"}}", not_protocol),
        (b"{\"ok\":true,\"data\":{\"kind\":\"handshake\",\"version\":1}}", not_protocol),
        (b"{\"ok\":true,\"data\":{\"kind\":\"feed\"}}", not_protocol),
        (b"{\"ok\":true,\"data\":{\"kind\":\"feed\",\"session_id\":\"\",\"feed_result\":1}}", not_protocol),
    ];
    for (line, is) in responses {
        let refused = Response::read(line).unwrap_err();
        assert!(is(&refused), "{refused} for {}", String::from_utf8_lossy(line));
    }
    for line in [&b"{\"op\":\"dance\"}"[..], b"{\"op\":\"run\"}", b"[\"shutdown\"]", b"\"shutdown\"", b"{}"] {
        let refused = Request::read(line).unwrap_err();
        assert!(not_protocol(&refused), "{refused} for {}", String::from_utf8_lossy(line));
    }
}

/// Keys must differ within one object, not across objects.
#[test]
fn only_a_key_of_the_same_object_is_there_twice() {
    assert_eq!(read_json(br#"{"a":{"a":[{"a":1},{"a":2}]}}"#), Ok(json!({"a": {"a": [{"a": 1}, {"a": 2}]}})));
    let refused = read_json(br#"{"b":{"a":1,"\u0061":2}}"#).unwrap_err().to_string();
    assert!(refused.contains("key `a` is there twice"), "{refused}");
}

/// A refused line of any size leaves a short excerpt, safe for a terminal.
#[test]
fn what_is_kept_of_a_refused_line_is_short_and_harmless() {
    let hostile = format!("{{\"ok\":true,\"data\":{{\"kind\":\"\\u001b{}\"}}}}", "\u{202e}x".repeat(1 << 16));
    let shown = Response::read(hostile.as_bytes()).unwrap_err().to_string();
    assert!(shown.len() < 3_000 && !shown.contains(['\u{1b}', '\u{202e}']), "{shown}");
    let bytes = [b"\x1b\xff".repeat(EXCERPT_CHARS_MAX), b"\n".to_vec()].concat();
    assert!(!Excerpt::of_bytes(&bytes).to_string().contains(['\u{1b}', '\n']));
}

/// An excerpt of bytes reads only as many bytes as the shown characters may have, and cuts no shown character.
#[test]
fn an_excerpt_of_bytes_is_the_excerpt_of_their_text() {
    for c in ["x", "\u{e9}", "\u{4e2d}", "\u{1f980}"] {
        for len in [0, 1, EXCERPT_CHARS_MAX - 1, EXCERPT_CHARS_MAX, EXCERPT_CHARS_MAX + 1, 1000] {
            let text = c.repeat(len);
            assert_eq!(Excerpt::of_bytes(text.as_bytes()), Excerpt::of(&text), "{len} times {c}");
        }
    }
}

/// The command's help and the documentation of both sides name the limit.
#[test]
fn a_line_may_have_16_mib() {
    assert_eq!(LINE_LEN_MAX, 16 * 1024 * 1024);
}

#[test]
fn a_workers_name_is_opaque_and_bounded() {
    let longest = "\u{e9}".repeat(WORKER_NAME_LEN_MAX / 2);
    for text in ["a", "../x", "9f:3c", "a\0b", "\u{1b}[2J", &longest] {
        assert_eq!(name(text).as_str(), text);
        assert_eq!(serde_json::to_value(name(text)).unwrap(), json!(text));
        assert_eq!(serde_json::from_value::<WorkerName>(json!(text)).unwrap(), name(text));
    }
    for text in [String::new(), format!("{longest}x")] {
        assert!(
            text.parse::<WorkerName>().is_err() && serde_json::from_value::<WorkerName>(json!(text)).is_err()
        );
    }
    assert_eq!(name("a\u{1b}[2J").to_string(), "a\\u{1b}[2J");
    assert_eq!(WorkerName::from(&session_named("cache")), name("cache"));
}

/// S14: both versions are named, and nothing is read into either.
#[test]
fn versions_are_compared_as_the_policy_says() {
    let two = Speaking::exactly(version("2"));
    assert_eq!(two.judge(&version("2")), Ok(()));
    for other in ["1", "2.0", " 2", "02"] {
        let mismatch = two.judge(&version(other)).unwrap_err();
        assert_eq!((mismatch.ours.as_str(), mismatch.theirs.as_str()), ("2", other));
        assert_eq!(mismatch.to_string(), format!("the worker speaks version `{other}`, we speak `2`"));
    }
    assert_eq!(version("1\u{1b}[2J").to_string(), "1\\u{1b}[2J", "X7: no version can steer a terminal");
    let both = two.clone().policy(VersionPolicy::AlsoOneOf(vec![version("1")]));
    assert!(both.judge(&version("1")).is_ok() && both.judge(&version("2")).is_ok());
    assert!(both.judge(&version("3")).is_err());
    assert!(two.policy(VersionPolicy::Any).judge(&version("anything")).is_ok());
    for wrong in [String::new(), "v".repeat(VERSION_LEN_MAX + 1)] {
        assert!(
            wrong.parse::<Version>().is_err() && serde_json::from_value::<Version>(json!(wrong)).is_err()
        );
    }
}

/// T32: any bytes are a message or a refusal, for both sides, and never a panic.
#[test]
fn any_bytes_are_read_without_a_panic() {
    property!("protocol", any_bytes_are_read_without_a_panic).check(&any_line(), |line| {
        if let Err(refused) = Request::read(&line) {
            prop_assert!(refused.to_string().len() < 5_000);
        }
        match Response::read(&line) {
            Err(refused) => prop_assert!(refused.to_string().len() < 5_000),
            Ok(response) => prop_assert_eq!(Response::read(response.to_line().as_bytes()), Ok(response)),
        }
        Ok(())
    });
}

/// Every request survives the wire as one line, with any text and any JSON inside.
#[test]
fn every_request_survives_the_wire() {
    property!("protocol", every_request_survives_the_wire).check(&any_request(), |request| {
        let line = request.to_line();
        prop_assert!(!line.contains('\n'), "{}", line);
        prop_assert_eq!(Request::read(line.as_bytes()), Ok(request));
        Ok(())
    });
}

/// Every response survives the wire as one line, with any text and any JSON inside.
#[test]
fn every_response_survives_the_wire() {
    property!("protocol", every_response_survives_the_wire).check(&any_response(), |response| {
        let line = response.to_line();
        prop_assert!(!line.contains('\n'), "{}", line);
        prop_assert_eq!(Response::read(line.as_bytes()), Ok(response));
        Ok(())
    });
}

/// Random bytes, and lines that are almost messages.
fn any_line() -> impl Strategy<Value = Vec<u8>> {
    let near = || any_response().prop_map(|response| response.to_line().into_bytes());
    let changed = (near(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut line, at, byte)| {
        let at = at.index(line.len());
        line[at] = byte;
        line
    });
    let enveloped = any_json().prop_map(|data| json!({"ok": true, "data": data}).to_string().into_bytes());
    prop_oneof![prop::collection::vec(any::<u8>(), 0..200), near(), changed, enveloped]
}

fn any_request() -> impl Strategy<Value = Request> {
    prop_oneof![
        any_version().prop_map(|version| Request::Handshake(Handshake { version })),
        (any::<String>(), any_json(), prop::collection::vec(any::<String>(), 0..3))
            .prop_map(|(code, ctx, lib_paths)| Request::Run(Run { code, ctx, lib_paths })),
        (any_name(), any::<String>(), any::<Option<String>>(), any_json()).prop_map(
            |(sid, response, query_id, usage)| Request::Continue(Continue { sid, response, query_id, usage })
        ),
        any::<bool>().prop_map(|include_history| Request::Status(StatusRequest { include_history })),
        Just(Request::Shutdown),
    ]
}

fn any_response() -> impl Strategy<Value = Response> {
    let history = prop::option::of(any_json().prop_filter("null is none", |json| !json.is_null()));
    prop_oneof![
        any_version().prop_map(|version| Response::Answer(Answer::Handshake(Greeting::new(version)))),
        (prop::option::of(any_name()), any_json()).prop_map(|(session_id, feed_result)| Response::Answer(
            Answer::Feed(Feed { session_id, feed_result })
        )),
        (any::<bool>(), prop::option::of(any_name()), history).prop_map(
            |(has_session, session_id, history)| {
                let conversation_history = history;
                Response::Answer(Answer::Status(StatusReport {
                    has_session,
                    session_id,
                    conversation_history,
                }))
            }
        ),
        Just(Response::Answer(Answer::Shutdown)),
        any::<String>().prop_map(|error| Response::Refused(Refusal::new(error))),
    ]
}

fn any_version() -> impl Strategy<Value = Version> {
    "\\PC{1,20}".prop_map(|text| version(&text))
}

fn any_name() -> impl Strategy<Value = WorkerName> {
    prop_oneof!["\\PC{1,20}", "[\\x00-\\x7f]{1,20}"].prop_map(|text| name(&text))
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let key = prop_oneof!["kind|ok|data|version|session_id|feed_result|has_session", any::<String>()];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

//! Messages of the document, hostile ones, and the law that what is written can be read.

use std::sync::Arc;

use pilothouse_core::id::{Label, OrchestratorId, TaskId};
use pilothouse_core::orchestrator::{
    Broadcast, Callback, Condition, ConnectionStatus, Delegation, Demands, Grant, Heartbeat, Offer, Priority,
    Progress, Refusal, RefusalKind, Reply, Task,
};
use pilothouse_core::time::WallMs;
use proptest::prelude::*;

use super::super::port::{HealthInfo, Letter};
use super::*;

fn orchestrator(id: &str) -> OrchestratorId {
    OrchestratorId::parse(id).unwrap()
}

fn written(message: Message, nested: bool) -> String {
    let health = HealthInfo {
        status: ConnectionStatus::Active,
        uptime_ms: 1_500,
        sent: 2,
        received: 3,
        errors: 0,
        last_heartbeat: Some(WallMs(1_700_000_000_000)),
        queued: 0,
    };
    let (from, to) = (orchestrator("orch-1"), orchestrator("orch-2"));
    encode(&Letter { message, from, to, at: WallMs(1_700_000_000_123), health }, nested)
}

/// The document's example of a delegation, as `JSON.stringify` writes it.
const DELEGATION: &str = r#"{"type":"delegation","payload":{"fromOrchestratorId":"local","toOrchestratorId":"remote-orch-1",
"task":{"id":"task-456","type":"code","description":"Implement login feature","priority":"high","status":"pending",
"createdAt":"2026-01-01T00:00:00.000Z","updatedAt":"2026-01-01T00:00:00.000Z"},"priority":"high"},
"from":"local","to":"remote-orch-1","timestamp":"2026-01-01T00:00:00.000Z"}"#;

#[test]
fn the_documents_messages_are_read() {
    let received = decode(DELEGATION).unwrap();
    let Message::Delegation(delegation) = received.message else { panic!() };
    assert_eq!((delegation.task.id.as_str(), delegation.priority), ("task-456", Priority::High));
    let callback = r#"{"type":"callback","payload":{"taskId":"task-123","status":"completed","result":{"success":true}},
        "from":"orch-1","to":"orch-2","timestamp":"2026-01-01T00:00:00.000Z","correlationId":"task-123"}"#;
    let Message::Callback(callback) = decode(callback).unwrap().message else { panic!() };
    assert_eq!(callback.progress, Progress::Completed(Some(r#"{"success":true}"#.into())));
    let progress = r#"{"type":"callback","payload":{"taskId":"t","status":"progress","progress":50},
        "from":"orch-1","to":"orch-2","timestamp":"2026-01-01T00:00:00.000Z"}"#;
    let Message::Callback(callback) = decode(progress).unwrap().message else { panic!() };
    assert_eq!(callback.progress, Progress::Running(Some(50.0)));
}

#[test]
fn a_message_is_written_with_the_documents_fields() {
    let reply = Reply {
        task: TaskId::parse("task-1").unwrap(),
        answer: Ok(Grant { estimated_completion: Some(WallMs(1_700_000_060_000)), sessions: 1, tokens: 500 }),
    };
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&written(Message::Reply(reply), false)).unwrap(),
        serde_json::json!({
            "type": "callback", "from": "orch-1", "to": "orch-2", "timestamp": "2023-11-14T22:13:20.123Z",
            "correlationId": "task-1",
            "payload": {
                "taskId": "task-1", "accepted": true, "estimatedCompletion": "2023-11-14T22:14:20.000Z",
                "assignedResources": { "sessions": 1, "tokens": 500 },
            },
        })
    );
}

#[test]
fn what_is_wrong_is_named_by_code() {
    let with = |field: &str, from: &str, to: &str| {
        let text = DELEGATION.replace(from, to);
        assert_ne!(text, DELEGATION, "{field}");
        text
    };
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let payload = |payload: &str| {
        format!(
            r#"{{"type":"callback","payload":{payload},"from":"a","to":"b","timestamp":"2026-01-01T00:00:00Z"}}"#
        )
    };
    for (text, code) in [
        (String::new(), "malformed"),
        ("null".to_owned(), "malformed"),
        ("[]".to_owned(), "malformed"),
        ("{\"type\":".to_owned(), "malformed"),
        (r#"{"type":"heartbeat"}"#.to_owned(), "malformed"),
        (nested(NESTING_MAX + 1), "too-deep"),
        (nested(100_000), "too-deep"),
        (payload(&format!("{:?}", nested(NESTING_MAX + 1))), "too-deep"),
        ("x".repeat(MESSAGE_BYTES_MAX + 1), "too-large"),
        (with("type", r#""type":"delegation""#, r#""type":"delegate""#), "unknown-type"),
        (with("type", r#""type":"delegation""#, r#""type":7"#), "malformed"),
        (with("twice", r#""from":"local""#, r#""from":"local","from":"other""#), "malformed"),
        (with("from", r#""from":"local""#, r#""from":"a b""#), "bad-field"),
        (with("time", r#""timestamp":"2026"#, r#""timestamp":"yesterday 2026"#), "bad-field"),
        (with("time", r#""timestamp":"2026"#, r#""timestamp":"1926"#), "bad-field"),
        (with("priority", r#""priority":"high"}"#, r#""priority":"urgent"}"#), "bad-field"),
        (with("priority", r#""priority":"high"}"#, r#""priority":3}"#), "bad-payload"),
        (with("id", "task-456", ""), "bad-field"),
        (with("timeout", r#""priority":"high"}"#, r#""priority":"high","timeout":-1}"#), "bad-payload"),
        (with("timeout", r#""priority":"high"}"#, r#""priority":"high","timeout":NaN}"#), "malformed"),
        (
            with(
                "demands",
                r#""priority":"high"}"#,
                r#""priority":"high","requiredCapabilities":{"memoryTiers":[]}}"#,
            ),
            "bad-field",
        ),
        (payload("{}"), "bad-payload"),
        (payload(r#"{"taskId":"t","status":"done"}"#), "bad-payload"),
        (payload(r#"{"taskId":"t","status":"progress","progress":101}"#), "bad-field"),
        (payload(r#"{"taskId":"t","status":"progress","progress":1e999}"#), "malformed"),
        (payload(r#""no json""#), "bad-payload"),
    ] {
        let (error, _) = decode(&text).expect_err(&text);
        let shown: String = text.chars().take(200).collect();
        assert_eq!(error.code(), code, "{shown}: {error}");
    }
}

#[test]
fn an_error_keeps_the_correlation_of_its_message() {
    let text = r#"{"type":"x","payload":{},"from":"a","to":"b","timestamp":"2026-01-01T00:00:00Z","correlationId":"c-7"}"#;
    let (error, about) = decode(text).unwrap_err();
    assert_eq!((error.code(), about.as_deref()), ("unknown-type", Some("c-7")));
}

#[test]
fn every_way_to_demand_a_capability_is_understood() {
    for (required, wanted) in [
        (r#"["testing","gpu"]"#, vec!["gpu", "testing"]),
        (
            r#"{"specializations":["testing"],"supportedTaskTypes":["code"]}"#,
            vec!["code-generation", "testing"],
        ),
        ("{}", vec![]),
    ] {
        let text = DELEGATION.replace(
            r#""priority":"high"}"#,
            &format!(r#""priority":"high","requiredCapabilities":{required}}}"#),
        );
        let Message::Delegation(delegation) = decode(&text).unwrap().message else { panic!() };
        let names: Vec<&str> = delegation.demands.capabilities.iter().map(Label::as_str).collect();
        assert_eq!(names, wanted);
    }
}

/// The document's delegation with a description, open fields of the task, and a context.
fn loaded(description: &str, other: &str, context: &str) -> String {
    let json = |text: &str| serde_json::Value::from(text).to_string();
    let task = format!(r#""description":{},"note":{},"status""#, json(description), json(other));
    let text = DELEGATION
        .replace(r#""description":"Implement login feature","priority":"high","status""#, &{
            format!(r#""priority":"high",{task}"#)
        });
    text.replace(
        r#""priority":"high"}"#,
        &format!(r#""priority":"high","context":{{"pad":{}}}}}"#, json(context)),
    )
}

#[test]
fn at_its_bounds_a_task_can_still_be_passed_on_and_beyond_them_it_is_refused() {
    // Characters that take most room when they are escaped, and once more when their escape is.
    let (description, quotes) = ("\u{1}".repeat(TEXT_BYTES_MAX), "\"".repeat(16_370));
    let received = decode(&loaded(&description, &quotes, &quotes)).unwrap();
    assert!(written(received.message.clone(), true).len() <= MESSAGE_BYTES_MAX);
    assert_eq!(decode(&written(received.message.clone(), true)).unwrap().message, received.message);
    let too_long = "x".repeat(TEXT_BYTES_MAX + 1);
    for (text, field) in [
        (loaded(&too_long, "", ""), "task.description"),
        (loaded("", &"x".repeat(DATA_BYTES_MAX), ""), "task"),
        (loaded("", &quotes, &quotes.repeat(2)), "context"),
    ] {
        let (error, _) = decode(&text).unwrap_err();
        assert!(
            matches!(error, DecodeError::Field { field: named, .. } if named == field),
            "{field}: {error}"
        );
    }
}

fn word() -> impl Strategy<Value = String> {
    "[a-z0-9._:-]{1,20}"
}

fn time() -> impl Strategy<Value = WallMs> {
    (0_u64..4_000_000_000_000).prop_map(WallMs)
}

fn json_text() -> impl Strategy<Value = Arc<str>> {
    prop_oneof![
        Just("null".into()),
        any::<i64>().prop_map(|number| number.to_string().into()),
        ".{0,30}".prop_map(|text| serde_json::Value::String(text).to_string().into()),
        word().prop_map(|word| serde_json::json!({ "k": [word, true] }).to_string().into()),
    ]
}

fn delegation() -> impl Strategy<Value = Delegation> {
    let task = (word(), ".{0,40}", 0..4_usize, time(), time(), prop::option::of(word()));
    let rest = (
        prop::collection::btree_set(word(), 0..4),
        prop::option::of(any::<u64>()),
        prop::collection::vec(word(), 0..4),
        prop::option::of(any::<u64>()),
        prop::option::of(".{0,20}"),
        any::<bool>(),
    );
    (task, rest).prop_map(
        |(
            (id, text, urgent, made, changed, extra),
            (needs, tokens, passed, timeout_ms, callback_id, context),
        )| {
            Delegation {
                from: orchestrator("a"),
                to: orchestrator("b"),
                task: Task {
                    id: TaskId::parse(&id).unwrap(),
                    kind: text.clone(),
                    description: text,
                    priority: Priority::ALL[urgent],
                    status: "pending".to_owned(),
                    created_at: made,
                    updated_at: changed,
                    other: extra
                        .map_or("{}".into(), |word| serde_json::json!({ "extra": word }).to_string().into()),
                },
                priority: Priority::ALL[3 - urgent],
                demands: Demands {
                    capabilities: needs.iter().map(|text| Label::parse(text).unwrap()).collect(),
                    tokens,
                },
                passed: passed.iter().map(|id| orchestrator(id)).collect(),
                context: context.then(|| r#"{"scratchpad":{"k":1}}"#.into()),
                timeout_ms,
                callback_id,
            }
        },
    )
}

fn message() -> impl Strategy<Value = Message> {
    let task = || word().prop_map(|text| TaskId::parse(&text).unwrap());
    let grant = (prop::option::of(time()), any::<u32>(), any::<u64>()).prop_map(
        |(estimated_completion, sessions, tokens)| Ok(Grant { estimated_completion, sessions, tokens }),
    );
    let refusal = (0..5_usize, "[a-z ]{0,30}")
        .prop_map(|(kind, detail)| Err(Refusal::new(RefusalKind::ALL[kind], detail.trim())));
    let progress = prop_oneof![
        prop::option::of(0.0_f32..=100.0).prop_map(Progress::Running),
        prop::option::of(json_text().prop_filter("null is no result", |text| &**text != "null"))
            .prop_map(Progress::Completed),
        ".{0,30}".prop_map(Progress::Failed),
    ];
    prop_oneof![
        delegation().prop_map(|delegation| Message::Delegation(Box::new(delegation))),
        (task(), prop_oneof![grant, refusal])
            .prop_map(|(task, answer)| Message::Reply(Reply { task, answer })),
        (task(), progress).prop_map(|(task, progress)| Message::Callback(Callback { task, progress })),
        (".{0,20}", json_text(), prop::option::of(any::<u64>()))
            .prop_map(|(topic, data, ttl_ms)| Message::Broadcast(Broadcast { topic, data, ttl_ms })),
        (0..3_usize, any::<u32>()).prop_map(|(condition, connections)| {
            Message::Heartbeat(Heartbeat { condition: Condition::ALL[condition], connections })
        }),
        prop::option::of((prop::collection::btree_set(word(), 0..4), any::<u32>(), any::<u32>())).prop_map(
            |offer| {
                Message::Status(offer.map(|(names, sessions_max, sessions)| Offer {
                    capabilities: names.iter().map(|text| Label::parse(text).unwrap()).collect(),
                    sessions_max,
                    sessions,
                }))
            }
        ),
        (word(), ".{0,30}", prop::option::of(word()))
            .prop_map(|(code, detail, about)| Message::Complaint(Complaint { code, detail, about })),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_it_was(message in message(), nested in any::<bool>()) {
        let text = written(message.clone(), nested);
        let received = decode(&text).map_err(|error| TestCaseError::fail(format!("{error:?}: {text}")))?;
        prop_assert_eq!(received.nested, nested);
        prop_assert_eq!(received.message, message);
    }

    #[test]
    fn nothing_that_is_sent_makes_the_reader_panic(text in ".{0,200}", cut in 0..400_usize, byte in any::<u8>()) {
        let _ = decode(&text);
        let mut bytes = DELEGATION.as_bytes().to_vec();
        let place = cut % bytes.len();
        bytes[place] = byte;
        let _ = decode(&String::from_utf8_lossy(&bytes));
        bytes.truncate(place);
        let _ = decode(&String::from_utf8_lossy(&bytes));
    }
}

//! The connection's machine, case by case and over every short sequence of events.

use super::*;
use crate::id::TaskId;
use crate::time::Now;

const TIMEOUT: u64 = 60_000;

fn broadcast(topic: &str) -> Message {
    Message::Broadcast(Broadcast { topic: topic.to_owned(), data: "null".into(), ttl_ms: None })
}

fn send(topic: &str) -> Event {
    Event::Send { message: broadcast(topic), until: None }
}

fn closed(failed: bool) -> Event {
    Event::Closed { failed, seed: 7 }
}

/// Says `Writable` until nothing comes any more; gives the topics of what went out.
fn drain(connection: &mut Connection, now: Now) -> Vec<String> {
    let mut topics = Vec::new();
    while let Some(Command::Transmit(outgoing)) = connection.step(Event::Writable, now).pop() {
        topics.push(match outgoing {
            Outgoing::Message(Message::Broadcast(broadcast)) => broadcast.topic,
            Outgoing::Message(other) => panic!("{other:?}"),
            Outgoing::Heartbeat => "<heartbeat>".to_owned(),
            Outgoing::Status => "<status>".to_owned(),
        });
    }
    topics
}

fn status(connection: &Connection, at: u64) -> &'static str {
    connection.health(Now(at)).status.name()
}

#[test]
fn what_was_given_while_disconnected_leaves_in_order_when_connected() {
    let mut connection = Connection::new(Settings::default(), false);
    for topic in ["a", "b", "c"] {
        assert_eq!(connection.step(send(topic), Now(1)), []);
    }
    assert_eq!(connection.health(Now(1)).queued, 3);
    assert_eq!(connection.step(Event::Opened, Now(2)), [Command::Wake]);
    assert_eq!(drain(&mut connection, Now(2)), ["<status>", "<heartbeat>", "a", "b", "c"]);
    assert_eq!(connection.health(Now(2)).sent, 5);
}

#[test]
fn at_the_bound_the_giver_is_refused_and_nothing_that_waits_is_lost() {
    let mut connection = Connection::new(Settings::default(), false);
    for index in 0..1_000 {
        assert_eq!(connection.step(send(&index.to_string()), Now(1)), []);
    }
    assert_eq!(connection.step(send("x"), Now(1)), [Command::Refuse(SendError::QueueFull(1_000))]);
    connection.step(Event::Opened, Now(2));
    let sent = drain(&mut connection, Now(2));
    assert_eq!((sent.len(), sent[2].as_str(), sent[1_001].as_str()), (1_002, "0", "999"));
}

#[test]
fn the_queue_is_bounded_in_bytes_as_well() {
    let mut connection = Connection::new(Settings::default(), false);
    let heavy = || {
        let data = "x".repeat(1 << 20).into();
        Event::Send {
            message: Message::Broadcast(Broadcast { topic: String::new(), data, ttl_ms: None }),
            until: None,
        }
    };
    let taken = (0..100).take_while(|_| connection.step(heavy(), Now(1)).is_empty()).count();
    assert_eq!(taken, QUEUE_BYTES_MAX / ((1 << 20) + 256));
}

#[test]
fn a_peer_that_does_not_read_is_disconnected_with_the_reason_and_its_queue_kept() {
    let mut connection = Connection::new(Settings { queue_max: 2, ..Settings::default() }, false);
    connection.step(Event::Opened, Now(1));
    connection.step(send("a"), Now(1));
    connection.step(send("b"), Now(1));
    let refused = [Command::Refuse(SendError::QueueFull(2)), Command::Close(CloseReason::SlowReader)];
    assert_eq!(connection.step(send("c"), Now(1)), refused);
    assert_eq!(connection.step(Event::Writable, Now(1)), [], "nothing is sent after the end");
    connection.step(closed(false), Now(2));
    connection.step(Event::Opened, Now(3));
    assert_eq!(drain(&mut connection, Now(3)), ["<status>", "<heartbeat>", "a", "b"]);
}

#[test]
fn what_is_worth_nothing_any_more_is_not_sent() {
    let mut connection = Connection::new(Settings::default(), false);
    connection.step(Event::Send { message: broadcast("old"), until: Some(Now(5)) }, Now(1));
    connection.step(send("new"), Now(1));
    connection.step(Event::Opened, Now(6));
    assert_eq!(drain(&mut connection, Now(6)), ["<status>", "<heartbeat>", "new"]);
}

#[test]
fn a_delegation_that_waits_can_be_taken_back_and_the_others_keep_their_order() {
    let mut connection = Connection::new(Settings { queue_max: 3, ..Settings::default() }, false);
    let asked = |task: &str| {
        let message = Message::Delegation(Box::new(super::ledger_tests::delegation("a", task)));
        Event::Send { message, until: None }
    };
    connection.step(send("first"), Now(1));
    connection.step(asked("t"), Now(1));
    connection.step(send("last"), Now(1));
    let wanted = ["t", "u"].map(|task| TaskId::parse(task).unwrap());
    assert_eq!(connection.withdraw(&wanted.clone().into()), wanted[..1]);
    assert_eq!(connection.withdraw(&wanted.into()), []);
    assert_eq!(connection.step(send("after"), Now(1)), [], "its place is free");
    connection.step(Event::Opened, Now(2));
    assert_eq!(drain(&mut connection, Now(2)), ["<status>", "<heartbeat>", "first", "last", "after"]);
}

#[test]
fn silence_degrades_then_disconnects_and_a_sign_of_life_recovers() {
    let mut connection = Connection::new(Settings::default(), false);
    connection.step(Event::Opened, Now(0));
    drain(&mut connection, Now(0));
    assert_eq!(connection.step(Event::Tick, Now(TIMEOUT - 1)), [Command::Wake], "our own heartbeat is due");
    assert!(connection.is_healthy());
    assert_eq!(connection.step(Event::Tick, Now(TIMEOUT)), [Command::Degraded]);
    assert_eq!((connection.is_healthy(), status(&connection, TIMEOUT)), (false, "degraded"));
    assert_eq!(connection.step(Event::Alive(None), Now(TIMEOUT + 1)), [Command::Recovered]);
    assert!(connection.is_healthy());
    connection.step(Event::Tick, Now(2 * TIMEOUT + 1));
    assert_eq!(connection.step(Event::Tick, Now(3 * TIMEOUT + 1)), [Command::Close(CloseReason::Silent)]);
    assert_eq!(connection.step(Event::Tick, Now(4 * TIMEOUT)), [], "once");
}

#[test]
fn a_peer_that_says_it_is_not_well_is_degraded_until_it_says_otherwise() {
    let mut connection = Connection::new(Settings::default(), false);
    connection.step(Event::Opened, Now(0));
    for (condition, healthy) in
        [(Condition::Overloaded, false), (Condition::Degraded, false), (Condition::Healthy, true)]
    {
        connection.step(Event::Alive(Some(Heartbeat { condition, connections: 1 })), Now(1));
        assert_eq!(connection.is_healthy(), healthy, "{condition:?}");
    }
}

#[test]
fn statuses_have_the_documents_names() {
    let mut connection = Connection::new(Settings::default(), true);
    assert_eq!(status(&connection, 0), "disconnected");
    assert_eq!(connection.step(Event::Tick, Now(1)), [Command::Dial]);
    assert_eq!(status(&connection, 1), "connecting");
    connection.step(closed(true), Now(2));
    assert_eq!(status(&connection, 2), "error");
    connection.step(Event::Opened, Now(3));
    assert_eq!(status(&connection, 3), "connected");
    connection.step(Event::Received, Now(4));
    assert_eq!(status(&connection, 5), "active");
    connection.step(Event::Alive(None), Now(TIMEOUT));
    assert_eq!(status(&connection, 4 + TIMEOUT), "idle");
}

#[test]
fn a_graceful_close_flushes_first_takes_nothing_new_and_is_for_good() {
    let mut connection = Connection::new(Settings::default(), true);
    connection.step(Event::Opened, Now(1));
    connection.step(send("a"), Now(1));
    assert_eq!(connection.step(Event::Stop, Now(2)), [Command::Wake]);
    assert_eq!(connection.step(send("b"), Now(2)), [Command::Refuse(SendError::Closing)]);
    let out = connection.step(Event::Writable, Now(2));
    assert_eq!(out, [Command::Transmit(Outgoing::Message(broadcast("a")))]);
    assert_eq!(connection.step(Event::Writable, Now(2)), [Command::Close(CloseReason::Graceful)]);
    connection.step(closed(false), Now(3));
    assert_eq!(connection.step(Event::Tick, Now(1_000_000)), [], "no reconnect");
}

#[test]
fn a_flush_that_takes_too_long_is_cut_off() {
    let mut connection = Connection::new(Settings::default(), false);
    connection.step(Event::Opened, Now(1));
    connection.step(send("a"), Now(1));
    connection.step(Event::Stop, Now(1));
    assert_eq!(connection.step(Event::Tick, Now(5_000)), []);
    assert_eq!(connection.step(Event::Tick, Now(5_001)), [Command::Close(CloseReason::Graceful)]);
}

#[test]
fn pauses_between_tries_grow_to_a_bound_with_jitter_and_start_again_after_a_message() {
    let mut connection = Connection::new(Settings::default(), true);
    let mut pause = |now: u64, seed: u64| {
        connection.step(Event::Tick, Now(now));
        connection.step(Event::Closed { failed: true, seed }, Now(now));
        (0..40_000)
            .find(|wait| connection.clone().step(Event::Tick, Now(now + wait)) == [Command::Dial])
            .unwrap()
    };
    let mut now = 0;
    for most in [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000] {
        let waited = pause(now, now);
        assert!((most / 2..=most).contains(&waited), "{waited} of {most}");
        now += waited;
    }
    connection.step(Event::Tick, Now(now));
    connection.step(Event::Opened, Now(now));
    connection.step(Event::Received, Now(now));
    connection.step(closed(false), Now(now));
    assert_eq!(connection.step(Event::Tick, Now(now + 500)), [Command::Dial]);
}

#[test]
fn a_peer_that_keeps_sending_nonsense_is_disconnected() {
    let mut connection = Connection::new(Settings::default(), false);
    connection.step(Event::Opened, Now(1));
    for _ in 0..MALFORMED_MAX - 1 {
        assert_eq!(connection.step(Event::Malformed, Now(1)), []);
    }
    connection.step(Event::Received, Now(1));
    for _ in 0..MALFORMED_MAX - 1 {
        assert_eq!(connection.step(Event::Malformed, Now(1)), [], "a right message starts the count again");
    }
    assert_eq!(connection.step(Event::Malformed, Now(1)), [Command::Close(CloseReason::Malformed)]);
    assert_eq!(connection.health(Now(1)).errors, u64::from(2 * MALFORMED_MAX) - 1);
}

/// Every sequence of up to seven events: order is kept, nothing leaves a closed socket, the bound holds, one end per socket.
#[test]
fn in_every_sequence_order_bounds_and_ends_hold() {
    const EVENTS: u32 = 8;
    for length in 0..=7_u32 {
        for code in 0..EVENTS.pow(length) {
            let mut connection = Connection::new(Settings { queue_max: 2, ..Settings::default() }, true);
            let (mut now, mut open, mut ends) = (Now(1), false, 0);
            let (mut given, mut out) = (Vec::new(), Vec::new());
            for place in 0..length {
                let digit = code / EVENTS.pow(place) % EVENTS;
                now = now.plus_ms(TIMEOUT / 2);
                let topic = place.to_string();
                let event = match digit {
                    0 => Event::Opened,
                    1 => closed(true),
                    2 => send(&topic),
                    3 | 4 => Event::Writable,
                    5 => Event::Tick,
                    6 => Event::Alive(None),
                    _ => Event::Stop,
                };
                let commands = connection.step(event, now);
                match digit {
                    0 => (open, ends) = (true, 0),
                    1 => open = false,
                    2 if !commands.iter().any(|command| matches!(command, Command::Refuse(_))) => {
                        given.push(topic)
                    }
                    _ => {}
                }
                for command in commands {
                    match command {
                        Command::Transmit(outgoing) => {
                            assert!(open && ends == 0, "{code:o}: sent through a socket that is not there");
                            if let Outgoing::Message(Message::Broadcast(broadcast)) = outgoing {
                                out.push(broadcast.topic);
                            }
                        }
                        Command::Close(_) => {
                            assert!(open, "{code:o}");
                            ends += 1;
                        }
                        Command::Dial => assert!(!open, "{code:o}"),
                        _ => {}
                    }
                }
                assert!(ends <= 1 && connection.health(now).queued <= 2, "{code:o}");
            }
            assert_eq!(out, given[..out.len()], "{code:o}");
        }
    }
}

//! One suite for every store.

use std::sync::Arc;
use std::time::Duration;

use server::kinds::Kind;
use server::metrics::Metrics;
use server::store::memory::MemoryStore;
use server::store::redis::{Address, RedisOptions, RedisStore};
use server::store::{
    Attendance, Change, Health, History, Lease, Members, Notice, Outcome, Position, Read, Store, Write,
};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::support::{PATIENCE, Redis};

const HISTORY: History = History { events: 100, time: Duration::from_secs(600) };
const LEASE: Lease = Lease { time: Duration::from_secs(30), listed: 3 };

enum Feed {
    Memory(mpsc::UnboundedReceiver<Notice>),
    Redis(mpsc::Receiver<Notice>),
}

struct Fixture {
    store: Arc<dyn Store>,
    feed: Feed,
    _redis: Option<Redis>,
}

impl Fixture {
    async fn all() -> Vec<Self> {
        let (memory, feed) = MemoryStore::new(HISTORY);
        let memory = Self { store: Arc::new(memory), feed: Feed::Memory(feed), _redis: None };
        let redis = Redis::start();
        let address = Address::host("127.0.0.1", redis.port);
        let metrics = Arc::new(Metrics::default());
        let options = RedisOptions { address, history: HISTORY, notice_capacity: 1024, metrics };
        let (store, feed) = RedisStore::start(options).expect("a store");
        let mut health = store.health();
        let up = health.wait_for(|health| *health == Health::Up);
        timeout(PATIENCE, up).await.expect("in time").expect("it lives");
        vec![memory, Self { store: Arc::new(store), feed: Feed::Redis(feed), _redis: Some(redis) }]
    }

    async fn event(&mut self) -> (String, String, u64, String) {
        loop {
            let notice = match &mut self.feed {
                Feed::Memory(feed) => timeout(PATIENCE, feed.recv()).await,
                Feed::Redis(feed) => timeout(PATIENCE, feed.recv()).await,
            };
            match notice.expect("in time").expect("it lives") {
                Notice::Event { room, epoch, event } => return (room, epoch, event.offset, event.payload),
                Notice::Member { room, rev, payload } => return (room, "member".to_owned(), rev, payload),
                Notice::Cast { room, payload } => return (room, String::new(), 0, payload),
                Notice::Resync => {}
            }
        }
    }
}

fn write(change: Change, key: Option<&str>) -> Write {
    Write {
        change,
        kind: None,
        head: r#"{"t":"x","epoch":""#.to_owned(),
        tail: r#","tail":1}"#.to_owned(),
        idempotency: key.map(str::to_owned),
    }
}

fn state(doc: &str, if_version: Option<u64>) -> Write {
    write(Change::State { doc: doc.to_owned(), if_version }, None)
}

fn message() -> Write {
    write(Change::Message, None)
}

fn since(position: Option<Position>) -> Read {
    Read { since: position, max_events: 1000, max_bytes: 1 << 20, part: false, doc: false, kind: Kind::Doc }
}

async fn done(store: &Arc<dyn Store>, room: &str, write: Write) -> (Position, bool) {
    match store.commit(room, write).await.expect("an answer") {
        Outcome::Done { position, repeated } => (position, repeated),
        conflict => panic!("{conflict:?}"),
    }
}

#[tokio::test]
async fn a_new_room_is_empty_and_keeps_its_epoch() {
    for Fixture { store, .. } in &Fixture::all().await {
        let first = store.read("r", since(None)).await.expect("a snapshot");
        assert_eq!((first.position.offset, first.version, first.doc.as_deref()), (0, 0, None));
        assert_eq!((first.kind.as_str(), first.recovered), ("doc", false));
        assert_eq!(first.position.epoch.len(), 16);
        let second = store.read("r", since(None)).await.expect("a snapshot");
        assert_eq!(first.position, second.position);
        let other = store.read("other", since(None)).await.expect("a snapshot");
        assert_ne!(first.position.epoch, other.position.epoch);
    }
}

#[tokio::test]
async fn every_write_takes_the_next_offset_and_a_state_makes_it_the_version() {
    for Fixture { store, .. } in &Fixture::all().await {
        assert_eq!(done(store, "r", state("1", None)).await.0.offset, 1);
        assert_eq!(done(store, "r", message()).await.0.offset, 2);
        assert_eq!(done(store, "r", state("{\"b\": \"\\u0000\"}", Some(1))).await.0.offset, 3);
        let now = store.read("r", since(None)).await.expect("a snapshot");
        assert_eq!((now.position.offset, now.version), (3, 3));
        assert_eq!(now.doc.as_deref(), Some("{\"b\": \"\\u0000\"}"), "byte by byte");
    }
}

#[tokio::test]
async fn a_write_for_another_version_changes_nothing() {
    for Fixture { store, .. } in &Fixture::all().await {
        let conflict = Outcome::Conflict { version: 0, doc: None };
        assert_eq!(store.commit("r", state("1", Some(7))).await, Ok(conflict));
        done(store, "r", state("1", Some(0))).await;
        let conflict = Outcome::Conflict { version: 1, doc: Some("1".to_owned()) };
        assert_eq!(store.commit("r", state("2", Some(0))).await, Ok(conflict));
        assert_eq!(store.read("r", since(None)).await.expect("a snapshot").position.offset, 1);
    }
}

#[tokio::test]
async fn the_same_key_writes_once() {
    for Fixture { store, .. } in &Fixture::all().await {
        let keyed = || write(Change::Message, Some("user:k"));
        let (first, repeated) = done(store, "r", keyed()).await;
        assert!(!repeated);
        done(store, "r", message()).await;
        assert_eq!(done(store, "r", keyed()).await, (first.clone(), true));
        assert_eq!(done(store, "other", keyed()).await.0.offset, 1, "keys belong to rooms");
        assert_eq!(store.read("r", since(None)).await.expect("a snapshot").position.offset, 2);
    }
}

#[tokio::test]
async fn what_was_missed_is_given_in_order_or_the_document_is() {
    for Fixture { store, .. } in &Fixture::all().await {
        let (start, _) = done(store, "r", message()).await;
        for _ in 0..9 {
            done(store, "r", message()).await;
        }
        let missed = store.read("r", since(Some(start.clone()))).await.expect("a snapshot");
        assert!(missed.recovered);
        assert_eq!(
            missed.events.iter().map(|event| event.offset).collect::<Vec<_>>(),
            (2..=10).collect::<Vec<_>>()
        );
        let wanted = format!(r#"{{"t":"x","epoch":"{}","offset":2,"tail":1}}"#, start.epoch);
        assert_eq!(missed.events[0].payload, wanted);

        let few = Read { max_events: 4, ..since(Some(start.clone())) };
        assert!(!store.read("r", few.clone()).await.expect("a snapshot").recovered);
        let part = store.read("r", Read { part: true, ..few }).await.expect("a snapshot");
        assert_eq!((part.recovered, part.events.len(), part.position.offset), (true, 4, 10));
        let tiny = Read { max_bytes: 1, part: true, ..since(Some(start.clone())) };
        assert_eq!(store.read("r", tiny).await.expect("a snapshot").events.len(), 1);

        let now = Position { offset: 10, ..start.clone() };
        let nothing = store.read("r", since(Some(now))).await.expect("a snapshot");
        assert!(nothing.recovered && nothing.events.is_empty());
        for wrong in [Position { offset: 11, ..start.clone() }, Position { epoch: "0".repeat(16), ..start }] {
            assert!(!store.read("r", since(Some(wrong))).await.expect("a snapshot").recovered);
        }
    }
}

#[tokio::test]
async fn an_old_history_is_cut_and_says_so() {
    for Fixture { store, .. } in &Fixture::all().await {
        let (start, _) = done(store, "r", message()).await;
        for _ in 0..400 {
            done(store, "r", message()).await;
        }
        let missed = store.read("r", since(Some(start.clone()))).await.expect("a snapshot");
        assert!(!missed.recovered && missed.events.is_empty());
        let recent = Position { offset: 400 - HISTORY.events as u64 + 2, ..start };
        assert!(store.read("r", since(Some(recent))).await.expect("a snapshot").recovered);
        let last = store.recent("r", 3, 1 << 20).await.expect("an answer");
        assert_eq!((last.position.offset, last.payloads.len()), (401, 3));
        assert!(last.payloads[2].contains("\"offset\":401"));
        assert_eq!(store.recent("r", 3, 1).await.expect("an answer").payloads.len(), 1);
    }
}

#[tokio::test]
async fn subscribers_hear_of_their_rooms_only() {
    for mut fixture in Fixture::all().await {
        let store = Arc::clone(&fixture.store);
        store.subscribe("r").await.expect("a subscription");
        done(&store, "other", message()).await;
        let (at, _) = done(&store, "r", state("[]", None)).await;
        let (room, epoch, offset, payload) = fixture.event().await;
        assert_eq!((room.as_str(), &epoch, offset), ("r", &at.epoch, 1));
        assert_eq!(payload, format!(r#"{{"t":"x","epoch":"{epoch}","offset":1,"version":1,"tail":1}}"#));
        store.cast("other", "hush".to_owned()).await.expect("it is sent");
        store.cast("r", "!1:2:3".to_owned()).await.expect("it is sent");
        assert_eq!(fixture.event().await.3, "!1:2:3");
        store.unsubscribe("r").await;
        done(&store, "r", message()).await;
        store.subscribe("r").await.expect("a subscription");
        done(&store, "r", message()).await;
        assert_eq!(fixture.event().await.2, 3, "2 was not subscribed to");
    }
}

#[tokio::test]
async fn racing_writes_get_one_winner_for_each_version() {
    for Fixture { store, .. } in &Fixture::all().await {
        for version in 0..20 {
            let racers = (0..8).map(|_| store.commit("r", state("1", Some(version))));
            let outcomes = futures_util::future::join_all(racers).await;
            let won: Vec<u64> = outcomes
                .into_iter()
                .filter_map(|outcome| match outcome.expect("an answer") {
                    Outcome::Done { position, .. } => Some(position.offset),
                    Outcome::Conflict { .. } | Outcome::OtherKind(_) => None,
                })
                .collect();
            assert_eq!(won, [version + 1]);
        }
    }
}

#[tokio::test]
async fn the_first_call_fixes_the_kind() {
    for Fixture { store, .. } in &Fixture::all().await {
        let game = Read { kind: Kind::TicTacToe, ..since(None) };
        assert_eq!(store.read("game", game).await.expect("a snapshot").kind, "ttt");
        assert_eq!(store.read("game", since(None)).await.expect("a snapshot").kind, "ttt");
        let raw = Write { kind: Some(Kind::Doc), ..state("1", None) };
        assert_eq!(store.commit("game", raw).await, Ok(Outcome::OtherKind("ttt".to_owned())));
        let right = Write { kind: Some(Kind::TicTacToe), ..state("1", Some(0)) };
        assert_eq!(done(store, "game", right).await.0.offset, 1);
        assert_eq!(done(store, "game", message()).await.0.offset, 2, "messages go anywhere");
        let made = Write { kind: Some(Kind::TicTacToe), ..state("1", None) };
        done(store, "made", made).await;
        assert_eq!(store.read("made", since(None)).await.expect("a snapshot").kind, "ttt");
    }
}

async fn attend(store: &Arc<dyn Store>, attendance: Attendance, lease: Lease) -> Members {
    store.attend("r", attendance, lease).await.expect("an answer")
}

fn enter(conn: &str, info: u8) -> Attendance {
    Attendance::Enter { conn: conn.to_owned(), fields: format!(r#""conn":"{conn}","info":{info}"#) }
}

#[tokio::test]
async fn members_come_and_go_and_everyone_is_told_once() {
    for mut fixture in Fixture::all().await {
        let store = Arc::clone(&fixture.store);
        store.subscribe("r").await.expect("a subscription");
        assert_eq!(attend(&store, Attendance::Look, LEASE).await, Members::default());
        let first = attend(&store, enter("a", 1), LEASE).await;
        assert_eq!((first.rev, first.count), (1, 1));
        assert_eq!(first.listed, [r#"{"conn":"a","info":1}"#]);
        assert_eq!(attend(&store, enter("a", 1), LEASE).await.rev, 1, "nothing is new");
        assert_eq!(attend(&store, enter("a", 2), LEASE).await.rev, 2);
        for conn in ["b", "c", "d"] {
            attend(&store, enter(conn, 0), LEASE).await;
        }
        let all = attend(&store, Attendance::Look, LEASE).await;
        assert_eq!((all.rev, all.count, all.listed.len()), (5, 4, 3));
        let gone = attend(&store, Attendance::Leave { conn: "b".to_owned() }, LEASE).await;
        assert_eq!((gone.rev, gone.count), (6, 3));
        let again = attend(&store, Attendance::Leave { conn: "b".to_owned() }, LEASE).await;
        assert_eq!(again.rev, 6);
        let conns = vec!["a".to_owned(), "b".to_owned()];
        let kept = attend(&store, Attendance::Keep { conns }, LEASE).await;
        assert_eq!((kept.rev, kept.missing), (6, vec!["b".to_owned()]));
        let mut told = Vec::new();
        for _ in 0..6 {
            let (room, _, rev, payload) = fixture.event().await;
            let push: serde_json::Value = serde_json::from_str(&payload).expect("JSON");
            assert_eq!((room.as_str(), &push["rev"]), ("r", &rev.into()));
            told.push(format!(
                "{}:{}",
                push["ev"].as_str().expect("text"),
                push["conn"].as_str().expect("text")
            ));
        }
        assert_eq!(told, ["join:a", "info:a", "join:b", "join:c", "join:d", "leave:b"]);
    }
}

#[tokio::test]
async fn a_lease_that_is_not_kept_ends() {
    for Fixture { store, .. } in &Fixture::all().await {
        let short = Lease { time: Duration::from_millis(50), ..LEASE };
        attend(store, enter("a", 0), short).await;
        attend(store, enter("b", 0), LEASE).await;
        tokio::time::sleep(Duration::from_millis(80)).await;
        let swept = attend(store, Attendance::Look, LEASE).await;
        assert_eq!((swept.count, swept.swept, swept.rev), (1, 1, 3));
        assert_eq!(attend(store, Attendance::Look, LEASE).await.swept, 0, "once is enough");
    }
}

#[tokio::test]
async fn the_secret_is_made_once() {
    for Fixture { store, .. } in &Fixture::all().await {
        let secret = store.secret().await.expect("a secret");
        assert_eq!(secret.len(), 64);
        assert_eq!(store.secret().await.expect("a secret"), secret);
    }
}

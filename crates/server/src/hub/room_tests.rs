use super::*;

const EPOCH: &str = "e1";

fn outbox() -> Arc<Outbox> {
    Arc::new(Outbox::new(10_000, 10_000_000))
}

fn snapshot(epoch: &str, offset: u64) -> Snapshot {
    Snapshot {
        position: Position { epoch: epoch.to_owned(), offset },
        version: 0,
        kind: "doc".to_owned(),
        doc: None,
        recovered: false,
        events: Vec::new(),
    }
}

/// What the store gives a reader that has everything up to `since`.
fn filled(top: u64, since: u64, last: u64) -> Snapshot {
    Snapshot { recovered: true, events: (since + 1..=last).map(event).collect(), ..snapshot(EPOCH, top) }
}

fn event(offset: u64) -> Event {
    Event { offset, payload: offset.to_string() }
}

/// Everything that was pushed, as one line.
async fn told(outbox: &Outbox) -> String {
    if outbox.pushed() == 0 {
        return String::new();
    }
    let batch = outbox.next().await.expect("not gone");
    batch.frames.iter().map(Frame::as_str).collect::<Vec<_>>().join(" ")
}

fn reply() -> Frame {
    Frame::from("joined")
}

fn reset(reason: &str, snapshot: &Snapshot) -> Frame {
    Frame::from(format!("reset:{reason}:{}", snapshot.position.offset))
}

fn take(room: &mut Room, epoch: String, event: Event) -> Next {
    let next = room.take(epoch, event);
    room.tell();
    next
}

/// A room in which one member has joined at an offset.
fn joined_at(offset: u64) -> (Room, Arc<Outbox>) {
    let (mut room, outbox) = (Room::default(), outbox());
    room.enter(1, &outbox, None);
    assert_eq!(room.admit(1, &snapshot(EPOCH, offset), 0, reply), Admission::Joined(Next::Settled));
    (room, outbox)
}

#[tokio::test]
async fn events_in_order_are_delivered_and_known_ones_are_dropped() {
    let (mut room, outbox) = joined_at(4);
    for offset in [5, 6, 5, 6, 4, 7] {
        assert_eq!(take(&mut room, EPOCH.to_owned(), event(offset)), Next::Settled);
    }
    assert_eq!(told(&outbox).await, "joined 5 6 7");
}

#[tokio::test]
async fn an_event_after_a_gap_is_held_until_the_gap_is_filled() {
    let (mut room, outbox) = joined_at(4);
    assert_eq!(take(&mut room, EPOCH.to_owned(), event(8)), Next::Fill);
    assert_eq!(take(&mut room, EPOCH.to_owned(), event(7)), Next::Fill);
    assert_eq!(room.fill(filled(8, 4, 6), 2, reset), Next::Settled);
    assert_eq!(told(&outbox).await, "joined 5 6 7 8");
    assert_eq!(room.held(), 0);
}

#[tokio::test]
async fn a_part_of_what_is_missing_asks_for_the_rest() {
    let (mut room, outbox) = joined_at(0);
    assert_eq!(room.fill(filled(9, 0, 3), 0, reset), Next::Fill);
    assert_eq!(room.fill(filled(9, 3, 9), 0, reset), Next::Settled);
    assert_eq!(told(&outbox).await, "joined 1 2 3 4 5 6 7 8 9");
}

#[tokio::test]
async fn the_feed_may_be_faster_than_the_fill() {
    let (mut room, outbox) = joined_at(4);
    assert_eq!(take(&mut room, EPOCH.to_owned(), event(5)), Next::Settled);
    // Read before event 5: it knows less than the room does.
    assert_eq!(room.fill(filled(4, 4, 4), 0, reset), Next::Settled);
    assert_eq!(room.fill(snapshot(EPOCH, 4), 0, reset), Next::Settled);
    assert_eq!(room.fill(filled(6, 4, 6), 0, reset), Next::Settled);
    assert_eq!(told(&outbox).await, "joined 5 6");
}

#[tokio::test]
async fn a_hole_that_nobody_can_fill_and_a_new_epoch_start_the_room_anew() {
    let (mut room, outbox) = joined_at(4);
    assert_eq!(take(&mut room, EPOCH.to_owned(), event(900)), Next::Fill);
    assert_eq!(room.fill(snapshot(EPOCH, 900), 1, reset), Next::Settled);
    assert_eq!(take(&mut room, "e2".to_owned(), event(1_000)), Next::Fill);
    assert_eq!(room.fill(snapshot("e2", 999), 1, reset), Next::Settled);
    assert_eq!(take(&mut room, "e2".to_owned(), event(1_001)), Next::Settled);
    assert_eq!(told(&outbox).await, "joined reset:trimmed:900 reset:epoch:999 1000 1001");
}

#[tokio::test]
async fn events_of_an_epoch_that_never_was_are_forgotten() {
    let (mut room, _outbox) = joined_at(4);
    assert_eq!(take(&mut room, "old".to_owned(), event(9)), Next::Fill);
    assert_eq!(room.fill(filled(4, 4, 4), 1, reset), Next::Settled);
    assert_eq!(room.held(), 0);
}

#[tokio::test]
async fn what_happens_while_a_member_joins_comes_after_its_reply() {
    let (mut room, first) = joined_at(4);
    let second = outbox();
    room.enter(2, &second, None);
    assert_eq!(take(&mut room, EPOCH.to_owned(), event(5)), Next::Settled);
    assert_eq!(take(&mut room, EPOCH.to_owned(), event(6)), Next::Settled);
    // Its snapshot was read between the two.
    assert_eq!(room.admit(2, &snapshot(EPOCH, 5), 0, reply), Admission::Joined(Next::Settled));
    assert_eq!(take(&mut room, EPOCH.to_owned(), event(7)), Next::Settled);
    assert_eq!(told(&second).await, "joined 6 7");
    assert_eq!(told(&first).await, "joined 5 6 7");
}

#[tokio::test]
async fn a_member_with_a_newer_snapshot_hears_nothing_twice() {
    let (mut room, _first) = joined_at(4);
    let second = outbox();
    room.enter(2, &second, None);
    assert_eq!(room.admit(2, &snapshot(EPOCH, 6), 0, reply), Admission::Joined(Next::Settled));
    for offset in 5..=7 {
        assert_eq!(take(&mut room, EPOCH.to_owned(), event(offset)), Next::Settled);
    }
    assert_eq!(told(&second).await, "joined 7");
}

#[tokio::test]
async fn a_snapshot_that_is_too_old_or_of_another_epoch_is_read_again() {
    let (mut room, _first) = joined_at(4);
    assert_eq!(take(&mut room, EPOCH.to_owned(), event(5)), Next::Settled);
    let second = outbox();
    room.enter(2, &second, None);
    // Read before it entered: event 5 would be missing.
    assert_eq!(room.admit(2, &snapshot(EPOCH, 4), 0, reply), Admission::ReadAgain);
    assert_eq!(room.admit(2, &snapshot("e2", 1), 0, reply), Admission::RoomBehind);
    assert_eq!(room.fill(snapshot("e2", 1), 0, reset), Next::Settled);
    assert_eq!(room.admit(2, &snapshot("e2", 1), 0, reply), Admission::ReadAgain, "a reset came in between");
    assert_eq!(room.admit(2, &snapshot("e2", 1), 0, reply), Admission::Joined(Next::Settled));
    assert_eq!(told(&second).await, "joined");
}

#[tokio::test]
async fn too_much_to_hold_is_fetched_again() {
    let (mut room, outbox) = joined_at(0);
    for offset in 2..=(MOST_HELD as u64 + 2) {
        assert_eq!(take(&mut room, EPOCH.to_owned(), event(offset)), Next::Fill);
    }
    let top = MOST_HELD as u64 + 2;
    assert_eq!(room.fill(filled(top, 0, top), 0, reset), Next::Fill, "more may have come since");
    assert_eq!(room.fill(filled(top, 0, 0), 0, reset), Next::Settled);
    let told = told(&outbox).await;
    assert_eq!(told.split(' ').count() as u64, top + 1);
}

#[tokio::test]
async fn who_has_left_hears_nothing_more() {
    let (mut room, outbox) = joined_at(4);
    assert!(room.leave(1).is_some() && room.leave(1).is_none() && room.is_empty());
    assert_eq!(take(&mut room, EPOCH.to_owned(), event(5)), Next::Settled);
    assert_eq!(room.admit(1, &snapshot(EPOCH, 5), 0, reply), Admission::Gone);
    assert_eq!(told(&outbox).await, "joined");
}

#[tokio::test]
async fn changes_of_members_reach_those_who_are_shown_and_follow_the_reply() {
    let (shown, hidden) = (outbox(), outbox());
    let mut room = Room::default();
    let fields = Shown { conn: "c1".to_owned(), fields: String::new() };
    room.enter(1, &shown, Some(fields.clone()));
    room.enter(2, &hidden, None);
    for rev in [3, 4, 5] {
        assert_eq!(room.member(rev, &Frame::from(format!("m{rev}"))), 0);
    }
    assert_eq!(room.admit(1, &snapshot(EPOCH, 0), 4, reply), Admission::Joined(Next::Settled));
    assert_eq!(room.admit(2, &snapshot(EPOCH, 0), 0, reply), Admission::Joined(Next::Settled));
    assert_eq!(room.member(4, &Frame::from("m4 again")), 0);
    assert_eq!(room.member(6, &Frame::from("m6")), 1);
    assert_eq!(told(&shown).await, "joined m5 m6");
    assert_eq!(told(&hidden).await, "joined");
    assert!(!room.show(2, fields.clone()) && room.show(1, fields));
}

#[tokio::test]
async fn events_that_come_together_are_told_together_and_before_whoever_joins_meanwhile() {
    let (mut room, first) = joined_at(4);
    assert_eq!(room.take(EPOCH.to_owned(), event(5)), Next::Settled);
    assert_eq!(room.take(EPOCH.to_owned(), event(6)), Next::Settled);
    assert_eq!(told(&first).await, "joined", "nothing was told yet");
    let second = outbox();
    room.enter(2, &second, None);
    assert_eq!(told(&first).await, "5 6");
    assert_eq!(room.take(EPOCH.to_owned(), event(7)), Next::Settled);
    assert_eq!(room.admit(2, &snapshot(EPOCH, 6), 0, reply), Admission::Joined(Next::Settled));
    assert_eq!(told(&second).await, "joined 7");
    assert_eq!(told(&first).await, "7");
    assert_eq!((room.tell(), room.take_told()), (0, 3));
}

use proptest::prelude::*;

use super::*;

fn play(actions: &[(&str, Action)]) -> Result<Game, Foul> {
    actions.iter().try_fold(Game::default(), |game, (user, action)| game.after(user, *action))
}

fn moves(cells: &[i64]) -> Vec<(&'static str, Action)> {
    let mut actions = vec![("ann", Action::Sit), ("bob", Action::Sit)];
    let users = ["ann", "bob"].into_iter().cycle();
    actions.extend(users.zip(cells).map(|(user, cell)| (user, Action::Move { cell: *cell })));
    actions
}

#[test]
fn three_in_a_line_win_and_nine_without_one_are_a_draw() {
    let won = play(&moves(&[0, 3, 1, 4, 2])).expect("a game");
    assert_eq!((won.winner, won.line), (Some(Winner::X), Some([0, 1, 2])));
    assert_eq!(won.after("bob", Action::Move { cell: 8 }), Err(Foul::GameOver));
    let drawn = play(&moves(&[0, 1, 2, 4, 3, 5, 7, 6, 8])).expect("a game");
    assert_eq!((drawn.winner, drawn.line), (Some(Winner::Draw), None));
    let again = drawn.after("bob", Action::Again).expect("a new game");
    assert_eq!((again.seats.x.as_deref(), again.seats.o.as_deref()), (Some("bob"), Some("ann")));
    assert!(again.board.iter().all(Option::is_none) && again.winner.is_none());
}

#[test]
fn every_rule_has_its_foul() {
    let seated = || play(&moves(&[4])).expect("a game");
    let foul = |user, action| seated().after(user, action).expect_err("a foul");
    assert_eq!(foul("ann", Action::Move { cell: 0 }), Foul::NotYourTurn);
    assert_eq!(foul("bob", Action::Move { cell: 4 }), Foul::CellTaken);
    for cell in [-1, 9, i64::MAX] {
        assert_eq!(foul("bob", Action::Move { cell }), Foul::OutOfRange);
    }
    assert_eq!(foul("cid", Action::Sit), Foul::SeatsFull);
    assert_eq!(foul("cid", Action::Move { cell: 0 }), Foul::NotSeated);
    assert_eq!(foul("ann", Action::Sit), Foul::AlreadySeated);
    assert_eq!(foul("ann", Action::Again), Foul::StillPlaying);
    let alone = play(&[("ann", Action::Sit), ("ann", Action::Move { cell: 0 })]);
    assert_eq!(alone, Err(Foul::NoOpponent));
    let left = seated().after("bob", Action::Stand).expect("he may");
    assert_eq!((left.winner, left.seats.o), (Some(Winner::X), None));
}

#[test]
fn texts_in_and_out() {
    let one = reduce(None, "ann", r#"{"do":"sit"}"#).expect("a seat");
    assert_eq!(
        one,
        r#"{"board":[null,null,null,null,null,null,null,null,null],"seats":{"x":"ann","o":null},"turn":"x","winner":null,"line":null}"#
    );
    for action in ["1", "{}", r#"{"do":"fly"}"#, r#"{"do":"move"}"#, r#"{"do":"move","cell":"a"}"#] {
        assert_eq!(reduce(None, "ann", action), Err(Foul::UnknownAction), "{action}");
    }
}

fn actions() -> impl Strategy<Value = Vec<(usize, Action)>> {
    let action = prop_oneof![
        2 => Just(Action::Sit),
        1 => Just(Action::Stand),
        1 => Just(Action::Again),
        12 => (-1_i64..10).prop_map(|cell| Action::Move { cell }),
    ];
    proptest::collection::vec((0..3_usize, action), 0..80)
}

proptest! {
    #[test]
    fn no_series_of_actions_breaks_the_rules(actions in actions()) {
        let users = ["ann", "bob", "cid"];
        let mut game = Game::default();
        for (user, action) in actions {
            let before = game.clone();
            let Ok(after) = game.clone().after(users[user], action) else {
                // A foul changes nothing, and is a foul every time.
                prop_assert!(before.clone().after(users[user], action).is_err());
                continue;
            };
            let count = |game: &Game, mark| game.board.iter().filter(|cell| **cell == Some(mark)).count();
            let (x, o) = (count(&after, Mark::X), count(&after, Mark::O));
            prop_assert!(x == o || x == o + 1, "marks alternate");
            prop_assert_eq!(after.turn, if x == o { Mark::X } else { Mark::O });
            if let Action::Move { .. } = action {
                let changed: Vec<usize> =
                    (0..9).filter(|cell| before.board[*cell] != after.board[*cell]).collect();
                prop_assert_eq!(changed.len(), 1);
                prop_assert!(before.board[changed[0]].is_none() && before.winner.is_none());
                prop_assert_eq!(before.mark_of(users[user]), Some(before.turn));
            }
            if let Some(line) = after.line {
                prop_assert!(line.iter().all(|cell| after.board[*cell] == after.board[line[0]]));
            }
            if after.seats.x.is_some() {
                prop_assert_ne!(&after.seats.x, &after.seats.o);
            }
            let text = serde_json::to_string(&after).expect("JSON");
            prop_assert_eq!(&serde_json::from_str::<Game>(&text).expect("a game"), &after);
            game = after;
        }
    }

    #[test]
    fn any_text_is_an_action_or_is_refused(doc in ".{0,80}", action in ".{0,80}") {
        let _ = reduce(Some(&doc), "ann", &action);
    }
}

//! What `.dockerignore` files leave out, against what `docker build` of docker 28.2 left out of
//! the same files: `ignore/docker.json` was recorded with a `COPY .`.

use serde::Deserialize;
use stack_engine::image::ignore::Ignore;

/// The files of every recorded context.
const FILES: [&str; 17] = [
    "a/b/c.txt",
    "a/b/d/c.txt",
    "a/c.txt",
    "b/b/c.txt",
    "b/a",
    "c.txt",
    "x.y",
    "xay",
    "xy",
    "d e",
    "ab",
    "aa.txt",
    ".hidden",
    "a/.hidden",
    "#a",
    "é.txt",
    "*.txt",
];

#[derive(Deserialize)]
struct Recorded {
    ignore: String,
    /// The files that came through; `None` where docker refused the pattern.
    kept: Option<Vec<String>>,
}

#[test]
fn what_docker_leaves_out_must_be_left_out() {
    let recorded: Vec<Recorded> = serde_json::from_str(include_str!("ignore/docker.json")).expect("JSON");
    assert!(recorded.len() >= 60);
    let mut different = Vec::new();
    for Recorded { ignore, kept } in recorded {
        let ours = Ignore::read(&ignore)
            .ok()
            .map(|read| FILES.into_iter().filter(|path| !read.leaves_out(path)).collect::<Vec<_>>());
        let theirs = kept.as_ref().map(|kept| kept.iter().map(String::as_str).collect::<Vec<_>>());
        if ours != theirs {
            different.push(format!("{ignore:?}: ours {ours:?}, docker's {theirs:?}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

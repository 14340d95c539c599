//! `cp`: in and out, by the rules of the program of that name.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::scenarios::SLEEPER;
use crate::support::Project;

fn sleepers() -> (Project, String) {
    let project = Project::new(&format!("services:\n  web:\n    {SLEEPER}\n    scale: 2\n"));
    project.run(&["up", "-d"]).exits(0);
    let folder = project.directory.path().join("here");
    fs::create_dir_all(folder.join("tree/sub")).expect("made");
    fs::write(folder.join("tree/a"), "1").expect("written");
    fs::write(folder.join("tree/sub/b"), "2").expect("written");
    std::os::unix::fs::symlink("sub/b", folder.join("tree/link")).expect("linked");
    (project, folder.display().to_string())
}

/// What is below a folder of the first container.
fn inside(project: &Project, folder: &str) -> Vec<String> {
    let script = format!("cd {folder} && find . | sort");
    project.run(&["exec", "web", "sh", "-c", &script]).exits(0).out.lines().map(str::to_owned).collect()
}

const TREE: [&str; 4] = ["./a", "./link", "./sub", "./sub/b"];

#[test]
fn what_is_copied_in_must_land_as_with_cp() {
    let (project, here) = sleepers();
    let tree = format!("{here}/tree");
    let cp = |from: &str, to: &str| project.run(&["cp", from, &format!("web:{to}")]);
    cp(&tree, "/srv/new").exits(0).says("copied to web/1:/srv/new").says("copied to web/2:/srv/new");
    assert_eq!(inside(&project, "/srv/new")[1..], TREE);
    cp(&tree, "/srv").exits(0);
    assert_eq!(inside(&project, "/srv/tree")[1..], TREE);
    cp(&format!("{tree}/."), "/srv/other/").exits(0);
    assert_eq!(inside(&project, "/srv/other")[1..], TREE);
    cp(&format!("{tree}/a"), "/srv/renamed").exits(0);
    cp(&format!("{tree}/link"), "/srv/link").exits(0);
    let look = project.run(&["exec", "web", "sh", "-c", "cat /srv/renamed; readlink /srv/link"]).exits(0);
    assert_eq!(look.out, "1sub/b\n");
    project.run(&["cp", "-L", &format!("{tree}/link"), "web:/srv/followed"]).exits(0);
    project.run(&["exec", "web", "cat", "/srv/followed"]).exits(0).shows("2");
    // Only the one that is asked for.
    project.run(&["cp", "--index", "2", &format!("{tree}/a"), "web:/srv/second"]).exits(0);
    project.run(&["exec", "web", "test", "-e", "/srv/second"]).exits(1);
    project.run(&["exec", "--index", "2", "web", "test", "-e", "/srv/second"]).exits(0);

    cp(&tree, "/srv/renamed").exits(1).says("/srv/renamed is a file");
    cp(&format!("{tree}/a"), "/srv/nowhere/").exits(1).says("there is no directory /srv/nowhere/");
    cp(&format!("{tree}/a"), "/srv/nowhere/x").exits(1).says("there is no directory /srv/nowhere");
    cp(&format!("{tree}/a/"), "/srv").exits(1).says("is no directory");
    cp("/nowhere/at/all", "/srv").exits(1).says("/nowhere/at/all");
    project.run(&["cp", &tree, &here]).exits(64).says("neither end is in a container");
    project.run(&["cp", "web:/a", "web:/b"]).exits(64).says("from service to service");
    project.run(&["cp", &tree, "wep:/srv"]).exits(64).says("did you mean web?");
}

#[test]
fn what_is_copied_out_must_land_as_with_cp() {
    let (project, here) = sleepers();
    project.run(&["exec", "web", "sh", "-c", "mkdir -p /srv/t/sub; cd /srv/t; echo 1 > a; echo 2 > sub/b; ln -s sub/b link; chmod 640 a; chmod 555 sub; chown 1234 a"]).exits(0);
    let cp = |from: &str, to: &str| project.run(&["cp", &format!("web:{from}"), &format!("{here}/{to}")]);
    let read = |path: &str| fs::read_to_string(Path::new(&here).join(path)).expect(path);
    cp("/srv/t", "new").exits(0).says("web/1:/srv/t copied to");
    assert_eq!(
        (read("new/a"), read("new/sub/b"), read("new/link")),
        ("1\n".into(), "2\n".into(), "2\n".into())
    );
    cp("srv/t", "").exits(0);
    assert_eq!(read("t/a"), "1\n");
    cp("/srv/t/.", "tree").exits(0);
    assert_eq!((read("tree/a"), read("tree/sub/b")), ("1\n".into(), "2\n".into()));
    cp("/srv/t/a", "renamed").exits(0);
    assert_eq!(read("renamed"), "1\n");
    let mode = |path: &str| {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let found = fs::metadata(Path::new(&here).join(path)).expect(path);
        (found.permissions().mode() & 0o777, found.uid())
    };
    assert_eq!(mode("renamed").0, 0o640);
    assert_eq!(mode("new/sub").0, 0o555);
    assert_ne!(mode("renamed").1, 1234, "files belong to who copies them");
    let link = |path: &str| fs::symlink_metadata(Path::new(&here).join(path)).expect(path).is_symlink();
    cp("/srv/t/link", "as-link").exits(0);
    assert!(link("as-link"));
    project.run(&["cp", "-L", "web:/srv/t/link", &format!("{here}/followed")]).exits(0);
    assert!(!link("followed"));
    assert_eq!(read("followed"), "2\n");
    cp("/srv/none", "x").exits(1).says("there is no /srv/none in web/1");
    cp("/srv/t", "renamed").exits(1).says("renamed is a file");
    cp("/srv/t/a", "nowhere/x").exits(1).says("there is no directory");
    // A container that does not run has files, too.
    project.run(&["stop", "-t", "0"]).exits(0);
    cp("/srv/t/a", "stopped").exits(0);
    assert_eq!(read("stopped"), "1\n");
}

#[test]
fn a_dash_must_be_an_archive() {
    let (project, here) = sleepers();
    let stackctl = project.command(&["cp", "--index", "1", "-", "web:/srv"]);
    let quoted = |command: &Command| {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words.map(|word| format!("'{}'", word.to_string_lossy())).collect::<Vec<_>>().join(" ")
    };
    let sh = |script: &str| Command::new("sh").args(["-c", script]).output().expect("sh runs");
    let sent = sh(&format!("tar -C {here} -c tree | {}", quoted(&stackctl)));
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    assert_eq!(inside(&project, "/srv/tree")[1..], TREE);
    let fetched = sh(&format!("{} | tar -t | sort", quoted(&project.command(&["cp", "web:/srv/tree", "-"]))));
    let names = String::from_utf8_lossy(&fetched.stdout).into_owned();
    assert_eq!(
        names.lines().collect::<Vec<_>>(),
        ["tree/", "tree/a", "tree/link", "tree/sub/", "tree/sub/b"]
    );
    project.run(&["cp", "-", "web:/srv"]).exits(64).says("choose one of them with --index");
    project
        .run(&["cp", "--index", "1", "-", "web:/srv/none"])
        .exits(1)
        .says("there is no directory /srv/none");
}

//! The names that stackctl answers to, and what it tells a shell and `man`.

use std::path::PathBuf;
use std::process::{Command, Output};

struct Folder(tempfile::TempDir);

impl Folder {
    /// A folder with a stack of two services, and a link `docker-compose`.
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = "services:\n  web:\n    image: a\n  worker:\n    image: a\n    profiles: [jobs]\n  db:\n    image: a\n";
        std::fs::write(folder.path().join("stack.yaml"), file).expect("written");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_stackctl"), folder.path().join("docker-compose"))
            .expect("a link");
        Self(folder)
    }

    fn run(&self, program: PathBuf, arguments: &[&str], variable: Option<(&str, &str)>) -> Output {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.0.path()).envs(variable);
        command.output().expect("it runs")
    }

    fn compose(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.run(self.0.path().join("docker-compose"), arguments, None);
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// What a fish shell is told for such a line.
    fn completed(&self, line: &str) -> Vec<String> {
        let words: Vec<&str> = ["--"].into_iter().chain(line.split(' ')).collect();
        let program = PathBuf::from(env!("CARGO_BIN_EXE_stackctl"));
        let output = self.run(program, &words, Some(("STACKCTL_COMPLETE", "fish")));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect()
    }
}

#[test]
fn a_link_by_the_name_of_docker_compose_is_docker_compose() {
    let folder = Folder::new();
    assert_eq!(folder.compose(&["version", "--short"]), (0, "2.40.3\n".to_owned()));
    let (code, told) = folder.compose(&["version"]);
    assert!(code == 0 && told.starts_with("Docker Compose version v2.40.3 (stackctl "), "{told}");
    assert_eq!(folder.compose(&["-f", "stack.yaml", "config", "--services"]).1, "web\ndb\n");
    assert_eq!(folder.compose(&["-v"]).1, told);
    // Every failure has the exit code that docker compose has for it.
    for wrong in [&["--nope"][..], &["pss"], &["-f", "nowhere.yaml", "config"], &["exec", "web"]] {
        assert_eq!(folder.compose(wrong).0, 1, "{wrong:?}");
    }
    // Docker runs it as `docker-compose compose …`, with its own options before.
    assert_eq!(folder.compose(&["--context", "x", "compose", "config", "--services"]).1, "web\ndb\n");
    let (_, metadata) = folder.compose(&["docker-cli-plugin-metadata"]);
    let metadata: serde_json::Value = serde_json::from_str(&metadata).expect("JSON");
    assert_eq!((&metadata["SchemaVersion"], &metadata["Version"]), (&"0.1.0".into(), &"v2.40.3".into()));
}

#[test]
fn a_shell_is_told_commands_services_and_profiles() {
    let folder = Folder::new();
    assert_eq!(folder.completed("stackctl expl"), ["explain"]);
    assert_eq!(folder.completed("stackctl logs w"), ["web", "worker"]);
    assert_eq!(folder.completed("stackctl -f nowhere.yaml logs w"), [""; 0]);
    assert_eq!(folder.completed("stackctl --profile j"), ["jobs"]);
    assert!(folder.completed("stackctl up --no-").contains(&"--no-deps".to_owned()));
}

#[test]
fn every_command_has_a_page_and_an_option_given_twice_counts_once() {
    let folder = Folder::new();
    let program = || PathBuf::from(env!("CARGO_BIN_EXE_stackctl"));
    assert!(folder.run(program(), &["man", "--out", "man"], None).status.success());
    let page = std::fs::read_to_string(folder.0.path().join("man/stackctl-up.1")).expect("a page");
    assert!(
        page.contains("wait until every container is ready")
            || page.contains("Wait until every container is ready")
    );
    assert!(folder.0.path().join("man/stackctl.1").exists());
    let twice = folder.run(program(), &["-p", "one", "-p", "two", "config"], None);
    assert!(String::from_utf8_lossy(&twice.stdout).starts_with("name: two"));
    assert_eq!(folder.run(program(), &["man", "nothing"], None).status.code(), Some(64));
}

//! The Autobahn test suite, as kosoku runs it, against the server's transport.

use std::process::Command;

/// The cases of RFC 6455: all but those about compression, which is not offered.
const CASES: usize = 301;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_of_the_suite_is_passed() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let serving = tokio::spawn(server::http::echo::serve(listener));
    let directory = tempfile::tempdir().expect("a directory");
    let program = std::env::var("KOSOKU").unwrap_or_else(|_| "kosoku".to_owned());
    let mut suite = Command::new(program);
    suite.arg(format!("127.0.0.1:{port}")).args(["-x", "12.*", "-x", "13.*", "-p", "4"]);
    suite.arg("-o").arg(directory.path());
    let output = tokio::task::spawn_blocking(move || suite.output()).await.expect("no panic");
    let output = output.expect("these tests need kosoku: cargo xtask test installs it");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let failures = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{failures}");
    assert!(said.contains(&format!("{CASES} cases passed")), "{said}{failures}");
    serving.abort();
}

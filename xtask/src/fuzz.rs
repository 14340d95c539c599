//! `cargo xtask fuzz`: texts that a fuzzer makes up, until a time is over or one is found
//! that must not be. What is worth keeping is kept in `fuzz/corpus`.
//!
//! The flags below are those that let LLVM's fuzzer see which code a text reaches; they work
//! with a stable compiler, because no sanitizer is asked for: there is no unsafe code here.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cargo::cargo;
use crate::say::say;

/// What is fuzzed, and where its targets stand below `fuzz/fuzz_targets`.
const TARGETS: [&str; 8] = ["tree", "interpolation", "env_file", "merge", "decode", "frame", "patch", "game"];

/// Flags of the compiler that count which code is reached.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

/// The longest text that is made up, in bytes.
const LONGEST: usize = 4096;

/// The longest text that is kept: longer ones reach little that these do not.
const LONGEST_KEPT: usize = 400;

/// `cargo xtask fuzz`.
#[derive(Debug, clap::Args)]
pub(crate) struct FuzzArgs {
    /// What to fuzz [default: all, one after the other]
    #[arg(value_parser = TARGETS, value_name = "TARGET")]
    targets: Vec<String>,
    /// How long to fuzz each
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    seconds: u64,
}

/// Fuzzes, and keeps what reached new code.
pub(crate) fn run(root: &Path, arguments: &FuzzArgs) -> Result<()> {
    let place = tempfile::tempdir().context("no temporary folder")?;
    let programs = build(root)?;
    let all: Vec<&str> = match arguments.targets.as_slice() {
        [] => TARGETS.to_vec(),
        some => some.iter().map(String::as_str).collect(),
    };
    for target in all {
        fuzz(root, &programs.join(target), target, arguments.seconds, place.path())?;
    }
    Ok(())
}

/// Builds all targets; returns the folder with their programs.
fn build(root: &Path) -> Result<PathBuf> {
    let triple = host()?;
    let mut command = cargo(root);
    command.current_dir(root.join("fuzz")).args(["build", "--release", "--target", &triple]);
    let made = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let made = made.join("fuzz");
    command.env("CARGO_TARGET_DIR", &made).env("RUSTFLAGS", FLAGS);
    if !command.status().context("cargo cannot be run")?.success() {
        bail!("the fuzz targets do not build; they need a compiler for C++");
    }
    Ok(made.join(triple).join("release"))
}

/// The machine for which the compiler makes programs. Naming it keeps the flags away from
/// what is run while building.
fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("rustc cannot be run")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc does not say for which machine it compiles")
}

fn fuzz(root: &Path, program: &Path, target: &str, seconds: u64, place: &Path) -> Result<()> {
    let kept = root.join("fuzz/corpus").join(format!("{target}.txt"));
    let [start, grown, least] = ["start", "grown", "least"].map(|name| place.join(target).join(name));
    for folder in [&start, &grown, &least] {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let text = std::fs::read_to_string(&kept).with_context(|| kept.display().to_string())?;
    for (index, input) in unpacked(&text)?.iter().enumerate() {
        std::fs::write(start.join(format!("{index:05}")), input)?;
    }
    say(&format!("── {target}: {seconds} s"));
    let found = place.join(format!("{target}-"));
    let mut command = called(program, place);
    command.args([&grown, &start]);
    command.arg(format!("-dict={}", root.join("fuzz/words.dict").display()));
    command.args(["-timeout=10", "-rss_limit_mb=3000", "-verbosity=0", "-print_final_stats=1"]);
    command.arg(format!("-max_total_time={seconds}")).arg(format!("-max_len={LONGEST}"));
    command.arg(format!("-artifact_prefix={}", found.display()));
    if !command.status().context("the fuzzer cannot be run")?.success() {
        return Err(finding(root, target, place));
    }
    let mut command = called(program, place);
    command.args(["-set_cover_merge=1", "-verbosity=0", &format!("-max_len={LONGEST_KEPT}")]);
    command.args([&least, &start, &grown]);
    if !command.stderr(Stdio::null()).status().context("the fuzzer cannot be run")?.success() {
        bail!("{target}: what was found cannot be brought down to its least");
    }
    let mut inputs = BTreeSet::new();
    for entry in std::fs::read_dir(&least).with_context(|| least.display().to_string())? {
        // A text may have been cut within a letter.
        let bytes = std::fs::read(entry?.path())?;
        inputs.extend(String::from_utf8(bytes).ok());
    }
    say(&format!("   {target}: nothing found; {} texts are kept", inputs.len()));
    std::fs::write(&kept, packed(&inputs)?).with_context(|| kept.display().to_string())
}

/// A call of a target. Standard input is nothing, and temporary files are ours.
fn called(program: &Path, place: &Path) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).env("TMPDIR", place).current_dir(place);
    command
}

/// Keeps the text that must not be, so that it can be looked at and replayed.
fn finding(root: &Path, target: &str, place: &Path) -> anyhow::Error {
    let prefix = format!("{target}-");
    let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
    let mut found = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix));
    let Some(found) = found.next() else { return anyhow::anyhow!("{target}: the fuzzer failed") };
    let kept = root.join("target").join(found.file_name());
    match std::fs::copy(found.path(), &kept) {
        Ok(_) => anyhow::anyhow!(
            "{target}: a text was found that must not be\nnext: mend what it shows, and add it to fuzz/corpus/{target}.txt:\n  {}",
            kept.display()
        ),
        Err(error) => anyhow::anyhow!("{target}: a text was found that must not be, and was lost: {error}"),
    }
}

/// Texts in one file: a JSON text a line.
fn packed(inputs: &BTreeSet<String>) -> Result<String> {
    let mut text = String::new();
    for input in inputs {
        text.push_str(&serde_json::to_string(input)?);
        text.push('\n');
    }
    Ok(text)
}

fn unpacked(text: &str) -> Result<Vec<String>> {
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_out_again() {
        let inputs = BTreeSet::from(["a\n\"b\"".to_owned(), String::new(), "ä\u{0}".to_owned()]);
        let text = packed(&inputs).expect("a text");
        assert_eq!(text.lines().count(), 3);
        assert_eq!(unpacked(&text).expect("texts").into_iter().collect::<BTreeSet<_>>(), inputs);
    }

    #[test]
    fn every_target_has_a_corpus_and_a_program() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a root").join("fuzz");
        let manifest = std::fs::read_to_string(root.join("Cargo.toml")).expect("a manifest");
        for target in TARGETS {
            assert!(root.join(format!("fuzz_targets/{target}.rs")).is_file(), "{target}");
            assert!(root.join(format!("corpus/{target}.txt")).is_file(), "{target}");
            assert!(manifest.contains(&format!("name = \"{target}\"")), "{target}");
        }
    }
}

//! The page of all commands, `docs/commands.md`: made from the definitions, and checked by a test.

use std::fmt::Write;
use std::path::Path;

use clap::{Arg, Command, CommandFactory};

use super::Args;

const HEAD: &str = "\
# Commands

Made from the program's own definitions; `UPDATE_DOCS=1 cargo test -p stackctl page` makes it anew.
";

fn page() -> String {
    let mut whole = Args::command().term_width(100);
    whole.build();
    let mut page = HEAD.to_owned();
    page.push_str("\n## Options of every command\n\n");
    table(&mut page, whole.get_arguments().filter(|argument| !is_of_clap(argument)));
    if let Some(after) = whole.get_after_help() {
        let _ = write!(page, "\n```\n{}\n```\n", after.to_string().trim_end());
    }
    for command in
        whole.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help")
    {
        one(&mut page, command, "");
    }
    page
}

fn one(page: &mut String, command: &Command, above: &str) {
    let name = format!("{above}{}", command.get_name());
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let _ = write!(page, "\n## {name}\n\n{about}.\n\n```\n{usage}\n```\n");
    let aliases: Vec<_> = command.get_visible_aliases().map(|alias| format!("`{alias}`")).collect();
    if !aliases.is_empty() {
        let _ = write!(page, "\nAlso as {}.\n", aliases.join(", "));
    }
    let own =
        || command.get_arguments().filter(|argument| !is_of_clap(argument) && !argument.is_global_set());
    if own().next().is_some() {
        page.push('\n');
        table(page, own());
    }
    if let Some(after) = command.get_after_help() {
        let _ = write!(page, "\n```\n{}\n```\n", after.to_string().trim_end());
    }
    for below in command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help")
    {
        one(page, below, &format!("{name} "));
    }
}

fn table<'a>(page: &mut String, arguments: impl Iterator<Item = &'a Arg>) {
    page.push_str("| | |\n|---|---|\n");
    for argument in arguments.filter(|argument| !argument.is_hide_set()) {
        let mut help = argument.get_help().map(ToString::to_string).unwrap_or_default().replace('\n', " ");
        let values: Vec<_> =
            argument.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
        if argument.get_action().takes_values() && !values.is_empty() {
            let _ = write!(help, ": {}", values.join(", "));
        }
        if let Some(variable) = argument.get_env() {
            let _ = write!(help, " (`{}`)", variable.to_string_lossy());
        }
        let _ = writeln!(page, "| {} | {} |", typed(argument), help.replace('|', "\\|"));
    }
}

/// An argument as it is typed.
fn typed(argument: &Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    let value = names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    if argument.is_positional() {
        return format!("`{value}`");
    }
    let short = argument.get_short().map(|short| format!("-{short}"));
    let long = argument.get_long().map(|long| format!("--{long}"));
    let names = short.into_iter().chain(long).collect::<Vec<_>>().join(", ");
    if argument.get_action().takes_values() { format!("`{names} {value}`") } else { format!("`{names}`") }
}

/// Whether it is one that every program has.
fn is_of_clap(argument: &Arg) -> bool {
    matches!(argument.get_id().as_str(), "help" | "version")
}

#[test]
fn the_page_of_commands_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/commands.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).expect("the page is written");
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == page, "docs/commands.md is out of date: UPDATE_DOCS=1 cargo test -p stackctl page");
}

//! A command line that is wrong, in our words: what is wrong, and how it is right.

use std::ffi::OsString;

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::args::Args;
use crate::completion::Line;
use crate::error::{Fault, Kind};

/// Options that stand before the command only: after it, their letters mean something else.
const BEFORE: [(&str, &str); 6] = [
    ("-f", "-f FILE"),
    ("--file", "--file FILE"),
    ("-p", "-p NAME"),
    ("--project-name", "--project-name NAME"),
    ("-H", "-H ADDRESS"),
    ("--host", "--host ADDRESS"),
];

/// Commands of docker compose that stackctl does not have, and what there is instead.
const LEFT_OUT: [(&str, &str); 2] = [
    (
        "publish",
        "stack files are not kept in registries; share the file itself, or: stackctl config --lock-image-digests",
    ),
    (
        "bridge",
        "stack files are not made into other models; stackctl config --format json gives one to those that do",
    ),
];

/// What is wrong with a command line of these words, and how it is right; `None` for what is no
/// error, such as a wish for help.
pub(crate) fn fault(error: &clap::Error, words: &[OsString]) -> Option<Fault> {
    if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return None;
    }
    let command = Line::read(words).command.and_then(|name| with_form(name, words));
    let of = command.as_deref().unwrap_or("stackctl");
    let given = |kind| error.get(kind).map(text).filter(|text| !text.is_empty());
    let argument = given(ContextKind::InvalidArg);
    let value = given(ContextKind::InvalidValue).map(|value| value.replace('\n', " "));
    let mut next = Vec::new();
    let message = match (error.kind(), argument) {
        (ErrorKind::MissingRequiredArgument | ErrorKind::TooFewValues, Some(missing)) => {
            format!("{of} needs {}", named(&missing))
        }
        (ErrorKind::UnknownArgument, Some(option)) => {
            let before = BEFORE.iter().find(|(name, _)| *name == option);
            match (before, given(ContextKind::SuggestedArg)) {
                (Some((name, typed)), _) if command.is_some() => {
                    next.push(format!("write it before the command: stackctl {typed} {of} …"));
                    format!("{of} has no option {name}")
                }
                (_, Some(meant)) => {
                    next.push(format!("did you mean {meant}?"));
                    format!("{of} has no option {option}")
                }
                _ if option.starts_with('-') => format!("{of} has no option {option}"),
                _ => format!("{option} is one word too many for {of}"),
            }
        }
        (ErrorKind::InvalidSubcommand, _) => {
            if let Some(meant) = given(ContextKind::SuggestedSubcommand) {
                next.push(format!("did you mean {}?", meant.replace(", ", " or ")));
            }
            let name = given(ContextKind::InvalidSubcommand).unwrap_or_default();
            match LEFT_OUT.iter().find(|(left_out, _)| *left_out == name) {
                Some((_, instead)) => {
                    next = vec![(*instead).to_owned()];
                    format!("{name} cannot be done")
                }
                None => format!("there is no command {name}"),
            }
        }
        (ErrorKind::ArgumentConflict, Some(option)) => {
            let option = without_values(&option);
            match given(ContextKind::PriorArg).map(|prior| without_values(&prior)) {
                Some(prior) if prior == option => format!("{option} may be given once"),
                Some(prior) => format!("{option} and {prior} exclude each other"),
                None => format!("{option} excludes another option"),
            }
        }
        (ErrorKind::InvalidValue, Some(option)) => {
            let known = given(ContextKind::ValidValue);
            let what = match value {
                Some(value) => format!("{} cannot be {value:?}", without_values(&option)),
                None => format!("{} needs a value", without_values(&option)),
            };
            next.extend(given(ContextKind::SuggestedValue).map(|meant| format!("did you mean {meant}?")));
            next.extend(known.map(|known| format!("there are: {known}")));
            what
        }
        (ErrorKind::ValueValidation, Some(option)) => {
            let why = std::error::Error::source(error).map(|why| match why.is::<std::num::ParseIntError>() {
                true => ": write a whole number".to_owned(),
                false => format!(": {why}"),
            });
            let why = why.unwrap_or_default();
            format!("{} cannot be {:?}{why}", without_values(&option), value.unwrap_or_default())
        }
        (ErrorKind::NoEquals, Some(option)) => {
            format!("{} takes its value after `=`", without_values(&option))
        }
        _ => first_paragraph(error),
    };
    if let Some((usage, example)) = command.as_deref().and_then(find) {
        if !matches!(error.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue) {
            next.push(format!("usage: {usage}"));
        }
        next.extend(example.map(|example| format!("example: {example}")));
        next.push(format!("more: stackctl {of} --help"));
    } else {
        next.push("more: stackctl --help".to_owned());
    }
    Some(Fault::new(Kind::Usage, message).hint(next.join("\n")))
}

/// The command with the one below it that the words ask for, as `export kubernetes`.
fn with_form(name: String, words: &[OsString]) -> Option<String> {
    let all = Args::command();
    let command = all.find_subcommand(&name)?;
    let mut words = words.iter().skip_while(|word| **word != *name).skip(1);
    let form = words.find_map(|word| command.find_subcommand(word));
    Some(form.map_or(name.clone(), |form| format!("{name} {}", form.get_name())))
}

/// How a command is typed, and the example of its help.
fn find(name: &str) -> Option<(String, Option<String>)> {
    let mut all = Args::command();
    all.build();
    let command = name.split(' ').try_fold(&all, |command, name| command.find_subcommand(name))?;
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim().to_owned();
    Some((usage, examples(command).into_iter().next()))
}

/// The command lines that stand under `Example:` in the help of a command.
pub(crate) fn examples(command: &clap::Command) -> Vec<String> {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let lines = help.lines().skip_while(|line| !line.trim_start().starts_with("Example")).skip(1);
    lines.take_while(|line| line.starts_with(' ')).map(|line| line.trim().to_owned()).collect()
}

fn text(value: &ContextValue) -> String {
    match value {
        ContextValue::None => String::new(),
        ContextValue::Bool(value) => value.to_string(),
        ContextValue::Number(value) => value.to_string(),
        ContextValue::String(text) => text.clone(),
        ContextValue::Strings(texts) => texts.join(", "),
        ContextValue::StyledStr(text) => text.to_string(),
        ContextValue::StyledStrs(texts) => {
            texts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        }
        _ => String::new(),
    }
}

/// `<SERVICE> <COMMAND>...` as `SERVICE and COMMAND`.
fn named(arguments: &str) -> String {
    let plain = arguments.replace("...", "").replace(['<', '>', ','], " ");
    let mut names: Vec<&str> = plain.split_whitespace().collect();
    match names.pop() {
        Some(last) if !names.is_empty() && !names[0].starts_with('-') => {
            format!("{} and {last}", names.join(", "))
        }
        Some(last) => names.into_iter().chain([last]).collect::<Vec<_>>().join(" "),
        None => "more words".to_owned(),
    }
}

/// An option without what it takes: `--scale <SERVICE=NUMBER>` as `--scale`.
fn without_values(option: &str) -> String {
    let option = option.trim_end_matches(',');
    let end = option.find([' ', ',', '=', '[']).filter(|_| option.starts_with('-'));
    let option = &option[..end.unwrap_or(option.len())];
    option.trim_start_matches('<').trim_end_matches("...").trim_end_matches('>').to_owned()
}

fn first_paragraph(error: &clap::Error) -> String {
    let text = error.to_string();
    let text = text.trim_start_matches("error:").trim_start();
    let lines = text.lines().take_while(|line| !line.trim().is_empty());
    lines.map(str::trim).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::error::hint_of;

    /// What is said about a command line.
    fn said(line: &str) -> String {
        let words: Vec<OsString> =
            shell_words::split(line).expect("words").into_iter().map(Into::into).collect();
        let error = Args::try_parse_from(&words).expect_err("a wrong command line");
        let fault = anyhow::Error::new(fault(&error, &words).expect("a fault"));
        format!("{fault}\n{}", hint_of(&fault).unwrap_or_default())
    }

    #[test]
    fn a_wrong_command_line_is_told_with_the_right_one() {
        for (line, wanted) in [
            (
                "stackctl exec web",
                &[
                    "exec needs SERVICE and COMMAND",
                    "usage: stackctl exec [OPTIONS]",
                    "example: stackctl exec web sh",
                ][..],
            ),
            ("stackctl exec", &["exec needs SERVICE and COMMAND"]),
            ("stackctl port web", &["port needs PORT", "example: stackctl port web 80"]),
            ("stackctl cp x", &["cp needs DESTINATION"]),
            ("stackctl scale", &["scale needs SERVICE=NUMBER"]),
            ("stackctl up --nope", &["up has no option --nope", "more: stackctl up --help"]),
            ("stackctl up --bild", &["did you mean --build?"]),
            ("stackctl up -p shop", &["write it before the command: stackctl -p NAME up …"]),
            ("stackctl pss", &["there is no command pss", "did you mean push or ps?"]),
            ("stackctl publish shop", &["publish cannot be done", "share the file itself"]),
            ("stackctl --nope ps", &["has no option --nope"]),
            ("stackctl up --build --no-build", &["--build and --no-build exclude each other"]),
            ("stackctl up --timeout soon", &["--timeout cannot be \"soon\": a number of seconds"]),
            (
                "stackctl --progress loud ps",
                &["--progress cannot be \"loud\"", "there are: auto, tty, plain"],
            ),
            ("stackctl up --pull", &["--pull needs a value"]),
            ("stackctl man up down", &["down is one word too many for man"]),
        ] {
            let said = said(line);
            for wanted in wanted {
                assert!(said.contains(wanted), "{line}\n{said}\nlacks {wanted:?}");
            }
            assert!(!said.contains('<') || said.contains("usage: "), "{said}");
        }
    }

    #[test]
    fn help_is_no_fault() {
        for line in ["stackctl --help", "stackctl up --help", "stackctl", "stackctl help up"] {
            let words: Vec<OsString> = line.split(' ').map(Into::into).collect();
            let error = Args::try_parse_from(&words).expect_err("help");
            assert!(fault(&error, &words).is_none(), "{line}");
        }
    }

    #[test]
    fn every_command_has_an_example_that_is_right() {
        let mut all = Args::command();
        all.build();
        for command in all.get_subcommands().filter(|command| command.get_name() != "help") {
            let name = command.get_name();
            if command.is_hide_set() {
                continue;
            }
            let examples = examples(command);
            // A remark may stand behind an example, some spaces away.
            let lines = examples.iter().filter_map(|line| line.split("   ").next());
            let lines = lines.flat_map(|line| line.split([';', '&'])).map(|line| {
                let line = line.find("stackctl").map_or(line, |start| &line[start..]);
                // What an example does stands beside it, after several spaces.
                let line = line.split([')', '|', '>', ';']).next().unwrap_or_default().trim_end_matches(" 2");
                line.split("  ").next().unwrap_or_default().trim()
            });
            let ours: Vec<&str> = lines.filter(|line| line.starts_with("stackctl ")).collect();
            assert!(!ours.is_empty(), "the help of {name} has no example");
            for line in ours {
                let words = shell_words::split(line).expect("words");
                let parsed = Args::try_parse_from(&words);
                assert!(
                    parsed.is_ok(),
                    "the example of {name} is wrong: {line}\n{}",
                    parsed.expect_err("wrong")
                );
            }
        }
    }
}

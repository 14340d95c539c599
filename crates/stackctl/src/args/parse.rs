//! From words to arguments.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches, Id, Parser};
use stack_file::load::variables_of;

use super::alone::alone;
use super::{Args, Global};
use crate::completion::Line;
use crate::settings;

/// What a variable of the tool's own begins with.
const OWN: &str = "COMPOSE_";

/// Reads a command line. Variables of the tool's own count from an environment file, too, as with
/// docker compose: below those of the process, and below the command line.
pub(crate) fn parse(words: &[OsString]) -> Result<Args, clap::Error> {
    let helps = words.iter().any(|word| word == "-h" || word == "--help" || word == "help");
    let line = Line::read(words);
    let variables = own_variables(&line.global);
    if !helps && variables.is_empty() {
        // What is wrong with a line is told by the definition of all commands.
        let alone = line.command.as_deref().and_then(alone);
        let matches = alone.and_then(|alone| alone.try_get_matches_from(words).ok());
        return match matches.and_then(|mut matches| Args::from_arg_matches_mut(&mut matches).ok()) {
            Some(args) => Ok(args),
            None => Args::try_parse_from(words),
        };
    }
    let mut command = Args::command();
    if helps {
        command = short_help(command);
    }
    if !helps && !variables.is_empty() {
        // What the command line or the environment says needs no default, not even a right one.
        let asked = Args::command().try_get_matches_from(words)?;
        command = with_defaults(command, &variables, &asked);
    }
    Args::from_arg_matches_mut(&mut command.try_get_matches_from(words)?)
}

/// The help of a command on one screen: one line per option, and without the options of every command.
pub(crate) fn short_help(command: Command) -> Command {
    let hidden: Vec<Arg> = (command.get_arguments())
        .filter(|argument| argument.is_global_set())
        .map(|argument| argument.clone().hide(true))
        .collect();
    command.mut_subcommands(|sub| short_help_of(sub, &hidden))
}

fn short_help_of(command: Command, hidden: &[Arg]) -> Command {
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let help = Arg::new("help").short('h').long("help").action(ArgAction::HelpShort).help("Print help");
    // What a command is told about help holds for those below it, too.
    command
        .mut_subcommands(|sub| short_help_of(sub, hidden))
        .args(hidden.to_vec())
        .disable_help_flag(true)
        .arg(help)
        .after_help(format!("{after}\n\nOptions of every command: stackctl --help").trim_start().to_owned())
}

/// The same command, with values of variables as the defaults of what they stand for and nobody asks for.
fn with_defaults(command: Command, variables: &BTreeMap<String, String>, asked: &ArgMatches) -> Command {
    let command = command.mut_args(|argument| {
        let value = argument.get_env().and_then(|name| variables.get(name.to_str()?)).cloned();
        match value {
            Some(value) if !is_asked(argument.get_id(), asked) => argument.default_value(value),
            _ => argument,
        }
    });
    command.mut_subcommands(|sub| with_defaults(sub, variables, asked))
}

/// Whether the command line, or a variable of the process, says something of an argument.
fn is_asked(id: &Id, matches: &ArgMatches) -> bool {
    let here = matches.ids().any(|known| known == id)
        && matches.value_source(id.as_str()).is_some_and(|source| source != ValueSource::DefaultValue);
    here || matches.subcommand().is_some_and(|(_, below)| is_asked(id, below))
}

/// The variables of the tool's own that stand in environment files and not in the environment.
fn own_variables(global: &Global) -> BTreeMap<String, String> {
    // Standard input is read once, and not for this.
    if global.files.iter().any(|file| file.as_os_str() == "-") {
        return BTreeMap::new();
    }
    let beside = global.files.first().and_then(|file| Some(file.parent()?.join(".env")));
    let of_project = global.project_directory.as_ref().map(|directory| directory.join(".env"));
    let places = [Some(PathBuf::from(".env")), beside, of_project].into_iter().flatten();
    let mut texts =
        places.chain(global.env_files.iter().cloned()).filter_map(|path| std::fs::read_to_string(path).ok());
    if !texts.any(|text| text.contains(OWN)) {
        return BTreeMap::new();
    }
    let mut variables = settings::with_request(global, variables_of).unwrap_or_default();
    variables
        .retain(|name, value| name.starts_with(OWN) && !value.is_empty() && std::env::var_os(name).is_none());
    variables
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Progress;

    fn words(directory: &std::path::Path, rest: &[&str]) -> Vec<OsString> {
        let file = directory.join("stack.yaml").into_os_string();
        ["stackctl".into(), "-f".into(), file].into_iter().chain(rest.iter().map(OsString::from)).collect()
    }

    #[test]
    fn variables_of_the_tool_count_from_an_environment_file_below_all_else() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("stack.yaml"), "services: {}\n").expect("written");
        std::fs::write(
            folder.path().join(".env"),
            "COMPOSE_PROGRESS=json\nCOMPOSE_REMOVE_ORPHANS=true\nOTHER=1\n",
        )
        .expect("written");
        let parsed = parse(&words(folder.path(), &["up"])).expect("arguments");
        assert_eq!(parsed.global.progress, Progress::Json);
        let parsed = parse(&words(folder.path(), &["--progress", "quiet", "ps"])).expect("arguments");
        assert_eq!(parsed.global.progress, Progress::Quiet);
        let parsed = format!("{:?}", parse(&words(folder.path(), &["down"])).expect("arguments").command);
        assert!(parsed.contains("remove_orphans: true"), "{parsed}");
        std::fs::remove_file(folder.path().join(".env")).expect("removed");
        let parsed = format!("{:?}", parse(&words(folder.path(), &["down"])).expect("arguments").command);
        assert!(parsed.contains("remove_orphans: false"), "{parsed}");
    }

    #[test]
    fn the_help_of_a_command_fits_a_screen() {
        let names: Vec<String> = (Args::command().get_subcommands())
            .filter(|command| !command.is_hide_set())
            .map(|command| command.get_name().to_owned())
            .collect();
        for name in names {
            let words = ["stackctl".to_owned(), name.clone(), "--help".to_owned()].map(OsString::from);
            let help = parse(&words).expect_err("help").to_string();
            assert!(help.lines().count() <= 66, "{name}: {} lines\n{help}", help.lines().count());
            assert!(help.contains("Example:") && help.contains("stackctl --help"), "{name}\n{help}");
        }
    }
}

//! The definition of one command without those of the others: to make all of them takes longer
//! than many a command does.

use clap::{Args, Command};

use super::Global;
use crate::commands::{
    apply, attach, build, check, commit, completion, config, cp, create, doctor, down, events, exec, explain,
    export, generate, graph, history, images, install_plugin, kill, lock, logs, ls, man, nodes, outdated,
    pause, plan, port, ps, pull, push, replay, restart, rm, rollback, rollout, run, scale, schema, start,
    stats, status, stop, timeline, top, unpause, up, version, volumes, wait, watch, why,
};

/// Adds the arguments of a command to its definition.
type Define = fn(Command) -> Command;

/// The commands by name.
const COMMANDS: &[(&str, Define)] = &[
    ("up", define::<up::UpArgs>),
    ("down", define::<down::DownArgs>),
    ("plan", define::<plan::PlanArgs>),
    ("apply", define::<apply::ApplyArgs>),
    ("create", define::<create::CreateArgs>),
    ("start", define::<start::StartArgs>),
    ("stop", define::<stop::StopArgs>),
    ("restart", define::<restart::RestartArgs>),
    ("rollout", define::<rollout::RolloutArgs>),
    ("kill", define::<kill::KillArgs>),
    ("rm", define::<rm::RmArgs>),
    ("pause", define::<pause::PauseArgs>),
    ("unpause", define::<unpause::UnpauseArgs>),
    ("scale", define::<scale::ScaleArgs>),
    ("wait", define::<wait::WaitArgs>),
    ("exec", define::<exec::ExecArgs>),
    ("run", define::<run::RunArgs>),
    ("attach", define::<attach::AttachArgs>),
    ("cp", define::<cp::CpArgs>),
    ("export", define::<export::ExportArgs>),
    ("commit", define::<commit::CommitArgs>),
    ("ps", define::<ps::PsArgs>),
    ("logs", define::<logs::LogsArgs>),
    ("ls", define::<ls::LsArgs>),
    ("top", define::<top::TopArgs>),
    ("stats", define::<stats::StatsArgs>),
    ("events", define::<events::EventsArgs>),
    ("images", define::<images::ImagesArgs>),
    ("port", define::<port::PortArgs>),
    ("volumes", define::<volumes::VolumesArgs>),
    ("watch", define::<watch::WatchArgs>),
    ("pull", define::<pull::PullArgs>),
    ("outdated", define::<outdated::OutdatedArgs>),
    ("lock", define::<lock::LockArgs>),
    ("push", define::<push::PushArgs>),
    ("build", define::<build::BuildArgs>),
    ("config", define::<config::ConfigArgs>),
    ("check", define::<check::CheckArgs>),
    ("explain", define::<explain::ExplainArgs>),
    ("why", define::<why::WhyArgs>),
    ("timeline", define::<timeline::TimelineArgs>),
    ("replay", define::<replay::ReplayArgs>),
    ("doctor", define::<doctor::DoctorArgs>),
    ("generate", define::<generate::GenerateArgs>),
    ("graph", define::<graph::GraphArgs>),
    ("viz", define::<graph::VizArgs>),
    ("schema", define::<schema::SchemaArgs>),
    ("install-plugin", define::<install_plugin::InstallPluginArgs>),
    ("completion", define::<completion::CompletionArgs>),
    ("man", define::<man::ManArgs>),
    ("version", define::<version::VersionArgs>),
    ("history", define::<history::HistoryArgs>),
    ("nodes", define::<nodes::NodesArgs>),
    ("rollback", define::<rollback::RollbackArgs>),
    ("status", define::<status::StatusArgs>),
];

/// A command line that has only this command; `None` for a name that stands for none, or for one that
/// is seldom used.
pub(super) fn alone(name: &str) -> Option<Command> {
    let (name, define) = COMMANDS.iter().find(|(known, _)| *known == name)?;
    let command = Command::new("stackctl").args_override_self(true);
    Some(Global::augment_args(command).subcommand(define(Command::new(*name))))
}

fn define<A: Args>(command: Command) -> Command {
    A::augment_args(command)
}

#[cfg(test)]
mod tests {
    use clap::{Arg, CommandFactory};

    use super::*;

    #[test]
    fn every_command_is_the_same_alone_as_among_the_others() {
        let told = |argument: &Arg| format!("{argument:?}");
        for command in
            super::super::Args::command().get_subcommands().filter(|command| !command.is_hide_set())
        {
            let name = command.get_name();
            let line = alone(name).unwrap_or_else(|| panic!("`{name}` has no row"));
            let alone = line.find_subcommand(name).expect("the command");
            let arguments = |of: &Command| of.get_arguments().map(told).collect::<Vec<_>>();
            assert_eq!(arguments(alone), arguments(command), "{name}");
        }
    }
}

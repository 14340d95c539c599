//! `stackctl run`

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::ValueEnum;
use indexmap::IndexMap;
use stack_engine::docker::attach::Attachment;
use stack_engine::engine::{Engine, Failure, Ledger, Work};
use stack_file::destination::Backend;
use stack_file::given;
use stack_file::load::{Request, load};
use stack_file::model::PullPolicy;
use stack_plan::containers::{BuildPolicy, Policy};
use stack_plan::one_off::{Changes, OneOff, Published, Run};
use stack_plan::plan::{Action, HookEvent, Target};

use super::attach::to_the_end;
use super::change::LockedArgs;
use super::converge::Converge;
use super::exec::{EndsArgs, variables};
use crate::args::Global;
use crate::conversation::{self, Conversation, With};
use crate::error::{Fault, Kind, failed, interrupted, unstartable};
use crate::render::Renderer;
use crate::settings::Project;
use crate::terminal::Signals;
use crate::{commands, render, settings};

/// What `run` takes.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "stackctl run [OPTIONS] <SERVICE> [COMMAND]...",
    after_help = "Example:\n  stackctl run --rm web npm test"
)]
pub(crate) struct RunArgs {
    /// Build the image first, even if it is there
    #[arg(long)]
    build: bool,
    /// Capability to add
    #[arg(long, value_name = "NAME")]
    cap_add: Vec<String>,
    /// Capability to drop
    #[arg(long, value_name = "NAME")]
    cap_drop: Vec<String>,
    /// Leave the container to itself, print its id, and go back to the prompt
    #[arg(short, long)]
    detach: bool,
    /// Entry point in place of the service's; an empty one clears it
    #[arg(long, value_name = "COMMAND")]
    entrypoint: Option<String>,
    /// Variable of the container; a name alone takes the value from here
    #[arg(short, long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// File of variables of the container
    #[arg(long, value_name = "FILE")]
    env_from_file: Vec<std::path::PathBuf>,
    #[command(flatten)]
    ends: EndsArgs,
    /// Label of the container
    #[arg(short, long, alias = "labels", value_name = "KEY=VALUE")]
    label: Vec<String>,
    #[command(flatten)]
    locked: LockedArgs,
    /// Name of the container
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Leave out what the service needs
    #[arg(long)]
    no_deps: bool,
    /// Publish a port, as in `ports` of a stack file
    #[arg(short, long, value_name = "PORT", conflicts_with = "service_ports")]
    publish: Vec<String>,
    /// When images are pulled, in place of the file's `pull_policy`
    #[arg(long, value_enum, value_name = "WHEN", default_value_t, hide_default_value = true)]
    pull: Pull,
    /// Show no progress, only what the container says
    #[arg(short, long)]
    quiet: bool,
    /// Show nothing of a build but its end
    #[arg(long)]
    quiet_build: bool,
    /// Show nothing of a pull but its end
    #[arg(long)]
    quiet_pull: bool,
    /// Remove containers of services that the file does not have
    #[arg(long, env = "COMPOSE_REMOVE_ORPHANS", value_parser = clap::builder::FalseyValueParser::new())]
    remove_orphans: bool,
    /// Remove the container when it has ended
    #[arg(long)]
    rm: bool,
    /// Publish the ports of the service
    #[arg(short = 'P', long)]
    service_ports: bool,
    /// Let the container be found by the names of the service, too
    #[arg(long)]
    use_aliases: bool,
    /// User, as `name`, `uid` or `uid:gid`
    #[arg(short, long, value_name = "USER")]
    user: Option<String>,
    /// Mount, as in `volumes` of a stack file; paths are relative to where you are
    #[arg(short, long, alias = "volumes", value_name = "MOUNT")]
    volume: Vec<String>,
    /// Working directory in the container
    #[arg(short, long, value_name = "PATH")]
    workdir: Option<String>,
    /// The service, and a command with its arguments in place of the service's own: from the
    /// service on nothing is an option of stackctl
    #[arg(required = true, num_args = 1.., trailing_var_arg = true, value_name = "SERVICE")]
    service: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Pull {
    /// As the file says
    #[default]
    Policy,
    /// Every time
    Always,
    /// When they are not there
    Missing,
    /// Never
    Never,
}

impl RunArgs {
    fn changes(&self, global: &Global) -> anyhow::Result<Changes> {
        let usage = |flag: &str, given: &str, wrong: given::Wrong| {
            Fault::new(Kind::Usage, format!("{flag} {given}: {}", wrong.message)).hint(wrong.help)
        };
        let here = std::env::current_dir()?;
        let home = std::env::var("HOME").ok();
        let mut mounts = Vec::new();
        for given in &self.volume {
            let mount = given::mount(given, &here, home.as_deref());
            mounts.push(mount.map_err(|wrong| usage("--volume", given, wrong))?);
        }
        let mut ports = Vec::new();
        for given in &self.publish {
            ports.extend(given::ports(given).map_err(|wrong| usage("--publish", given, wrong))?);
        }
        let mut labels = BTreeMap::new();
        for given in &self.label {
            let (key, value) = given.split_once('=').ok_or_else(|| {
                Fault::new(Kind::Usage, format!("--label {given} has no value"))
                    .hint("write --label KEY=VALUE")
            })?;
            labels.insert(key.to_owned(), value.to_owned());
        }
        let entrypoint = self.entrypoint.as_deref().map(|text| {
            shell_words::split(text).map_err(|_| {
                Fault::new(Kind::Usage, format!("--entrypoint {text} has a quote without its end"))
                    .hint("quote it once more for your shell")
            })
        });
        Ok(Changes {
            name: self.name.clone(),
            slug: slug(),
            command: self.service.iter().skip(1).cloned().collect(),
            entrypoint: entrypoint.transpose()?,
            environment: self.environment(global)?,
            labels,
            user: self.user.clone(),
            working_dir: self.workdir.clone(),
            cap_add: self.cap_add.clone(),
            cap_drop: self.cap_drop.clone(),
            mounts,
            ports: if self.service_ports { Published::OfTheService } else { Published::These(ports) },
            use_aliases: self.use_aliases,
            tty: self.ends.terminal(self.detach)?,
            stdin_open: self.ends.interactive,
            auto_remove: self.rm,
        })
    }

    /// Variables of files, and above them those of the command line.
    fn environment(&self, global: &Global) -> anyhow::Result<IndexMap<String, String>> {
        let own = variables(global, &self.env)?;
        let mut all = IndexMap::new();
        for path in &self.env_from_file {
            let lookup = |name: &str| {
                own.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.clone())
            };
            match given::variables(path, &lookup) {
                // An earlier file has the last word, as with docker compose.
                Ok(found) => found.into_iter().for_each(|(name, value)| {
                    all.entry(name).or_insert(value);
                }),
                Err(told) => {
                    render::diagnostics(&told.diagnostics, &told.sources);
                    let message = format!("--env-from-file {} cannot be used", path.display());
                    return Err(Fault::new(Kind::File, message).into());
                }
            }
        }
        all.extend(own);
        Ok(all)
    }

    fn policy(&self, run: Run) -> Policy {
        Policy {
            services: vec![run.service.clone()],
            run: Some(run.into()),
            no_deps: self.no_deps,
            build: if self.build { BuildPolicy::Always } else { BuildPolicy::Missing },
            pull: match self.pull {
                Pull::Policy => None,
                Pull::Always => Some(PullPolicy::Always),
                Pull::Missing => Some(PullPolicy::Missing),
                Pull::Never => Some(PullPolicy::Never),
            },
            remove_orphans: self.remove_orphans,
            ..Policy::default()
        }
    }
}

/// Sixty-four hexadecimal digits that nobody else has.
fn slug() -> String {
    let half = || uuid::Uuid::new_v4().simple().to_string();
    half() + &half()
}

/// Reads the stack file; the profiles of the service are enabled, for it is asked for by name.
fn read(global: &Global, service: &str) -> anyhow::Result<Project> {
    let (loaded, environment) = settings::with_request(global, |request| {
        let (loaded, environment) = settings::load_with_variables(global, request);
        if !loaded.stack.disabled.iter().any(|name| name == service) {
            return (loaded, environment);
        }
        let all = load(&Request { profiles: vec!["*".to_owned()], ..request.clone() });
        let own = all.stack.services.get(service).map(|service| service.profiles.as_slice());
        let own = own.unwrap_or_default().iter().map(|profile| profile.value.clone());
        let profiles = request.profiles.iter().cloned().chain(own).collect();
        settings::load_with_variables(global, &Request { profiles, ..request.clone() })
    })?;
    settings::fit_to_act(global, loaded, environment, &BTreeMap::new())
}

pub(crate) async fn run(global: &Global, args: RunArgs) -> anyhow::Result<ExitCode> {
    let changes = args.changes(global)?;
    let (detach_keys, keys) = conversation::detach_keys(global, None)?;
    let name = args.service.first().cloned().unwrap_or_default();
    let project = args.locked.obeyed_by(read(global, &name)?)?;
    project.check_services(std::slice::from_ref(&name))?;
    if settings::backend(global)? == Backend::Swarm {
        return Err(Fault::new(
            Kind::Refused,
            "`run` makes a one-off container beside those of the service, and a swarm runs services alone",
        )
        .hint(format!(
            "make it a service with deploy: {{mode: replicated-job}} and run that with: stackctl up --rerun NAME; or \
             run a command in a task with: stackctl exec {name} COMMAND"
        ))
        .into());
    }
    let asked = Run { service: name, changes };
    let Some(one_off) = asked.container(&project.desired) else { return Ok(failed()) };
    if one_off.spec.provider.is_some() {
        let told = format!("{} is made by another program, and has no container to run", asked.service);
        return Err(Fault::new(Kind::Usage, told).hint("name a service with an image").into());
    }
    let changes = asked.changes.clone();
    let engine = settings::engine(global, true).await?;
    let mut renderer = if args.quiet { Renderer::silent(global) } else { Renderer::new(global) };
    renderer.hush(args.quiet_pull, args.quiet_build);
    let policy = args.policy(asked);
    let converge =
        Converge { engine: &engine, project: &project, policy, pace: global.pace(), may_lose: Vec::new() };
    let making = Making { converge, one_off: &one_off, before: OnceCell::new() };

    let made = tokio::select! {
        made = making.make(args.detach, &mut renderer) => made?,
        () = commands::interrupt() => {
            making.take_back().await;
            renderer.interrupted("what the service needs may be up, and `stackctl down` removes it");
            return Ok(interrupted());
        }
    };
    if !made || global.dry_run {
        return Ok(if made { ExitCode::SUCCESS } else { failed() });
    }
    renderer.settle();
    let id = engine.ends_of(&one_off.name).await?.id;
    if args.detach {
        render::line(&id)?;
        return Ok(ExitCode::SUCCESS);
    }

    let mut signals = Signals::catch(changes.tty && changes.stdin_open)?;
    let mut ending = engine.ending(&id);
    let how = Attachment { stdin: changes.stdin_open, terminal: changes.tty, detach_keys };
    let session = engine.attach(&id, &how).await?;
    if let Some(code) = making.start(&id).await? {
        return Ok(code);
    }
    let conversation = Conversation {
        engine: &engine,
        with: With::Container(&id),
        terminal: changes.tty,
        stdin: changes.stdin_open,
        ends: true,
        signals_to: Some(&id),
    };
    let talk = to_the_end(&conversation, session, &mut signals, keys, &mut ending, args.rm);
    let (code, hooks) = tokio::join!(talk, making.post_start(&id));
    let code = code?;
    match hooks {
        Ok(()) => Ok(code),
        Err(failure) => {
            render::fault(&failure.error.into());
            Ok(failed())
        }
    }
}

/// A container of `run` that is brought up.
struct Making<'a> {
    converge: Converge<'a>,
    one_off: &'a OneOff,
    /// The containers of the project that were there at first, by id.
    before: OnceCell<Vec<String>>,
}

impl Making<'_> {
    /// Brings up what the service needs, and makes the container; `start` starts it, too. Whether
    /// all of it went well.
    async fn make(&self, start: bool, renderer: &mut Renderer) -> anyhow::Result<bool> {
        let alone = self.converge.alone("run", renderer).await?;
        let (plan, observed) = self.converge.look().await?;
        self.before.get_or_init(|| observed.containers.iter().map(|found| found.id.clone()).collect());
        let made = match self.converge.prepare((plan, observed), renderer).await? {
            Err(_) => false,
            Ok((plan, _)) => {
                self.converge.agree(&plan, renderer)?;
                let plan = if start || renderer.is_dry_run() { plan } else { plan.until_last_start() };
                self.converge.run(plan, renderer).await.succeeded()
            }
        };
        alone.finish();
        Ok(made)
    }

    /// Starts the container; the exit code when it could not be.
    async fn start(&self, id: &str) -> anyhow::Result<Option<ExitCode>> {
        let action = Action::Start(Target::Known(id.to_owned()));
        let Err(failure) = self.perform(&action).await else { return Ok(None) };
        self.remove(id).await;
        let code = unstartable(&failure.error);
        render::fault(&failure.error.into());
        Ok(Some(code.unwrap_or_else(failed)))
    }

    /// Runs the hooks of a container that was started, one after the other. What they write is
    /// not shown between the words of the container.
    async fn post_start(&self, id: &str) -> Result<(), Failure> {
        for hook in &self.one_off.spec.hooks.post_start {
            let target = Target::Known(id.to_owned());
            self.perform(&Action::Run { target, event: HookEvent::PostStart, hook: hook.clone() }).await?;
        }
        Ok(())
    }

    /// Removes the container that was made for a run that is interrupted, if it was made already.
    async fn take_back(&self) {
        let Some(before) = self.before.get() else { return };
        let (project, service) = (&self.converge.project.desired.project, self.one_off.spec.name());
        let Ok(members) = self.converge.engine.members(project, service, true).await else { return };
        // One of the same name that was there before is somebody else's.
        let made =
            members.iter().find(|found| found.name == self.one_off.name && !before.contains(&found.id));
        if let Some(made) = made {
            self.remove(&made.id).await;
        }
    }

    async fn remove(&self, id: &str) {
        let action = Action::RemoveContainer { target: Target::Known(id.to_owned()), volumes: true };
        // The engine may have removed it already.
        drop(self.perform(&action).await);
    }

    async fn perform(&self, action: &Action) -> Result<(), Failure> {
        let ledger = Ledger::default();
        self.converge
            .engine
            .perform(Work { action, ledger: &ledger, deadline: None, report: &|_| {} })
            .await
            .map(drop)
    }
}

//! Consent. Nothing that loses data is done unless somebody agreed to it.

use std::io::{BufRead, IsTerminal};

use stack_plan::plan::Plan;

use crate::error::{Fault, Kind};
use crate::render;

/// Lets a plan pass that loses no data, or only data that is `allowed` to go
/// (addresses, or `all`), or when the person at the terminal says yes.
pub(crate) fn consent(plan: &Plan, allowed: &[String]) -> anyhow::Result<()> {
    let losses: Vec<String> = plan
        .data_losses()
        .into_iter()
        .map(ToString::to_string)
        .filter(|address| !allowed.iter().any(|allowed| allowed == address || allowed == "all"))
        .collect();
    if losses.is_empty() {
        return Ok(());
    }
    let list = losses.join(", ");
    if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
        render::question(&format!("{list} will be made anew, and all data in it is lost. Go on? [y/N] "));
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer)?;
        if matches!(answer.trim(), "y" | "Y" | "yes") {
            return Ok(());
        }
    }
    let flags: Vec<_> = losses.iter().map(|address| format!("--allow-data-loss {address}")).collect();
    Err(Fault::new(Kind::Consent, format!("{list} would lose its data; nothing was done"))
        .hint(format!("see it with: stackctl plan, agree with: stackctl up {}", flags.join(" ")))
        .into())
}

/// Whether these containers may be removed. Without a terminal nobody can say so.
pub(crate) fn removal(names: &[String]) -> anyhow::Result<bool> {
    let list = names.join(", ");
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return Err(Fault::new(Kind::Consent, format!("{list} would be removed; nothing was done"))
            .hint("agree with: stackctl rm --force")
            .into());
    }
    render::question(&format!("{list} will be removed. Go on? [y/N] "));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

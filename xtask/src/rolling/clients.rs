//! The clients of the stack: a program of their own, which tells what they have seen.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use anyhow::{Context, Result, bail};

use super::verdict::Figures;
use crate::first_stack::Stack;

/// Clients that write and read.
pub(super) struct Clients {
    child: Child,
    orders: Option<ChildStdin>,
    told: BufReader<ChildStdout>,
}

impl Clients {
    /// Waits until all of them are there.
    pub(super) fn gather(stack: &Stack<'_>, bench: &Path, count: u32) -> Result<Self> {
        let mut command = stack.command(bench);
        command.args(["rolling", "--door", &stack.proxy()?.to_string(), "--clients", &count.to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("server-bench cannot be run")?;
        let orders = child.stdin.take();
        let told = BufReader::new(child.stdout.take().context("no output")?);
        let mut clients = Self { child, orders, told };
        let line = clients.line()?;
        if line.trim() != "ready" {
            bail!("the clients did not come: {line:?}");
        }
        Ok(clients)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.told.read_line(&mut line).context("the clients cannot be heard")?;
        Ok(line)
    }

    /// From now on, who is away does not count.
    pub(super) fn stop_counting(&mut self) -> Result<()> {
        let orders = self.orders.as_mut().context("the clients are gone")?;
        writeln!(orders, "stop counting").context("the clients cannot be told anything")
    }

    /// Lets them go, and returns what they have seen.
    pub(super) fn leave(mut self) -> Result<Figures> {
        self.orders = None;
        let line = self.line()?;
        let status = self.child.wait()?;
        serde_json::from_str(&line).with_context(|| format!("the clients ended with {status}: {line:?}"))
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

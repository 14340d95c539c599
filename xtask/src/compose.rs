//! docker compose, which some chores compare stackctl with.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

/// What names the program of docker compose, where it is not a plugin of docker.
pub(crate) const VARIABLE: &str = "STACKCTL_COMPOSE";

/// How docker compose is called here, if it is: the program that is named, that of the
/// variable, or docker's plugin.
pub(crate) fn find(named: Option<&Path>) -> Result<Option<Vec<String>>> {
    let variable = std::env::var_os(VARIABLE).map(PathBuf::from);
    if let Some(path) = named.or(variable.as_deref()) {
        let path = std::path::absolute(path)?;
        if !path.is_file() {
            bail!("{} is not there", path.display());
        }
        return Ok(Some(vec![path.display().to_string()]));
    }
    let version = Command::new("docker").args(["compose", "version"]).stdin(Stdio::null()).output();
    let works = version.is_ok_and(|output| output.status.success());
    Ok(works.then(|| vec!["docker".to_owned(), "compose".to_owned()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_refused() {
        assert!(find(Some(Path::new("/nowhere/docker-compose"))).is_err());
    }
}

//! One run at a time changes a project: a lock of the operating system on a file, which ends
//! with the process that holds it, however that ends. The file keeps who had it last, until
//! that one says that it has come to its end: so a broken run is known.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

/// The file that stands for one project on one engine.
#[derive(Clone, Debug)]
pub struct Place {
    path: PathBuf,
}

/// A lock that is held. It ends when it is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
    broken: Option<Holder>,
}

impl Lock {
    /// Who had the lock before and was broken off at its work.
    #[must_use]
    pub fn broken(&self) -> Option<&Holder> {
        self.broken.as_ref()
    }

    /// Ends the lock after work that has come to its end, well or not.
    pub fn finish(self) {
        // A name that stays only makes the next one look more closely.
        let _: io::Result<()> = self.file.set_len(0);
    }
}

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// The machine that it runs on.
    pub host: String,
    /// The command, as `up`.
    pub command: String,
    /// When it got the lock.
    #[serde(with = "time::serde::timestamp")]
    pub since: OffsetDateTime,
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be locked: {source}", path.display())]
pub struct LockError {
    path: PathBuf,
    source: io::Error,
}

impl Place {
    /// The file in `directory` for a project on the engine at this address.
    #[must_use]
    pub fn of(directory: &Path, engine: &str, project: &str) -> Self {
        let digest = Sha256::digest(format!("{}\n{project}", resolved(engine)));
        let hex: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Self { path: directory.join(format!("{project}-{hex}.lock")) }
    }

    /// Takes the lock, and waits for it as long as another holds it; `waiting` is told once
    /// for whom, if that can be read. Dropping the future gives up.
    ///
    /// # Errors
    /// When the file cannot be made, opened or locked.
    pub async fn take(&self, command: &str, waiting: impl FnOnce(Option<Holder>)) -> Result<Lock, LockError> {
        let file = self.open().map_err(|source| self.error(source))?;
        let file = match file.try_lock() {
            Ok(()) => file,
            Err(TryLockError::Error(source)) => return Err(self.error(source)),
            Err(TryLockError::WouldBlock) => {
                waiting(self.holder());
                // A thread that waits for the system cannot be called back; when nobody
                // listens any more, what it gets is let go at once.
                let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
                locked.map_err(io::Error::other).flatten().map_err(|source| self.error(source))?
            }
        };
        // Who holds it is for people alone: a lock without a name is a lock.
        let broken = self.holder();
        let _: io::Result<()> = sign(&file, command);
        Ok(Lock { file, broken })
    }

    fn open(&self) -> io::Result<File> {
        if let Some(directory) = self.path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&self.path)
    }

    fn holder(&self) -> Option<Holder> {
        let mut text = String::new();
        File::open(&self.path).ok()?.read_to_string(&mut text).ok()?;
        serde_json::from_str(&text).ok()
    }

    fn error(&self, source: io::Error) -> LockError {
        LockError { path: self.path.clone(), source }
    }
}

/// The address of an engine with every link in a socket's path followed: `/var/run` is `/run`.
fn resolved(engine: &str) -> String {
    let path = engine.strip_prefix("unix://").map(Path::new);
    match path.and_then(|path| path.canonicalize().ok()) {
        Some(path) => format!("unix://{}", path.display()),
        None => engine.to_owned(),
    }
}

fn sign(mut file: &File, command: &str) -> io::Result<()> {
    let holder = Holder {
        pid: std::process::id(),
        host: host(),
        command: command.to_owned(),
        since: OffsetDateTime::now_utc(),
    };
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(serde_json::to_string(&holder)?.as_bytes())
}

/// The name of this machine.
#[must_use]
pub fn host() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let variable = || std::env::var("HOSTNAME").or_else(|_| std::env::var("COMPUTERNAME")).ok();
    kernel.or_else(variable).map_or("this machine".to_owned(), |name| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(test: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(test)
    }

    #[test]
    fn the_second_waits_for_the_first_and_is_told_for_whom() {
        let directory = tempfile::tempdir().expect("a directory");
        let place = Place::of(directory.path(), "unix:///nowhere", "shop");
        run(async {
            let first = place.take("up", |_| panic!("nobody has it")).await.expect("a lock");
            let told = std::cell::RefCell::new(None);
            let mut waiting = std::pin::pin!(place.take("down", |holder| *told.borrow_mut() = holder));
            tokio::select! {
                biased;
                _ = &mut waiting => panic!("two have it"),
                () = tokio::task::yield_now() => {}
            }
            drop(first);
            let second = waiting.await.expect("a lock");
            let told = told.take().expect("somebody has it");
            assert_eq!((told.pid, told.command.as_str()), (std::process::id(), "up"));
            assert_eq!(place.holder().expect("a holder").command, "down");
            assert_eq!(second.broken().expect("the first did not say that it has ended").command, "up");
            second.finish();
            assert!(place.take("up", |_| ()).await.expect("a lock").broken().is_none());
        });
    }

    #[test]
    fn another_project_and_another_engine_have_locks_of_their_own() {
        let directory = tempfile::tempdir().expect("a directory");
        let place = |engine, project| Place::of(directory.path(), engine, project);
        run(async {
            let mut locks = Vec::new();
            for (engine, project) in [("unix:///a", "shop"), ("unix:///a", "blog"), ("tcp://b:1", "shop")] {
                locks.push(place(engine, project).take("up", |_| panic!("taken")).await.expect("a lock"));
            }
        });
    }

    #[test]
    fn who_gives_up_waiting_leaves_nothing_behind() {
        let directory = tempfile::tempdir().expect("a directory");
        let place = Place::of(directory.path(), "unix:///nowhere", "shop");
        run(async {
            let first = place.take("up", |_| ()).await.expect("a lock");
            {
                let mut waiting = std::pin::pin!(place.take("up", |_| ()));
                tokio::select! {
                    biased;
                    _ = &mut waiting => panic!("two have it"),
                    () = tokio::task::yield_now() => {}
                }
            }
            drop(first);
            place.take("up", |_| ()).await.expect("a lock");
        });
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_told() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("file");
        std::fs::write(&file, "").expect("a file");
        let error = run(Place::of(&file, "unix:///a", "shop").take("up", |_| ())).expect_err("no directory");
        assert!(error.to_string().contains("cannot be locked"), "{error}");
    }
}

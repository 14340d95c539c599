//! Listens to the file system, and tells of changes when it is quiet again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode};
use notify::{ErrorKind, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use super::changes::Changes;
use super::scope::Scope;
use super::tree::Tree;

/// So long nothing must happen before changes are told: what a program writes in a burst is one change.
const QUIET: Duration = Duration::from_millis(200);
/// So long a burst may last before it is told of all the same.
const LONGEST: Duration = Duration::from_secs(10);
/// Whether each directory is listened to by itself, which leaves out those that no rule is about;
/// elsewhere the system listens to whole trees at no cost.
const EACH: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// Listens to the files that some rules are about.
#[derive(Debug)]
pub struct Watcher {
    changes: mpsc::UnboundedReceiver<Changes>,
    messages: Sender<Message>,
    files: usize,
}

/// Why files cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The system has no room for another watch.
    #[error("the system watches no more directories: its limit is reached")]
    Limit,
    /// The system does not watch.
    #[error("{}: cannot be watched: {error}", path.display())]
    Unwatchable {
        /// The path.
        path: PathBuf,
        /// Why.
        error: notify::Error,
    },
    /// The thread that listens has ended.
    #[error("nothing is watched any more")]
    Ended,
}

impl WatchError {
    /// What to do next, one sentence.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Limit => Some(
                "raise it with: sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512, \
                 or leave directories out with `ignore`",
            ),
            _ => None,
        }
    }
}

#[derive(Debug)]
enum Message {
    Event(notify::Result<notify::Event>),
    Stop,
}

impl Watcher {
    /// Looks at all the files that the rules are about, and listens from then on.
    ///
    /// # Errors
    /// When the system does not watch.
    pub async fn open(scopes: Vec<Arc<Scope>>) -> Result<Self, WatchError> {
        let (messages, heard) = channel();
        let to_thread = messages.clone();
        let opened = tokio::task::spawn_blocking(move || Listener::open(scopes, to_thread));
        let listener = opened.await.map_err(|_| WatchError::Ended)??;
        let (sender, changes) = mpsc::unbounded_channel();
        let files = listener.tree.files();
        std::thread::spawn(move || listener.run(&heard, &sender));
        Ok(Self { changes, messages, files })
    }

    /// How many files there were at first.
    #[must_use]
    pub fn files(&self) -> usize {
        self.files
    }

    /// All the files that a rule is about, as if they had just come.
    ///
    /// # Errors
    /// When the thread that looks breaks down.
    pub async fn all(&self, scope: &Arc<Scope>) -> Result<Changes, WatchError> {
        let scope = Arc::clone(scope);
        let looked = tokio::task::spawn_blocking(move || {
            let mut changes = Changes::default();
            let root = scope.root().to_owned();
            Tree::new(vec![scope]).refresh(&root, &mut changes, &mut |_| {});
            changes
        });
        looked.await.map_err(|_| WatchError::Ended)
    }

    /// Waits for changes; all that came since they were last asked for. Nothing is lost when the
    /// wait is given up.
    ///
    /// # Errors
    /// When nothing is watched any more.
    pub async fn changed(&mut self) -> Result<Changes, WatchError> {
        loop {
            let mut changes = self.changes.recv().await.ok_or(WatchError::Ended)?;
            while let Ok(later) = self.changes.try_recv() {
                changes.append(later);
            }
            if !changes.is_empty() {
                return Ok(changes);
            }
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // A thread that has ended needs no word.
        let _ = self.messages.send(Message::Stop);
    }
}

/// The thread that listens.
struct Listener {
    tree: Tree,
    system: RecommendedWatcher,
}

impl Listener {
    fn open(scopes: Vec<Arc<Scope>>, messages: Sender<Message>) -> Result<Self, WatchError> {
        let tell = move |event| {
            // It has been stopped if nobody listens.
            let _ = messages.send(Message::Event(event));
        };
        let system =
            notify::recommended_watcher(tell).map_err(|error| told(error, Path::new("the file system")))?;
        let mut listener = Self { tree: Tree::new(scopes), system };
        let roots: Vec<PathBuf> = listener.tree.roots().map(Path::to_owned).collect();
        for root in roots {
            listener.watch_root(&root)?;
            listener.refresh(&root, &mut Changes::default())?;
        }
        Ok(listener)
    }

    /// Listens to what a rule names, or to the nearest directory that is there: a file is replaced
    /// rather than written by many editors, and what is not there may come.
    fn watch_root(&mut self, root: &Path) -> Result<(), WatchError> {
        if root.is_dir() {
            let mode = if EACH { RecursiveMode::NonRecursive } else { RecursiveMode::Recursive };
            watch(&mut self.system, root, mode)?;
        }
        // A directory that is removed or renamed is only told of by the one above it.
        let above = root.ancestors().skip(1).find(|above| above.is_dir());
        match above.filter(|above| !self.tree.roots().any(|other| above.starts_with(other))) {
            Some(above) => watch(&mut self.system, above, RecursiveMode::NonRecursive),
            None => Ok(()),
        }
    }

    fn refresh(&mut self, path: &Path, changes: &mut Changes) -> Result<(), WatchError> {
        let (tree, system) = (&mut self.tree, &mut self.system);
        let mut fault = None;
        let mut enter = |directory: &Path| {
            if EACH && let Err(error) = watch(system, directory, RecursiveMode::NonRecursive) {
                fault.get_or_insert(error);
            }
        };
        tree.refresh(path, changes, &mut enter);
        fault.map_or(Ok(()), Err)
    }

    fn run(mut self, heard: &Receiver<Message>, sender: &mpsc::UnboundedSender<Changes>) {
        while let Ok(message) = heard.recv() {
            let mut dirty = BTreeSet::new();
            if self.note(message, &mut dirty).is_err() {
                return;
            }
            if dirty.is_empty() {
                continue;
            }
            let begun = Instant::now();
            while begun.elapsed() < LONGEST {
                match heard.recv_timeout(QUIET) {
                    Ok(message) => {
                        if self.note(message, &mut dirty).is_err() {
                            return;
                        }
                    }
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
            let mut changes = Changes::default();
            for path in &dirty {
                // What is below another path is looked at with it.
                if path.ancestors().skip(1).any(|above| dirty.contains(above)) && !path.is_file() {
                    continue;
                }
                if self.refresh(path, &mut changes).is_err() {
                    // Without room for another watch nobody would know what is missed.
                    return;
                }
            }
            let missing: Vec<PathBuf> =
                self.tree.roots().filter(|root| !root.exists()).map(Path::to_owned).collect();
            if missing.iter().any(|root| self.watch_root(root).is_err()) {
                return;
            }
            if !changes.is_empty() && sender.send(changes).is_err() {
                return;
            }
        }
    }

    /// Keeps the paths that a message is about; an error says that it is time to end.
    fn note(&self, message: Message, dirty: &mut BTreeSet<PathBuf>) -> Result<(), ()> {
        let event = match message {
            Message::Stop => return Err(()),
            // What was missed is found by looking at everything.
            Message::Event(Err(_)) => {
                dirty.extend(self.tree.roots().map(Path::to_owned));
                return Ok(());
            }
            Message::Event(Ok(event)) => event,
        };
        if event.need_rescan() {
            dirty.extend(self.tree.roots().map(Path::to_owned));
        }
        match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => {}
            // Reading changes nothing, and we read ourselves.
            EventKind::Access(_) => return Ok(()),
            _ => {}
        }
        dirty.extend(event.paths.into_iter().filter(|path| self.tree.concerns(path)));
        Ok(())
    }
}

fn watch(system: &mut RecommendedWatcher, path: &Path, mode: RecursiveMode) -> Result<(), WatchError> {
    match system.watch(path, mode) {
        Ok(()) => Ok(()),
        // It went away meanwhile, or must not be read: there is nothing to be seen in it then.
        Err(error) if is_absent(&error) => Ok(()),
        Err(error) => Err(told(error, path)),
    }
}

fn is_absent(error: &notify::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    match &error.kind {
        ErrorKind::PathNotFound => true,
        ErrorKind::Io(error) => matches!(error.kind(), NotFound | NotADirectory | PermissionDenied),
        _ => false,
    }
}

fn told(error: notify::Error, path: &Path) -> WatchError {
    match &error.kind {
        ErrorKind::MaxFilesWatch => WatchError::Limit,
        // Too many instances of inotify, which notify does not tell apart.
        ErrorKind::Io(io) if io.raw_os_error() == Some(24) => WatchError::Limit,
        _ => WatchError::Unwatchable { path: path.to_owned(), error },
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The names of what has changed.
    fn names(changes: &Changes) -> Vec<String> {
        let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
        changes.iter().map(|(path, _)| name(path)).collect()
    }

    async fn open(root: &Path) -> Watcher {
        Watcher::open(vec![Arc::new(Scope::new(root, &[], &["skip".to_owned()], None).expect("patterns"))])
            .await
            .expect("a watcher")
    }

    #[tokio::test]
    async fn thousands_of_files_that_come_at_once_are_one_change() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("root");
        let beside = folder.path().join("beside");
        fs::create_dir_all(&root).expect("made");
        fs::create_dir_all(beside.join("deep")).expect("made");
        for number in 0..3000 {
            fs::write(beside.join(format!("deep/{number}")), number.to_string()).expect("written");
        }
        let mut watcher = open(&root).await;
        assert_eq!(watcher.files(), 0);
        fs::rename(&beside, root.join("all")).expect("renamed");
        let changes = watcher.changed().await.expect("changes");
        assert_eq!(changes.iter().count(), 3002);
        // What is in a directory that came is watched, too.
        fs::write(root.join("all/deep/7"), "another").expect("written");
        assert_eq!(names(&watcher.changed().await.expect("changes")), ["7"]);
    }

    #[tokio::test]
    async fn what_is_written_as_it_was_or_left_out_is_no_change() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        fs::create_dir(root.join("skip")).expect("made");
        fs::write(root.join("a"), "1").expect("written");
        let mut watcher = open(root).await;
        fs::write(root.join("a"), "1").expect("written");
        fs::write(root.join("skip/b"), "1").expect("written");
        fs::write(root.join("c"), "1").expect("written");
        assert_eq!(names(&watcher.changed().await.expect("changes")), ["c"]);
    }

    #[tokio::test]
    async fn a_file_is_followed_through_its_replacement_and_what_is_not_there_may_come() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, later) = (folder.path().join("package.json"), folder.path().join("dist/deep"));
        fs::write(&file, "1").expect("written");
        let scope = |path: &Path| Arc::new(Scope::new(path, &[], &[], None).expect("patterns"));
        let mut watcher = Watcher::open(vec![scope(&file), scope(&later)]).await.expect("a watcher");
        for text in ["2", "3"] {
            let beside = folder.path().join("package.json.new");
            fs::write(&beside, text).expect("written");
            fs::rename(&beside, &file).expect("renamed");
            assert_eq!(names(&watcher.changed().await.expect("changes")), ["package.json"]);
        }
        fs::create_dir_all(&later).expect("made");
        fs::write(later.join("a"), "1").expect("written");
        let mut seen = names(&watcher.changed().await.expect("changes"));
        while !seen.contains(&"a".to_owned()) {
            seen.extend(names(&watcher.changed().await.expect("changes")));
        }
        fs::write(later.join("a"), "2").expect("written");
        assert_eq!(names(&watcher.changed().await.expect("changes")), ["a"]);
    }
}

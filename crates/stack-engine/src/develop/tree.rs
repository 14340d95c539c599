//! What is in the files that are watched. A change is one of content, not of times: a file that is
//! written again as it was has not changed.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::changes::{Change, Changes, Kind};
use super::scope::Scope;

/// How much of a file is read at once, bytes.
const PIECE: usize = 64 * 1024;

/// The files that some rules are about, with what is in them.
#[derive(Debug, Default)]
pub(super) struct Tree {
    scopes: Vec<Arc<Scope>>,
    entries: BTreeMap<PathBuf, Entry>,
}

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    content: Content,
    /// What tells that the file need not be read again, where nothing was told of it.
    stamp: Option<Stamp>,
}

#[derive(Debug, PartialEq, Eq)]
enum Content {
    File { digest: [u8; 32], mode: u32 },
    Link(PathBuf),
    Directory,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: SystemTime,
    mode: u32,
}

impl Entry {
    fn kind(&self) -> Kind {
        match self.content {
            Content::File { .. } => Kind::File,
            Content::Link(_) => Kind::Link,
            Content::Directory => Kind::Directory,
        }
    }
}

impl Tree {
    pub(super) fn new(scopes: Vec<Arc<Scope>>) -> Self {
        Self { scopes, entries: BTreeMap::new() }
    }

    /// The paths that the rules name.
    pub(super) fn roots(&self) -> impl Iterator<Item = &Path> {
        self.scopes.iter().map(|scope| scope.root())
    }

    /// How many files there are.
    pub(super) fn files(&self) -> usize {
        self.entries.values().filter(|entry| entry.kind() != Kind::Directory).count()
    }

    /// Whether some rule may be about this path or something below it.
    pub(super) fn concerns(&self, path: &Path) -> bool {
        let mut roots = self.roots();
        roots.any(|root| path.starts_with(root) || root.starts_with(path))
    }

    /// Looks at a path again, and at all below it, and adds what is different from before.
    /// `enter` is told of each directory before it is read. What vanishes or cannot be read
    /// meanwhile is taken for absent: it is told of again when it can be.
    pub(super) fn refresh(&mut self, path: &Path, changes: &mut Changes, enter: &mut dyn FnMut(&Path)) {
        // A path above a root is looked at where the rules begin.
        let below: Vec<PathBuf> = (self.roots())
            .filter(|root| root.starts_with(path) && *root != path)
            .map(Path::to_owned)
            .collect();
        for root in below {
            self.look(&root, false, changes, enter);
        }
        if self.roots().any(|root| path.starts_with(root)) {
            self.look(path, true, changes, enter);
        }
    }

    /// Looks at a path. `told` says that its content may be another one whatever its times say.
    fn look(&mut self, path: &Path, told: bool, changes: &mut Changes, enter: &mut dyn FnMut(&Path)) {
        let metadata = fs::symlink_metadata(path).ok();
        let directory = metadata.as_ref().is_some_and(Metadata::is_dir);
        if directory && self.scopes.iter().any(|scope| scope.enters(path)) {
            enter(path);
            self.set(path, Some(Entry { content: Content::Directory, stamp: None }), changes);
            let mut names: Vec<PathBuf> = match fs::read_dir(path) {
                Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
                Err(_) => Vec::new(),
            };
            names.sort();
            // What was there and is not any more.
            let gone: Vec<PathBuf> = (self.below(path))
                .filter(|known| {
                    names.binary_search_by(|name| name.as_path().cmp(child(path, known))).is_err()
                })
                .map(Path::to_owned)
                .collect();
            gone.iter().for_each(|path| self.set(path, None, changes));
            for name in names {
                self.look(&name, false, changes, enter);
            }
            return;
        }
        // Whatever stands here now, it has nothing below it.
        let gone: Vec<PathBuf> = self.below(path).map(Path::to_owned).collect();
        gone.iter().for_each(|path| self.set(path, None, changes));
        let watched = self.scopes.iter().any(|scope| scope.has(path, directory));
        let entry = metadata.filter(|_| watched && !directory).and_then(|metadata| {
            let known = self.entries.get(path);
            let stamp = stamp(&metadata);
            match known.filter(|known| !told && known.stamp.is_some() && known.stamp == stamp) {
                Some(_) => Some(None),
                None => read(path, &metadata).ok().map(|content| Some(Entry { content, stamp })),
            }
        });
        match entry {
            // It is as it was.
            Some(None) => {}
            Some(Some(entry)) => self.set(path, Some(entry), changes),
            None => self.set(path, None, changes),
        }
    }

    /// All that is known below a path, without the path itself.
    fn below(&self, path: &Path) -> impl Iterator<Item = &Path> {
        let path = path.to_owned();
        let from = self.entries.range::<Path, _>((Bound::Excluded(path.as_path()), Bound::Unbounded));
        from.map(|(known, _)| known.as_path()).take_while(move |known| known.starts_with(&path))
    }

    fn set(&mut self, path: &Path, entry: Option<Entry>, changes: &mut Changes) {
        let old = self.entries.get(path);
        let same = match (old, &entry) {
            (None, None) => true,
            (Some(old), Some(new)) => old.content == new.content,
            _ => false,
        };
        let change = Change { was: old.map(Entry::kind), now: entry.as_ref().map(Entry::kind) };
        match entry {
            Some(entry) => drop(self.entries.insert(path.to_owned(), entry)),
            None => drop(self.entries.remove(path)),
        }
        if !same {
            changes.add(path.to_owned(), change);
        }
    }
}

/// The path directly below `directory` on the way to `path`.
fn child<'a>(directory: &Path, path: &'a Path) -> &'a Path {
    path.ancestors().find(|above| above.parent() == Some(directory)).unwrap_or(path)
}

fn stamp(metadata: &Metadata) -> Option<Stamp> {
    Some(Stamp { length: metadata.len(), modified: metadata.modified().ok()?, mode: mode(metadata) })
}

fn read(path: &Path, metadata: &Metadata) -> io::Result<Content> {
    if metadata.is_symlink() {
        return fs::read_link(path).map(Content::Link);
    }
    if !metadata.is_file() {
        // Pipes and sockets have no content of their own, and reading one would not end.
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut file = File::open(path)?;
    let (mut digest, mut piece) = (Sha256::new(), vec![0; PIECE]);
    loop {
        match file.read(&mut piece)? {
            0 => break,
            count => digest.update(&piece[..count]),
        }
    }
    Ok(Content::File { digest: digest.finalize().into(), mode: mode(metadata) })
}

#[cfg(unix)]
fn mode(metadata: &Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o7777
}

#[cfg(not(unix))]
fn mode(metadata: &Metadata) -> u32 {
    if metadata.permissions().readonly() { 0o444 } else { 0o644 }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixture {
        folder: tempfile::TempDir,
        root: PathBuf,
        tree: Tree,
    }

    impl Fixture {
        fn new(ignore: &[&str]) -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let root = folder.path().canonicalize().expect("a path");
            let ignore: Vec<_> = ignore.iter().map(|text| (*text).to_owned()).collect();
            let tree = Tree::new(vec![Arc::new(Scope::new(&root, &[], &ignore, None).expect("patterns"))]);
            Self { folder, root, tree }
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.root.join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, text).expect("written");
        }

        /// What is different at a path, each as `path was>now`.
        fn refresh(&mut self, path: &str) -> Vec<String> {
            let mut changes = Changes::default();
            let path = if path.is_empty() { self.root.clone() } else { self.root.join(path) };
            self.tree.refresh(&path, &mut changes, &mut |_| {});
            let kind = |kind: Option<Kind>| kind.map_or("-".to_owned(), |kind| format!("{kind:?}"));
            let show = |(path, change): (&Path, Change)| {
                let path = path.strip_prefix(&self.root).expect("below").display().to_string();
                format!("{path} {}>{}", kind(change.was), kind(change.now))
            };
            changes.iter().map(show).collect()
        }
    }

    #[test]
    fn only_another_content_is_a_change() {
        let mut fixture = Fixture::new(&[]);
        fixture.write("a", "1");
        assert_eq!(fixture.refresh(""), [" ->Directory", "a ->File"]);
        fixture.write("a", "1");
        assert_eq!(fixture.refresh("a"), Vec::<String>::new());
        fixture.write("a", "2");
        assert_eq!(fixture.refresh("a"), ["a File>File"]);
        assert_eq!(fixture.tree.files(), 1);
        drop(fixture.folder);
    }

    #[test]
    fn what_comes_and_goes_below_a_directory_is_found() {
        let mut fixture = Fixture::new(&["skip"]);
        fixture.write("d/a", "1");
        fixture.write("d/e/b", "1");
        fixture.write("skip/c", "1");
        assert_eq!(fixture.refresh("").len(), 5);
        fs::remove_dir_all(fixture.root.join("d/e")).expect("removed");
        fixture.write("d-not", "");
        assert_eq!(fixture.refresh("d"), ["d/e Directory>-", "d/e/b File>-"]);
        assert_eq!(fixture.refresh("d-not"), ["d-not ->File"]);
        fs::remove_dir_all(fixture.root.join("d")).expect("removed");
        fixture.write("d", "a file");
        assert_eq!(fixture.refresh("d"), ["d Directory>File", "d/a File>-"]);
        fixture.write("skip/d", "1");
        assert_eq!(fixture.refresh("skip"), Vec::<String>::new());
    }

    #[cfg(unix)]
    #[test]
    fn rights_and_links_are_content_and_pipes_are_not() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let mut fixture = Fixture::new(&[]);
        fixture.write("run", "1");
        symlink("run", fixture.root.join("link")).expect("linked");
        fixture.refresh("");
        fs::set_permissions(fixture.root.join("run"), fs::Permissions::from_mode(0o755)).expect("set");
        assert_eq!(fixture.refresh("run"), ["run File>File"]);
        fs::remove_file(fixture.root.join("link")).expect("removed");
        symlink("elsewhere", fixture.root.join("link")).expect("linked");
        assert_eq!(fixture.refresh("link"), ["link Link>Link"]);
        let _socket = std::os::unix::net::UnixListener::bind(fixture.root.join("socket")).expect("bound");
        assert_eq!(fixture.refresh("socket"), Vec::<String>::new());
    }
}

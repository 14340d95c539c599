//! Folders that a build reads: BuildKit asks for what it does not have yet.

use std::collections::{BTreeMap, HashSet};
use std::fs::{File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use bollard::fsutil::types::packet::PacketType;
use bollard::fsutil::types::{Packet, Stat};
use bollard::moby::filesync::v1::file_sync_server::FileSync;
use futures_util::{Stream, stream};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use crate::image::context::{Context, ContextError};

/// How many packets wait for the engine at most.
const PACKETS: usize = 64;
/// How much of a file goes into a packet, bytes.
const PIECE: usize = 64 * 1024;

/// Bits of Go's file modes.
const GO_DIRECTORY: u32 = 1 << 31;
const GO_SYMLINK: u32 = 1 << 27;
const GO_SETUID: u32 = 1 << 23;
const GO_SETGID: u32 = 1 << 22;
const GO_STICKY: u32 = 1 << 20;

/// A folder that the engine may ask for.
pub(super) enum Folder {
    /// What is on the disk.
    Context(Context),
    /// One file, made here: its name and what is in it.
    Text(String, Vec<u8>),
}

/// What went wrong with a folder, for whoever reports the failure of the build.
pub(super) type Fault = Arc<Mutex<Option<ContextError>>>;

/// The folders of a build by name.
pub(super) struct Folders {
    pub(super) folders: BTreeMap<String, Arc<Folder>>,
    pub(super) fault: Fault,
}

type Packets = Pin<Box<dyn Stream<Item = Result<Packet, Status>> + Send>>;
type Sender = mpsc::Sender<Result<Packet, Status>>;

#[tonic::async_trait]
impl FileSync for Folders {
    type DiffCopyStream = Packets;
    type TarStreamStream = Packets;

    async fn diff_copy(&self, request: Request<Streaming<Packet>>) -> Result<Response<Packets>, Status> {
        let name = texts(request.metadata(), "dir-name").into_iter().next().unwrap_or_default();
        let wanted = texts(request.metadata(), "followpaths");
        let Some(folder) = self.folders.get(&name).cloned() else {
            return Err(Status::not_found(format!("the build has no folder {name}")));
        };
        let fault = Arc::clone(&self.fault);
        let mut incoming = request.into_inner();
        // Requests are taken at once: the engine sends none while it is not heard.
        let (asks, mut asked) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok(Some(packet)) = incoming.message().await {
                if asks.send(packet).is_err() {
                    break;
                }
            }
        });
        let (sender, receiver) = mpsc::channel(PACKETS);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = send(&folder, &wanted, &mut asked, &sender) {
                let told = error.to_string();
                if let Ok(mut fault) = fault.lock() {
                    fault.get_or_insert(error);
                }
                let _ = sender.blocking_send(Err(Status::failed_precondition(told)));
            }
        });
        let packets = stream::unfold(receiver, |mut receiver| async move {
            let packet = receiver.recv().await?;
            Some((packet, receiver))
        });
        Ok(Response::new(Box::pin(packets)))
    }

    async fn tar_stream(&self, _: Request<Streaming<Packet>>) -> Result<Response<Packets>, Status> {
        Err(Status::unimplemented("folders are sent file by file"))
    }
}

/// A list of texts that the engine sends beside its request.
fn texts(metadata: &MetadataMap, key: &str) -> Vec<String> {
    let encoded = metadata.get(format!("{key}-encoded")).is_some();
    let values = metadata.get_all(key).iter().filter_map(|value| value.to_str().ok());
    values.map(|value| if encoded { decoded(value) } else { value.to_owned() }).collect()
}

/// A text in which `%2F` stands for `/`, and `+` for a space.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits: Vec<u8> = rest.by_ref().take(2).collect();
                let number = std::str::from_utf8(&digits).ok();
                number.and_then(|digits| u8::from_str_radix(digits, 16).ok()).unwrap_or(b'%')
            }
            byte => byte,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Tells what is in the folder, then sends what is asked for. The receiver's going away is no error.
fn send(
    folder: &Folder,
    wanted: &[String],
    asked: &mut mpsc::UnboundedReceiver<Packet>,
    sender: &Sender,
) -> Result<(), ContextError> {
    let mut files: Vec<Option<(PathBuf, Metadata)>> = Vec::new();
    match folder {
        Folder::Text(name, text) => {
            let size = i64::try_from(text.len()).unwrap_or(i64::MAX);
            let mod_time = time_of(text);
            let stat = Stat { path: name.clone(), mode: 0o644, size, mod_time, ..Stat::default() };
            if sender.blocking_send(Ok(told(Some(stat)))).is_err() {
                return Ok(());
            }
        }
        Folder::Context(context) => {
            let entries = context.list(false)?;
            let links: HashSet<&str> = entries
                .iter()
                .filter(|entry| entry.metadata.is_symlink())
                .map(|entry| entry.path.as_str())
                .collect();
            let choice = Choice::of(wanted, &links);
            for entry in &entries {
                if !choice.takes(&entry.path) {
                    continue;
                }
                let full = context.directory().join(&entry.path);
                let stat = stat(&entry.path, &full, &entry.metadata)?;
                let Some(stat) = stat else { continue };
                files.push(entry.metadata.is_file().then(|| (full, entry.metadata.clone())));
                if sender.blocking_send(Ok(told(Some(stat)))).is_err() {
                    return Ok(());
                }
            }
        }
    }
    if sender.blocking_send(Ok(told(None))).is_err() {
        return Ok(());
    }
    while let Some(packet) = asked.blocking_recv() {
        match PacketType::try_from(packet.r#type) {
            Ok(PacketType::PacketReq) => {
                let gone = match folder {
                    Folder::Text(_, text) => send_data(packet.id, text, sender),
                    Folder::Context(_) => {
                        let file = usize::try_from(packet.id).ok().and_then(|at| files.get(at)?.as_ref());
                        match file {
                            Some((path, metadata)) => send_file(packet.id, path, metadata, sender)?,
                            None => data(packet.id, Vec::new(), sender),
                        }
                    }
                };
                if gone {
                    return Ok(());
                }
            }
            Ok(PacketType::PacketFin) => {
                let end = Packet { r#type: PacketType::PacketFin.into(), ..Packet::default() };
                let _ = sender.blocking_send(Ok(end));
                return Ok(());
            }
            _ => return Ok(()),
        }
    }
    Ok(())
}

/// A time that stands for a content: the engine takes a file of the same size and time for the
/// one that it has.
fn time_of(text: &[u8]) -> i64 {
    let digest = Sha256::digest(text);
    digest[..7].iter().fold(0, |time, byte| (time << 8) | i64::from(*byte))
}

fn told(stat: Option<Stat>) -> Packet {
    Packet { r#type: PacketType::PacketStat.into(), stat, ..Packet::default() }
}

/// Sends a piece of a file, and says whether nobody is there to get it.
fn data(id: u32, data: Vec<u8>, sender: &Sender) -> bool {
    let packet = Packet { r#type: PacketType::PacketData.into(), id, data, stat: None };
    sender.blocking_send(Ok(packet)).is_err()
}

fn send_data(id: u32, bytes: &[u8], sender: &Sender) -> bool {
    bytes.chunks(PIECE).any(|piece| data(id, piece.to_vec(), sender)) || data(id, Vec::new(), sender)
}

/// Sends a file; one that is not any more what was told of it is an error.
fn send_file(id: u32, path: &Path, then: &Metadata, sender: &Sender) -> Result<bool, ContextError> {
    let unreadable = |error| ContextError::Unreadable { path: path.to_owned(), error };
    let changed = || ContextError::Changed(path.to_owned());
    let mut file = File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => changed(),
        _ => unreadable(error),
    })?;
    let mut sent = 0u64;
    let mut buffer = vec![0; PIECE];
    loop {
        let count = file.read(&mut buffer).map_err(unreadable)?;
        sent += count as u64;
        if sent > then.len() || (count == 0 && sent < then.len()) {
            return Err(changed());
        }
        if count == 0 {
            break;
        }
        if data(id, buffer[..count].to_vec(), sender) {
            return Ok(true);
        }
    }
    let now = file.metadata().map_err(unreadable)?;
    if now.modified().ok() != then.modified().ok() {
        return Err(changed());
    }
    Ok(data(id, Vec::new(), sender))
}

/// What the engine is told of a file; `None` for sockets and pipes, which nothing could copy.
fn stat(path: &str, full: &Path, metadata: &Metadata) -> Result<Option<Stat>, ContextError> {
    let mut stat = Stat { path: path.to_owned(), mode: permissions(metadata), ..Stat::default() };
    let since = metadata.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    stat.mod_time = since.and_then(|since| i64::try_from(since.as_nanos()).ok()).unwrap_or_default();
    if metadata.is_dir() {
        stat.mode |= GO_DIRECTORY;
    } else if metadata.is_symlink() {
        let target = std::fs::read_link(full)
            .map_err(|error| ContextError::Unreadable { path: full.to_owned(), error })?;
        stat.mode |= GO_SYMLINK;
        stat.linkname = target.to_string_lossy().into_owned();
    } else if metadata.is_file() {
        stat.size = i64::try_from(metadata.len()).unwrap_or(i64::MAX);
    } else {
        return Ok(None);
    }
    Ok(Some(stat))
}

#[cfg(unix)]
fn permissions(metadata: &Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    let mode = metadata.permissions().mode();
    let special = [(0o4000, GO_SETUID), (0o2000, GO_SETGID), (0o1000, GO_STICKY)];
    let special: u32 = special.iter().filter(|(bit, _)| mode & bit != 0).map(|(_, go)| go).sum();
    (mode & 0o777) | special
}

#[cfg(not(unix))]
fn permissions(_: &Metadata) -> u32 {
    0o755
}

/// Which paths of a folder the engine wants.
enum Choice<'a> {
    All,
    Below(Vec<&'a str>),
}

impl<'a> Choice<'a> {
    /// What a pattern or a link leads to is not known here: everything is told then, and the
    /// engine takes what it needs.
    fn of(wanted: &'a [String], links: &HashSet<&str>) -> Self {
        let mut paths = Vec::new();
        for path in wanted {
            let path = path.trim_start_matches("./").trim_matches('/');
            let unclear =
                path.is_empty() || path == "." || path.contains(['*', '?', '[', '\\']) || path.contains("..");
            let crosses = links.iter().any(|link| covers(link, path) || covers(path, link));
            if unclear || crosses {
                return Self::All;
            }
            paths.push(path);
        }
        if paths.is_empty() { Self::All } else { Self::Below(paths) }
    }

    fn takes(&self, path: &str) -> bool {
        match self {
            Self::All => true,
            Self::Below(paths) => paths.iter().any(|wanted| covers(wanted, path) || covers(path, wanted)),
        }
    }
}

/// Whether `path` is `above` or lies below it.
fn covers(above: &str, path: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wanted_is_told_unless_that_is_unclear() {
        let links = HashSet::from(["link"]);
        let takes = |wanted: &[&str], path: &str| {
            let wanted: Vec<String> = wanted.iter().map(|path| (*path).to_owned()).collect();
            Choice::of(&wanted, &links).takes(path)
        };
        assert!(takes(&[], "a"));
        assert!(takes(&["/src/"], "src/a.rs") && takes(&["src/a"], "src") && !takes(&["src"], "srcs"));
        assert!(takes(&["*.rs"], "other") && takes(&["link/a"], "other") && takes(&["."], "other"));
        assert!(!takes(&[".dockerignore"], "a"));
    }

    #[test]
    fn a_file_that_is_not_any_more_what_was_told_of_it_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        std::fs::write(&path, "ten bytes.").expect("written");
        let then = path.metadata().expect("metadata");
        let sent = |then: &Metadata| {
            let (sender, _receiver) = tokio::sync::mpsc::channel(PACKETS);
            send_file(1, &path, then, &sender).map_err(|error| error.to_string())
        };
        assert_eq!(sent(&then), Ok(false));
        let changed = Err(format!("{} was changed while it was read", path.display()));
        for text in ["ten bytes. And more.", "less"] {
            std::fs::write(&path, text).expect("written");
            assert_eq!(sent(&then), changed, "{text}");
        }
        std::fs::remove_file(&path).expect("removed");
        assert_eq!(sent(&then), changed);
    }

    #[test]
    fn another_text_of_the_same_size_has_another_time() {
        assert_ne!(time_of(b"COPY a /1"), time_of(b"COPY a /2"));
        assert!(time_of(b"COPY a /1") >= 0);
    }

    #[test]
    fn texts_come_as_they_were_before_they_were_encoded() {
        assert_eq!(decoded("a%2Fb+c%C3%A9"), "a/b cé");
    }
}

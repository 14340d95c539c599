//! Programs that listen on ports of the engine's host, from Linux's `/proc`.
//!
//! What counts is the network that the engine publishes on: the tables of its own process
//! are read, which is not always the network of this one. Whatever cannot be seen is left
//! out, and the engine finds out when it starts the container.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use stack_plan::ports::{HeldPort, Holder, meet};
use tokio::net::UnixStream;

/// A socket that takes what comes in.
#[derive(Debug, PartialEq, Eq)]
struct Socket {
    protocol: &'static str,
    ip: IpAddr,
    port: u16,
    inode: u64,
}

/// The programs that have one of `ports`, without those that publish for a container: the
/// ports of `containers`.
pub(super) async fn of_the_host(
    engine: &str,
    ports: &BTreeSet<(String, u16)>,
    containers: &[HeldPort],
) -> Vec<HeldPort> {
    let Some(pid) = process_behind(engine).await else { return Vec::new() };
    let mut sockets = Vec::new();
    for (table, protocol) in [("tcp", "tcp"), ("tcp6", "tcp"), ("udp", "udp"), ("udp6", "udp")] {
        let text = std::fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        sockets.extend(text.lines().skip(1).filter_map(|line| socket(line, protocol)));
    }
    sockets.retain(|socket| {
        let published = |held: &&HeldPort| {
            held.protocol == socket.protocol
                && held.port == socket.port
                && meet(&held.host_ip, &socket.ip.to_string())
        };
        ports.contains(&(socket.protocol.to_owned(), socket.port))
            && !containers.iter().any(|held| published(&held))
    });
    if sockets.is_empty() {
        return Vec::new();
    }
    let owners = owners(&sockets.iter().map(|socket| socket.inode).collect());
    sockets
        .into_iter()
        .map(|socket| {
            let pid = owners.get(&socket.inode).copied();
            let program = pid.and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/comm")).ok());
            HeldPort {
                protocol: socket.protocol.to_owned(),
                port: socket.port,
                host_ip: socket.ip.to_string(),
                holder: Holder::Process { pid, program: program.map(|name| name.trim().to_owned()) },
            }
        })
        .collect()
}

/// The process at the other end of a socket; `None` when it is out of sight, as from inside a container.
async fn process_behind(socket: &str) -> Option<i32> {
    let stream = UnixStream::connect(Path::new(socket)).await.ok()?;
    stream.peer_cred().ok()?.pid().filter(|pid| *pid > 0)
}

/// One line of a table: `0: 0100007F:1F90 00000000:0000 0A … INODE …`.
fn socket(line: &str, protocol: &'static str) -> Option<Socket> {
    const LISTENS: &str = "0A";
    const UNCONNECTED: &str = "07";
    let words: Vec<&str> = line.split_whitespace().collect();
    let (ip, port) = words.get(1)?.split_once(':')?;
    let takes = if protocol == "tcp" { LISTENS } else { UNCONNECTED };
    if *words.get(3)? != takes {
        return None;
    }
    let port = u16::from_str_radix(port, 16).ok()?;
    Some(Socket { protocol, ip: address(ip)?, port, inode: words.get(9)?.parse().ok()? })
}

/// An address as the kernel prints it: words of 32 bits in the machine's own order of bytes.
fn address(hex: &str) -> Option<IpAddr> {
    let words: Option<Vec<[u8; 4]>> = (0..hex.len() / 8)
        .map(|index| Some(u32::from_str_radix(hex.get(index * 8..index * 8 + 8)?, 16).ok()?.to_ne_bytes()))
        .collect();
    let bytes = words?.concat();
    if let Ok(four) = <[u8; 4]>::try_from(bytes.as_slice()) {
        return Some(Ipv4Addr::from(four).into());
    }
    let sixteen = <[u8; 16]>::try_from(bytes.as_slice()).ok()?;
    Some(IpAddr::from(Ipv6Addr::from(sixteen)).to_canonical())
}

/// The process that has each socket, as far as this user may see it.
fn owners(inodes: &BTreeSet<u64>) -> HashMap<u64, u32> {
    let mut owners = HashMap::new();
    for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        for file in std::fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten() {
            let Ok(target) = std::fs::read_link(file.path()) else { continue };
            let target = target.to_string_lossy();
            let inode = target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
            if let Some(inode) = inode.and_then(|inode| inode.parse().ok())
                && inodes.contains(&inode)
            {
                owners.entry(inode).or_insert(pid);
            }
        }
    }
    owners
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_read() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1 ffff 100 0 0 10 0";
        let found = socket(line, "tcp").expect("a socket");
        assert_eq!((found.ip.to_string().as_str(), found.port, found.inode), ("127.0.0.1", 8080, 4242));
        assert_eq!(socket(&line.replace(" 0A ", " 01 "), "tcp"), None, "it is connected");
        assert_eq!(socket(line, "udp"), None, "it is connected");
        assert_eq!(address("00000000000000000000000000000000"), Some(Ipv6Addr::UNSPECIFIED.into()));
        assert_eq!(
            address("0000000000000000FFFF00000100007F").map(|ip| ip.to_string()).as_deref(),
            Some("127.0.0.1")
        );
        assert_eq!(address("zz"), None);
        assert_eq!(socket("", "tcp"), None);
    }
}

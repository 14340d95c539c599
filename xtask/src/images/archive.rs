//! Tar archives that other programs write, joined into one while they are read.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use anyhow::{Context, Result};

use crate::debian::last_lines;

const BLOCK: usize = 512;

/// What a program writes. Its end is an error unless the program ended well.
pub(super) struct Written {
    name: String,
    child: Child,
    output: ChildStdout,
    complaints: Option<JoinHandle<String>>,
}

impl Written {
    /// Starts the program.
    pub(super) fn by(command: &mut Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{name} cannot be run"))?;
        let output = child.stdout.take().context("no output")?;
        let mut stderr = child.stderr.take().context("no output")?;
        let complaints = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            // What was read before a failure is still worth showing.
            let _ = stderr.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Ok(Self { name, child, output, complaints: Some(complaints) })
    }
}

impl Read for Written {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.output.read(into)?;
        if count > 0 || into.is_empty() {
            return Ok(count);
        }
        let status = self.child.wait()?;
        if status.success() {
            return Ok(0);
        }
        let said = self.complaints.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        Err(io::Error::other(format!("{} failed: {status}\n{}", self.name, last_lines(&said, 15))))
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        // A program whose output nobody wants any more is ended; one that has ended cannot be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Several archives as one: the marks at the end of all but the last are left out.
pub(super) struct Joined {
    parts: VecDeque<Box<dyn Read>>,
    /// Bytes that are still to be handed out before `left`.
    ready: Vec<u8>,
    /// Bytes of the current member that are passed on as they come.
    left: u64,
    closed: bool,
}

impl Joined {
    pub(super) fn new(parts: Vec<Box<dyn Read>>) -> Self {
        Self { parts: parts.into(), ready: Vec::new(), left: 0, closed: false }
    }

    /// Reads the next member's header, or comes to the end of a part.
    fn advance(&mut self) -> io::Result<()> {
        let Some(part) = self.parts.front_mut() else {
            self.ready = vec![0; 2 * BLOCK];
            self.closed = true;
            return Ok(());
        };
        let mut header = Vec::with_capacity(BLOCK);
        part.by_ref().take(BLOCK as u64).read_to_end(&mut header)?;
        if header.iter().all(|&byte| byte == 0) {
            // The rest is padding; the program behind it ends when all is read, well or not.
            io::copy(part, &mut io::sink())?;
            self.parts.pop_front();
            return Ok(());
        }
        if header.len() < BLOCK {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "an archive breaks off"));
        }
        let size = member_size(&header)?;
        self.left = size.div_ceil(BLOCK as u64) * BLOCK as u64;
        self.ready = header;
        Ok(())
    }
}

/// How many bytes follow a header: octal digits, or a number with the top bit set.
fn member_size(header: &[u8]) -> io::Result<u64> {
    // Links, devices, directories and pipes have no content, whatever their size says.
    if matches!(header[156], b'1'..=b'6') {
        return Ok(0);
    }
    let field = &header[124..136];
    if field[0] & 0x80 != 0 {
        let low: [u8; 8] = field[4..].try_into().map_err(io::Error::other)?;
        return Ok(u64::from_be_bytes(low));
    }
    let digits = String::from_utf8_lossy(field);
    let digits = digits.trim_matches(|letter: char| letter == '\0' || letter == ' ');
    u64::from_str_radix(digits, 8)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "what was written is no tar archive"))
}

impl Read for Joined {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.ready.is_empty() && self.left == 0 {
            if self.closed {
                return Ok(0);
            }
            self.advance()?;
        }
        if !self.ready.is_empty() {
            let count = self.ready.len().min(into.len());
            into[..count].copy_from_slice(&self.ready[..count]);
            self.ready.drain(..count);
            return Ok(count);
        }
        let wanted = into.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let part = self.parts.front_mut().ok_or_else(|| io::Error::other("a member without an archive"))?;
        let count = part.read(&mut into[..wanted])?;
        if count == 0 && wanted > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "an archive breaks off"));
        }
        self.left -= count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar_of(name: &str, content: &str) -> Written {
        let script = format!(
            "cd \"$(mktemp -d)\" && printf %s '{content}' > {name} && tar -cf - {name} && rm -r \"$PWD\""
        );
        Written::by(Command::new("sh").args(["-c", &script])).expect("a shell")
    }

    #[test]
    fn archives_are_joined_into_one_that_tar_reads() {
        let parts: Vec<Box<dyn Read>> =
            vec![Box::new(tar_of("one", "first")), Box::new(tar_of("two", &"x".repeat(1300)))];
        let mut bytes = Vec::new();
        Joined::new(parts).read_to_end(&mut bytes).expect("one archive");
        assert_eq!(bytes.len() % BLOCK, 0);
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("joined.tar");
        std::fs::write(&path, &bytes).expect("a file");
        let listed = Command::new("tar").arg("-tf").arg(&path).output().expect("tar");
        assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
        assert_eq!(String::from_utf8_lossy(&listed.stdout), "one\ntwo\n");
    }

    #[test]
    fn a_program_that_fails_makes_the_end_an_error() {
        let script = "cd / && tar -cf - etc/hostname; echo the disk is full >&2; exit 3";
        let part = Written::by(Command::new("sh").args(["-c", script])).expect("a shell");
        let error =
            Joined::new(vec![Box::new(part)]).read_to_end(&mut Vec::new()).expect_err("a fault").to_string();
        assert!(error.contains("exit status: 3") && error.contains("the disk is full"), "{error}");
    }

    #[test]
    fn an_archive_that_breaks_off_is_an_error() {
        let mut whole = Vec::new();
        tar_of("one", "first").read_to_end(&mut whole).expect("an archive");
        whole.truncate(BLOCK + 3);
        let read = Joined::new(vec![Box::new(io::Cursor::new(whole))]).read_to_end(&mut Vec::new());
        assert!(read.is_err_and(|error| error.kind() == io::ErrorKind::UnexpectedEof));
    }

    #[test]
    fn sizes_are_read_in_both_notations() {
        let mut header = vec![0; BLOCK];
        header[156] = b'0';
        header[124..135].copy_from_slice(b"00000001750");
        assert_eq!(member_size(&header).expect("a size"), 1000);
        header[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0]);
        assert_eq!(member_size(&header).expect("a size"), 3 << 32);
        header[156] = b'5';
        assert_eq!(member_size(&header).expect("a size"), 0);
    }
}

//! The terminal that stackctl runs in: raw while a process in a container has it, and as it
//! was before in every other moment.

use stack_engine::docker::exec::Size;

#[cfg(unix)]
pub(crate) use self::unix::{RawMode, Signals, size, stop};

/// What a signal means to a conversation with a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// The terminal has another size.
    Resized,
    /// Stop for now, as a shell asks of a job.
    Stop,
    /// Go on after that.
    Continue,
    /// Anything else: its name, as `SIGTERM`, and its number.
    Signal(&'static str, u8),
}

#[cfg(unix)]
mod unix {
    use std::io;

    use rustix::process::{Signal, getpid, kill_process};
    use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
    use tokio::signal::unix::{SignalKind, signal};
    use tokio::sync::mpsc;

    use super::{Size, Told};

    /// A terminal that passes every key on as it is. It is as it was before when this is dropped,
    /// be it in a panic.
    pub(crate) struct RawMode {
        before: Termios,
        raw: Termios,
    }

    impl RawMode {
        /// Makes the terminal of standard input raw.
        pub(crate) fn enter() -> io::Result<Self> {
            let before = tcgetattr(io::stdin())?;
            let mut raw = before.clone();
            raw.make_raw();
            let mode = Self { before, raw };
            mode.again()?;
            Ok(mode)
        }

        /// Makes it raw again, after somebody else has had it.
        pub(crate) fn again(&self) -> io::Result<()> {
            Ok(tcsetattr(io::stdin(), OptionalActions::Drain, &self.raw)?)
        }

        /// Gives it back for a while.
        pub(crate) fn pause(&self) -> io::Result<()> {
            Ok(tcsetattr(io::stdin(), OptionalActions::Drain, &self.before)?)
        }
    }

    impl Drop for RawMode {
        fn drop(&mut self) {
            // A terminal that is gone needs no restoring.
            let _ = self.pause();
        }
    }

    /// The size of the terminal that standard output goes to; `None` when there is none.
    pub(crate) fn size() -> Option<Size> {
        let size = tcgetwinsize(io::stdout()).ok()?;
        (size.ws_row > 0 && size.ws_col > 0).then_some(Size { rows: size.ws_row, columns: size.ws_col })
    }

    /// Stops this process until a shell lets it go on.
    pub(crate) fn stop() {
        let _ = kill_process(getpid(), Signal::STOP);
    }

    /// The signals that this process gets.
    pub(crate) struct Signals(mpsc::UnboundedReceiver<Told>);

    impl Signals {
        /// Catches them from now on. `job` says whether those of a shell's job control are caught,
        /// too: who has made the terminal raw must give it back before it stops.
        pub(crate) fn catch(job: bool) -> io::Result<Self> {
            let (sender, receiver) = mpsc::unbounded_channel();
            let mut kinds = vec![
                (SignalKind::hangup(), Told::Signal("SIGHUP", 1)),
                (SignalKind::interrupt(), Told::Signal("SIGINT", 2)),
                (SignalKind::quit(), Told::Signal("SIGQUIT", 3)),
                (SignalKind::terminate(), Told::Signal("SIGTERM", 15)),
                (SignalKind::user_defined1(), Told::Signal("SIGUSR1", number(SignalKind::user_defined1()))),
                (SignalKind::user_defined2(), Told::Signal("SIGUSR2", number(SignalKind::user_defined2()))),
                (SignalKind::window_change(), Told::Resized),
            ];
            if job {
                kinds.push((SignalKind::from_raw(Signal::TSTP.as_raw()), Told::Stop));
                kinds.push((SignalKind::from_raw(Signal::CONT.as_raw()), Told::Continue));
            }
            for (kind, told) in kinds {
                let mut caught = signal(kind)?;
                let sender = sender.clone();
                tokio::spawn(
                    async move { while caught.recv().await.is_some() && sender.send(told).is_ok() {} },
                );
            }
            Ok(Self(receiver))
        }

        /// The next one.
        pub(crate) async fn next(&mut self) -> Told {
            match self.0.recv().await {
                Some(told) => told,
                None => std::future::pending().await,
            }
        }
    }

    fn number(kind: SignalKind) -> u8 {
        u8::try_from(kind.as_raw_value()).unwrap_or_default()
    }
}

#[cfg(not(unix))]
pub(crate) use self::elsewhere::{RawMode, Signals, size, stop};

#[cfg(not(unix))]
mod elsewhere {
    use std::io;

    use super::{Size, Told};

    /// There is no raw mode here: who asks for a terminal is told so.
    pub(crate) struct RawMode;

    impl RawMode {
        pub(crate) fn enter() -> io::Result<Self> {
            Err(io::Error::new(io::ErrorKind::Unsupported, "terminals are only passed on under Unix"))
        }

        pub(crate) fn again(&self) -> io::Result<()> {
            Ok(())
        }

        pub(crate) fn pause(&self) -> io::Result<()> {
            Ok(())
        }
    }

    pub(crate) fn size() -> Option<Size> {
        None
    }

    pub(crate) fn stop() {}

    /// Only Ctrl-C is known here.
    pub(crate) struct Signals;

    impl Signals {
        pub(crate) fn catch(_: bool) -> io::Result<Self> {
            Ok(Self)
        }

        pub(crate) async fn next(&mut self) -> Told {
            let _: io::Result<()> = tokio::signal::ctrl_c().await;
            Told::Signal("SIGINT", 2)
        }
    }
}

/// The keys that detach from a process in a container, watched for in what is typed.
///
/// The engine watches for them, too; but only who sees them typed can tell an end from a farewell.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DetachKeys {
    keys: Vec<u8>,
    /// How many of them were the last that was typed.
    matched: usize,
}

impl DetachKeys {
    /// What docker takes unless it is told otherwise.
    pub(crate) const DEFAULT: &str = "ctrl-p,ctrl-q";

    /// Reads keys as docker writes them: `ctrl-p,ctrl-q`, `a,b`, `ctrl-@`; `None` for what is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let keys: Option<Vec<u8>> = text.split(',').map(key).collect();
        Some(Self { keys: keys?, matched: 0 })
    }

    /// Where the last of them stands in what is typed, once all of them are.
    pub(crate) fn typed(&mut self, typed: &[u8]) -> Option<usize> {
        for (at, byte) in typed.iter().enumerate() {
            if self.keys.get(self.matched) == Some(byte) {
                self.matched += 1;
            } else {
                self.matched = usize::from(self.keys.first() == Some(byte));
            }
            if self.matched == self.keys.len() {
                self.matched = 0;
                return Some(at);
            }
        }
        None
    }
}

fn key(text: &str) -> Option<u8> {
    match (text.as_bytes(), text.strip_prefix("ctrl-").map(str::as_bytes)) {
        ([byte], _) if byte.is_ascii() => Some(*byte),
        (_, Some([letter @ b'a'..=b'z'])) => Some(letter - b'a' + 1),
        (_, Some(b"@")) => Some(0),
        (_, Some([sign @ (b'[' | b'\\' | b']' | b'^' | b'_')])) => Some(sign - b'[' + 27),
        (b"DEL", _) => Some(127),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::DetachKeys;

    #[test]
    fn keys_are_read_as_docker_writes_them() {
        let keys = |text| DetachKeys::parse(text).map(|keys| keys.keys);
        assert_eq!(keys(DetachKeys::DEFAULT), Some(vec![16, 17]));
        assert_eq!(keys("a,ctrl-@,ctrl-[,ctrl-_,DEL"), Some(vec![b'a', 0, 27, 31, 127]));
        for wrong in ["", "ctrl-", "ctrl-P", "ab", "a,,b", "é"] {
            assert_eq!(keys(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn keys_are_found_across_pieces_and_after_false_starts() {
        let mut keys = DetachKeys::parse("ctrl-p,ctrl-q").expect("keys");
        assert_eq!(keys.typed(b"ls\n\x10"), None);
        assert_eq!(keys.typed(b"\x11"), Some(0));
        assert_eq!(keys.typed(b"\x11\x10x\x11"), None);
        assert_eq!(keys.typed(b"\x10\x10\x11 and more"), Some(2));
    }
}

//! What exit codes of containers mean.

/// The meaning of an exit code, a lower-case fragment; `None` for one that only the program knows.
#[must_use]
pub fn meaning(code: i64) -> Option<String> {
    Some(match code {
        125 => "the container could not be set up".to_owned(),
        126 => "the command was found but may not be executed, or is no program".to_owned(),
        127 => "the command was not found".to_owned(),
        137 => "killed (SIGKILL)".to_owned(),
        139 => "crashed on memory that is not its own (SIGSEGV)".to_owned(),
        143 => "ended by request (SIGTERM)".to_owned(),
        129..=159 => format!("ended by {}", signal(code - 128)),
        _ => return None,
    })
}

/// The name of a signal by its number on Linux.
fn signal(number: i64) -> String {
    let name = match number {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL, an instruction that this processor does not have",
        6 => "SIGABRT, which a program sends itself when it gives up",
        7 => "SIGBUS",
        8 => "SIGFPE",
        10 => "SIGUSR1",
        12 => "SIGUSR2",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        24 => "SIGXCPU",
        31 => "SIGSYS, a call that its seccomp profile does not allow",
        _ => return format!("signal {number}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_shells_and_signals_have_a_meaning_and_others_none() {
        for code in [125, 126, 127, 134, 137, 139, 143, 150] {
            assert!(meaning(code).is_some(), "{code}");
        }
        for code in [0, 1, 2, 64, 128, 255] {
            assert_eq!(meaning(code), None);
        }
    }
}

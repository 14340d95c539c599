//! The security options that services of a swarm may have.

/// A security option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecurityOption<'a> {
    /// Whether programs are kept from getting more rights than they began with.
    NoNewPrivileges(bool),
    /// No filter of system calls.
    SeccompUnconfined,
    /// No AppArmor profile.
    AppArmorUnconfined,
    /// A part of the SELinux label.
    Label {
        /// Which part.
        part: LabelPart,
        /// Its value; empty where there is none.
        value: &'a str,
    },
}

/// A part of an SELinux label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelPart {
    /// There is no label.
    Disable,
    /// The user.
    User,
    /// The role.
    Role,
    /// The type.
    Type,
    /// The level.
    Level,
}

/// Reads a security option; `None` for one that services of a swarm cannot have.
#[must_use]
pub fn option(text: &str) -> Option<SecurityOption<'_>> {
    let (name, value) = text.split_once(['=', ':']).unwrap_or((text, ""));
    Some(match (name, value) {
        ("no-new-privileges", "" | "true") => SecurityOption::NoNewPrivileges(true),
        ("no-new-privileges", "false") => SecurityOption::NoNewPrivileges(false),
        ("seccomp", "unconfined") => SecurityOption::SeccompUnconfined,
        ("apparmor", "unconfined") => SecurityOption::AppArmorUnconfined,
        ("label", "disable") => SecurityOption::Label { part: LabelPart::Disable, value: "" },
        ("label", label) => {
            let (part, value) = label.split_once(':').filter(|(_, value)| !value.is_empty())?;
            let part = match part {
                "user" => LabelPart::User,
                "role" => LabelPart::Role,
                "type" => LabelPart::Type,
                "level" => LabelPart::Level,
                _ => return None,
            };
            SecurityOption::Label { part, value }
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{LabelPart, SecurityOption, option};

    #[test]
    fn options_are_read_in_both_ways_of_writing_them() {
        for text in ["no-new-privileges", "no-new-privileges:true", "no-new-privileges=true"] {
            assert_eq!(option(text), Some(SecurityOption::NoNewPrivileges(true)), "{text}");
        }
        assert_eq!(option("seccomp:unconfined"), Some(SecurityOption::SeccompUnconfined));
        assert_eq!(option("apparmor=unconfined"), Some(SecurityOption::AppArmorUnconfined));
        let label = SecurityOption::Label { part: LabelPart::Level, value: "s0:c1" };
        assert_eq!(option("label=level:s0:c1"), Some(label));
        for text in
            ["seccomp=profile.json", "apparmor=own", "label=type:", "label=other:x", "systempaths=unconfined"]
        {
            assert_eq!(option(text), None, "{text}");
        }
    }
}

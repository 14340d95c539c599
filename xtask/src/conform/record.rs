//! Cases written down in one file each, with what docker compose says to them: they are
//! replayed by a test of stackctl, which needs no docker compose then.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// What the folder of a case is called in a record.
const PLACE: &str = "/case";

/// Writes the files of a case, and the answer to it: JSON, or `None` for a refusal.
///
/// Each file stands below a line `=== PATH`; the answer stands below `=== expected.json`
/// or is the line `=== refused`.
pub(super) fn write(folder: &Path, answer: Option<&str>, target: &Path) -> Result<()> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    files.sort();
    let mut text = String::new();
    for path in files {
        let name = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
        let content = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        text.push_str(&format!("=== {name}\n{content}"));
    }
    match answer {
        Some(json) => {
            let json = json.replace(&*folder.to_string_lossy(), PLACE);
            text.push_str(&format!("=== expected.json\n{}\n", json.trim_end()));
        }
        None => text.push_str("=== refused\n"),
    }
    if let Some(above) = target.parent() {
        std::fs::create_dir_all(above).with_context(|| above.display().to_string())?;
    }
    std::fs::write(target, text).with_context(|| target.display().to_string())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_one_text() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("part")).expect("a folder");
        std::fs::write(folder.path().join("stack.yaml"), "a: b\n").expect("a file");
        std::fs::write(folder.path().join("part/x.env"), "A=1\n").expect("a file");
        let target = folder.path().join("out/one.txt");
        let answer = format!("{{\"path\": \"{}/x\"}}\n", folder.path().display());
        write(folder.path(), Some(&answer), &target).expect("written");
        assert_eq!(
            std::fs::read_to_string(&target).expect("a text"),
            "=== part/x.env\nA=1\n=== stack.yaml\na: b\n=== expected.json\n{\"path\": \"/case/x\"}\n"
        );
    }
}

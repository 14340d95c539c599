//! Which files a rule of `develop.watch` is about.

use std::path::{Component, Path, PathBuf};

use crate::image::context::{Context, ContextError};
use crate::image::ignore::{Ignore, IgnoreError};

/// What version control and editors leave beside the files that are meant: their own folder,
/// swap files, backups, and the files that they save to before they rename them.
const NEVER: &str = "\
**/.git
**/*~
**/4913
**/.*.sw?
**/.*.kate-swp
**/.#*
**/#*#
**/.*.crswap
**/*___jb_tmp___
**/*___jb_old___
**/*___jb_bak___
**/.goutputstream-*";

/// The files that a rule is about.
#[derive(Debug)]
pub struct Scope {
    root: PathBuf,
    include: Option<Ignore>,
    ignore: Ignore,
    never: Ignore,
    /// The context of the service's build, and what its `.dockerignore` leaves out of it.
    context: Option<(PathBuf, Ignore)>,
}

impl Scope {
    /// The files at or below `path`, that match one of `include` if there is any, and none of
    /// `ignore`: patterns as in a `.dockerignore`, relative to the path. What a build does not see
    /// is left out, too: `context` is its directory and its `.dockerignore`.
    ///
    /// # Errors
    /// When one of the patterns is none.
    pub fn new(
        path: &Path,
        include: &[String],
        ignore: &[String],
        context: Option<(PathBuf, Ignore)>,
    ) -> Result<Self, IgnoreError> {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        Ok(Self {
            root: real(path),
            include: if include.is_empty() { None } else { Some(Ignore::read(&include.join("\n"))?) },
            ignore: Ignore::read(&ignore.join("\n"))?,
            never: Ignore::read(NEVER)?,
            context: context.map(|(directory, ignore)| (real(&directory), ignore)),
        })
    }

    /// The file or directory that is watched.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The path relative to the root, with `/` between its parts and empty for the root itself;
    /// `None` outside of it.
    #[must_use]
    pub fn relative(&self, path: &Path) -> Option<String> {
        below(&self.root, path)
    }

    /// Whether the rule is about this file, or this directory itself.
    #[must_use]
    pub fn has(&self, path: &Path, directory: bool) -> bool {
        let Some(relative) = self.relative(path) else { return false };
        // What is named by itself is meant, whatever is left out below it.
        if relative.is_empty() {
            return !directory;
        }
        let included = match &self.include {
            Some(include) => !directory && include.leaves_out(&relative),
            None => true,
        };
        included
            && !self.ignore.leaves_out(&relative)
            && !self.never.leaves_out(&relative)
            && !self.of_context(path).is_some_and(|(ignore, inside)| ignore.leaves_out(&inside))
    }

    /// Whether something below this directory may be watched.
    #[must_use]
    pub fn enters(&self, directory: &Path) -> bool {
        let Some(relative) = self.relative(directory) else { return false };
        let open = |ignore: &Ignore, path: &str| !ignore.leaves_out(path) || ignore.may_keep_below(path);
        relative.is_empty()
            || (open(&self.ignore, &relative)
                && open(&self.never, &relative)
                && self.of_context(directory).is_none_or(|(ignore, inside)| open(ignore, &inside)))
    }

    fn of_context(&self, path: &Path) -> Option<(&Ignore, String)> {
        let (context, ignore) = self.context.as_ref()?;
        let inside = below(context, path)?;
        (!inside.is_empty()).then_some((ignore, inside))
    }
}

/// What the `.dockerignore` of a build leaves out; `inline` is the text of a Dockerfile that
/// stands in the stack file.
///
/// # Errors
/// When the context, its Dockerfile or its `.dockerignore` cannot be used.
pub fn dockerignore(
    context: &Path,
    dockerfile: Option<&str>,
    inline: Option<&str>,
) -> Result<Ignore, ContextError> {
    Context::open(context, dockerfile, inline).map(Context::into_ignore)
}

fn below(root: &Path, path: &Path) -> Option<String> {
    let rest = path.strip_prefix(root).ok()?;
    let parts = rest.components().map(|part| match part {
        Component::Normal(name) => name.to_str(),
        _ => None,
    });
    Some(parts.collect::<Option<Vec<_>>>()?.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(include: &[&str], ignore: &[&str], dockerignore: &str) -> Scope {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let context = (PathBuf::from("/nowhere"), Ignore::read(dockerignore).expect("patterns"));
        Scope::new(Path::new("/nowhere/src"), &owned(include), &owned(ignore), Some(context))
            .expect("patterns")
    }

    fn has(scope: &Scope, path: &str) -> bool {
        scope.has(Path::new(path), false)
    }

    #[test]
    fn a_rule_is_about_what_is_below_its_path() {
        let scope = scope(&[], &["node_modules/", "*.md"], "");
        assert!(has(&scope, "/nowhere/src/a.js"));
        assert!(has(&scope, "/nowhere/src/deep/a.md"));
        assert!(!has(&scope, "/nowhere/src/a.md"));
        assert!(!has(&scope, "/nowhere/src/node_modules/x/a.js"));
        assert!(!has(&scope, "/nowhere/srcs/a.js"));
        assert!(!scope.enters(Path::new("/nowhere/src/node_modules")));
        assert!(scope.enters(Path::new("/nowhere/src")) && scope.enters(Path::new("/nowhere/src/deep")));
    }

    #[test]
    fn only_what_is_included_is_watched_and_never_what_editors_leave() {
        let scope = scope(&["**/*.css", "index.html"], &[], "");
        assert!(has(&scope, "/nowhere/src/deep/a.css") && has(&scope, "/nowhere/src/index.html"));
        assert!(!has(&scope, "/nowhere/src/deep/index.html") && !has(&scope, "/nowhere/src/a.js"));
        assert!(!scope.has(Path::new("/nowhere/src/deep"), true));
        let scope = super::tests::scope(&[], &[], "");
        for name in [".git/HEAD", ".a.js.swp", "a.js~", "4913", ".#a.js", "#a.js#", "deep/a.js___jb_tmp___"] {
            assert!(!has(&scope, &format!("/nowhere/src/{name}")), "{name}");
        }
        assert!(!scope.enters(Path::new("/nowhere/src/.git")));
    }

    #[test]
    fn what_a_build_does_not_see_is_not_watched() {
        let scope = scope(&[], &[], "src/dist\n*.log\n");
        assert!(!has(&scope, "/nowhere/src/dist/a.js"));
        assert!(has(&scope, "/nowhere/src/a.log"));
        assert!(has(&scope, "/nowhere/src/a.js"));
        // A path that a rule names is meant.
        let ignored = (PathBuf::from("/nowhere"), Ignore::read("src").expect("patterns"));
        let named = Scope::new(Path::new("/nowhere/src"), &[], &[], Some(ignored)).expect("patterns");
        assert!(has(&named, "/nowhere/src") && !has(&named, "/nowhere/src/a"));
    }
}

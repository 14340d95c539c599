//! What is right by the specification and still likely to go wrong.

use std::path::{Component, Path, PathBuf};

use crate::canonical::outside_of;
use crate::diagnostic::Diagnostic;
use crate::load::Loaded;
use crate::model::{DependencyCondition, MountSource, Port, Service, Stack};
use crate::source::{Origin, Sources, Spanned};

/// Warnings about a stack, beyond what loading it tells, in the order of the files.
///
/// `exists` says whether there is something at an absolute path: nothing else is
/// asked of the machine.
#[must_use]
pub fn lint(loaded: &Loaded, exists: &dyn Fn(&Path) -> bool) -> Vec<Diagnostic> {
    let stack = &loaded.stack;
    let mut found = Vec::new();
    overlapping_ports(stack, &mut found);
    for service in stack.services.values() {
        moving_image(service, &mut found);
        unknown_health(stack, service, &mut found);
        missing_binds(stack, service, &loaded.sources, exists, &mut found);
        target_published_twice(service, &loaded.sources, &mut found);
    }
    found.sort_by_key(|told| told.origin.as_ref().map(|origin| (origin.source, origin.span)));
    found
}

/// A port on the host as an interval.
struct Published<'a> {
    first: u16,
    last: u16,
    service: &'a str,
    port: &'a Spanned<Port>,
}

impl Published<'_> {
    fn is_range(&self) -> bool {
        self.first < self.last
    }

    fn meets(&self, other: &Self) -> bool {
        let any = |ip: &Option<String>| ip.as_deref().is_none_or(|ip| matches!(ip, "0.0.0.0" | "::"));
        let (one, two) = (&self.port.host_ip, &other.port.host_ip);
        self.port.protocol == other.port.protocol
            && self.first <= other.last
            && other.first <= self.last
            && (one == two || any(one) || any(two))
    }
}

/// Ranges of host ports that meet: which service gets a port depends on who starts
/// first. Two equal single ports are an error, which loading tells.
fn overlapping_ports(stack: &Stack, found: &mut Vec<Diagnostic>) {
    let mut all: Vec<Published<'_>> = Vec::new();
    for service in stack.services.values() {
        if service.network_mode.as_ref().is_some_and(|mode| mode.value != "bridge") {
            continue;
        }
        for port in &service.ports {
            let Some(published) = port.published.as_deref() else { continue };
            let (first, last) = published.split_once('-').unwrap_or((published, published));
            if let (Ok(first), Ok(last)) = (first.parse(), last.parse()) {
                all.push(Published { first, last, service: &service.name, port });
            }
        }
    }
    all.sort_by_key(|published| published.first);
    let mut told: Vec<(&str, &str)> = Vec::new();
    for (index, one) in all.iter().enumerate() {
        let later = all[index + 1..].iter().take_while(|two| two.first <= one.last);
        for two in later.filter(|two| (one.is_range() || two.is_range()) && one.meets(two)) {
            let mut pair = [one, two];
            pair.sort_by_key(|published| (published.port.origin.source, published.port.origin.span.start()));
            let [first, second] = pair;
            let names = (first.service, second.service);
            if told.contains(&names) {
                continue;
            }
            told.push(names);
            let range = |published: &Published<'_>| {
                format!(
                    "{}/{}",
                    published.port.published.as_deref().unwrap_or_default(),
                    published.port.protocol
                )
            };
            let who = if first.service == second.service {
                format!("`{}` publishes", first.service)
            } else {
                format!("`{}` and `{}` publish", first.service, second.service)
            };
            found.push(
                Diagnostic::warning(format!(
                    "{who} host ports that overlap: {} and {}",
                    range(first),
                    range(second)
                ))
                .at(&second.port.origin)
                .path(format!("services.{}.ports", second.service))
                .label("whoever starts first gets the port")
                .related(&first.port.origin, "overlaps with this")
                .help("publish ranges that do not meet"),
            );
        }
    }
}

/// An image without a version may be another one tomorrow.
fn moving_image(service: &Service, found: &mut Vec<Diagnostic>) {
    let Some(image) = service.image.as_ref().filter(|_| service.build.is_none()) else { return };
    if image.contains('@') {
        return;
    }
    let last = image.rsplit('/').next().unwrap_or_default();
    let what = match last.split_once(':') {
        None => "has no tag, which means `latest`",
        Some((_, "latest")) => "is tagged `latest`",
        Some(_) => return,
    };
    let name = &*service.name;
    let subject = match outside_of(&image.origin) {
        Some(variable) => format!("the image that `{variable}` gives `{name}`"),
        None => format!("the image of `{name}`"),
    };
    found.push(
        Diagnostic::warning(format!("{subject} {what}: it changes without a word"))
            .at(&image.origin)
            .path(format!("services.{name}.image"))
            .label("not a fixed version")
            .help("name a version, or pin it by its digest: `IMAGE@sha256:…`"),
    );
}

/// A wait for health where the file has no health check.
fn unknown_health(stack: &Stack, service: &Service, found: &mut Vec<Diagnostic>) {
    let name = &*service.name;
    for (other, wanted) in &service.depends_on {
        if wanted.condition != DependencyCondition::Healthy {
            continue;
        }
        let Some(target) = stack.services.get(other) else { continue };
        if target.healthcheck.as_ref().is_some_and(|check| check.disable || !check.test.is_empty()) {
            continue;
        }
        found.push(
            Diagnostic::warning(format!(
                "`{name}` waits until `{other}` is healthy, and the file has no health check for it"
            ))
            .at(&wanted.origin)
            .path(format!("services.{name}.depends_on.{other}"))
            .related(&target.name.origin, "no `healthcheck` with a `test` here")
            .help(format!(
                "the image may have one; if it has none, the wait fails: give `{other}` a `healthcheck`, or wait for `service_started`"
            )),
        );
    }
}

/// A bind mount of something that is not there.
fn missing_binds(
    stack: &Stack,
    service: &Service,
    sources: &Sources,
    exists: &dyn Fn(&Path) -> bool,
    found: &mut Vec<Diagnostic>,
) {
    let name = &*service.name;
    for mount in &service.volumes {
        let MountSource::Bind { path, create, .. } = &mount.source else { continue };
        if exists(path) {
            continue;
        }
        let what = match outside_of(&mount.origin) {
            Some(variable) => format!("the path that `{variable}` gives"),
            None => path.display().to_string(),
        };
        let then = if *create {
            "an empty directory is made and mounted"
        } else {
            "the container cannot be created"
        };
        let mut told = Diagnostic::warning(format!("{what} is not there: {then}"))
            .at(&mount.origin)
            .path(format!("services.{name}.volumes"))
            .label("nothing at this path");
        told = match beside_its_file(stack, path, &mount.origin, sources).filter(|there| exists(there)) {
            Some(there) if outside_of(&mount.origin).is_none() => told.help(format!(
                "there is {}, beside the file that says so; but paths start from {}: write it relative to that, or give --project-directory",
                there.display(),
                stack.directory.display()
            )),
            _ => told.help("correct the path, or make what belongs there"),
        };
        found.push(told);
    }
}

/// The path as it would be if it started from the file that says it, where that is
/// another directory than the project's.
fn beside_its_file(stack: &Stack, path: &Path, origin: &Origin, sources: &Sources) -> Option<PathBuf> {
    let beside = sources.get(origin.source).path.as_deref()?.parent()?;
    if beside == stack.directory {
        return None;
    }
    Some(crate::canonical::clean(&beside.join(relative(&stack.directory, path))))
}

/// The way from one absolute directory to a path.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let (from, to): (Vec<Component<'_>>, Vec<Component<'_>>) =
        (from.components().collect(), to.components().collect());
    let shared = from.iter().zip(&to).take_while(|(one, two)| one == two).count();
    from[shared..].iter().map(|_| Component::ParentDir).chain(to[shared..].iter().copied()).collect()
}

/// A port of the container that one file publishes, and another once more: lists of
/// several files come one after the other.
fn target_published_twice(service: &Service, sources: &Sources, found: &mut Vec<Diagnostic>) {
    let name = &*service.name;
    for (index, port) in service.ports.iter().enumerate() {
        let Some(first) = service.ports[..index].iter().find(|first| {
            first.target == port.target
                && first.protocol == port.protocol
                && first.origin.source != port.origin.source
        }) else {
            continue;
        };
        let file = &sources.get(first.origin.source).name;
        found.push(
            Diagnostic::warning(format!(
                "`{name}` publishes its port {}/{} twice, once in each of two files",
                port.target, port.protocol
            ))
            .at(&port.origin)
            .path(format!("services.{name}.ports"))
            .label("published once more")
            .related(&first.origin, "first here")
            .help(format!(
                "`ports` of several files add up; `ports: !override` takes the place of those in {file}"
            )),
        );
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::{lint, relative};
    use crate::load::{Loaded, Request, load};

    fn loaded(directory: &Path, files: &[PathBuf], stdin: Option<&str>) -> Loaded {
        let environment = BTreeMap::from([("TAG".to_owned(), "s3cret:latest".to_owned())]);
        let loaded = load(&Request {
            files: files.to_vec(),
            directory: directory.to_owned(),
            project_directory: None,
            project_name: Some("p".to_owned()),
            env_files: Vec::new(),
            profiles: Vec::new(),
            environment: &environment,
            stdin,
        });
        let told: Vec<_> = loaded.diagnostics.iter().map(|told| &told.message).collect();
        assert!(told.is_empty(), "{told:?}");
        loaded
    }

    /// `LINE: message` for every warning about a file in an empty directory.
    fn warnings(services: &str) -> Vec<String> {
        let text = format!("services:\n{services}");
        let loaded = loaded(Path::new("/none"), &["-".into()], Some(&text));
        let found = lint(&loaded, &|path| path == Path::new("/none/there"));
        found
            .iter()
            .map(|told| {
                assert!(!told.help.is_empty(), "{} needs a next step", told.message);
                let place = loaded.sources.place(told.origin.as_ref().expect("a place"));
                format!("{}: {}", place.line, told.message)
            })
            .collect()
    }

    #[test]
    fn ranges_of_ports_that_meet() {
        let ports = |one: &str, two: &str| {
            warnings(&format!(
                "  a:\n    image: a:1\n    ports: [\"{one}\"]\n  b:\n    image: b:1\n    ports: [\"{two}\"]\n"
            ))
        };
        assert_eq!(
            ports("8000-8010:80", "8005:80"),
            ["7: `a` and `b` publish host ports that overlap: 8000-8010/tcp and 8005/tcp"]
        );
        assert_eq!(ports("8005:80", "8000-8010:80").len(), 1);
        assert_eq!(ports("8000-8010:80", "8010-8020:80").len(), 1);
        assert_eq!(ports("127.0.0.1:8000-8010:80", "8005:80").len(), 1);
        for (one, two) in [
            ("8000-8010:80", "8011:80"),
            ("8000-8010:80", "8005:80/udp"),
            ("127.0.0.1:8000-8010:80", "127.0.0.2:8005:80"),
            ("80", "80"),
        ] {
            assert_eq!(ports(one, two), Vec::<String>::new(), "{one} {two}");
        }
    }

    #[test]
    fn images_without_a_version() {
        for (image, told) in [
            ("redis", true),
            ("redis:latest", true),
            ("registry:5000/redis", true),
            ("redis:7", false),
            ("registry:5000/redis:7", false),
            ("redis:latest@sha256:0123", false),
        ] {
            let found = warnings(&format!("  a:\n    image: {image}\n"));
            assert_eq!(found.len(), usize::from(told), "{image}: {found:?}");
        }
        assert_eq!(warnings("  a:\n    image: a\n    build: .\n"), Vec::<String>::new());
        assert_eq!(
            warnings("  a:\n    image: ${TAG}\n"),
            ["3: the image that `TAG` gives `a` is tagged `latest`: it changes without a word"]
        );
    }

    #[test]
    fn a_wait_for_health_that_nobody_checks() {
        let wait = "  a:\n    image: a:1\n    depends_on:\n      b: {condition: service_healthy}\n";
        let other = |more: &str| warnings(&format!("{wait}  b:\n    image: b:1\n{more}"));
        let told = ["5: `a` waits until `b` is healthy, and the file has no health check for it"];
        assert_eq!(other(""), told);
        assert_eq!(other("    healthcheck: {interval: 1s}\n"), told);
        assert_eq!(other("    healthcheck: {test: \"true\"}\n"), Vec::<String>::new());
    }

    #[test]
    fn a_bind_of_nothing() {
        let bind =
            |source: &str| warnings(&format!("  a:\n    image: a:1\n    volumes: [\"{source}:/a\"]\n"));
        assert_eq!(
            bind("./absent"),
            ["4: /none/absent is not there: an empty directory is made and mounted"]
        );
        assert_eq!(bind("./there"), Vec::<String>::new());
        let strict = "  a:\n    image: a:1\n    volumes:\n      - {type: bind, source: x, target: /a, bind: {create_host_path: false}}\n";
        assert_eq!(warnings(strict), ["5: /none/x is not there: the container cannot be created"]);
    }

    #[test]
    fn a_bind_beside_another_file_than_the_first() {
        let top = tempfile::tempdir().expect("a directory");
        fs::create_dir(top.path().join("sub")).expect("a directory");
        fs::write(top.path().join("a.yaml"), "services:\n  a:\n    image: a:1\n").expect("written");
        let second = "services:\n  a:\n    volumes: [\"./conf:/conf\"]\n";
        fs::write(top.path().join("sub/b.yaml"), second).expect("written");
        let files = ["a.yaml".into(), "sub/b.yaml".into()];
        let loaded = loaded(top.path(), &files, None);
        let there = top.path().join("sub/conf");
        let found = lint(&loaded, &|path| path == there);
        assert_eq!(found.len(), 1);
        assert!(found[0].help[0].starts_with(&format!("there is {}", there.display())), "{:?}", found[0]);
        assert_eq!(lint(&loaded, &|_| false)[0].help, ["correct the path, or make what belongs there"]);
    }

    #[test]
    fn a_target_that_two_files_publish() {
        let top = tempfile::tempdir().expect("a directory");
        let write = |name: &str, ports: &str| {
            let text = format!("services:\n  a:\n    image: a:1\n    ports: [{ports}]\n");
            fs::write(top.path().join(name), text).expect("written");
        };
        write("a.yaml", "\"8080:80\", \"443:443\", \"8081:81\", \"8082:81\"");
        write("b.yaml", "\"9090:80\", \"443:443\"");
        let loaded = loaded(top.path(), &["a.yaml".into(), "b.yaml".into()], None);
        let found: Vec<_> =
            lint(&loaded, &|_| true).into_iter().map(|told| (told.message, told.help)).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, "`a` publishes its port 80/tcp twice, once in each of two files");
        assert!(found[0].1[0].contains("!override"), "{found:?}");
    }

    #[test]
    fn ways_between_paths() {
        for (from, to, way) in [("/a/b", "/a/b/c", "c"), ("/a/b", "/a/c", "../c"), ("/a", "/", "..")] {
            assert_eq!(relative(Path::new(from), Path::new(to)), PathBuf::from(way));
        }
    }
}

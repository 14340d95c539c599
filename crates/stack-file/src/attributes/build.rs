//! The rows of builds.

use super::{Attribute, Identity, Merge, Shape, Short, honoured, not_yet};

const UNIQUE: Merge = Merge::Unique(Identity::Value);

/// What stands within `services.*.build`, in the order in which it is written.
pub(super) const ROWS: &[Attribute] = &[
    honoured("services.*.build.context", Shape::Context, "The directory that is sent to the build.")
        .like("."),
    honoured("services.*.build.dockerfile", Shape::Text, "The Dockerfile, relative to the context.")
        .like("Dockerfile"),
    honoured("services.*.build.dockerfile_inline", Shape::Text, "The text of the Dockerfile itself."),
    honoured("services.*.build.args", Shape::Variables, "Build arguments.")
        .short(Short::Assignments)
        .like("{VERSION: \"1\"}"),
    honoured("services.*.build.target", Shape::Text, "The stage to build.").like("runtime"),
    honoured("services.*.build.labels", Shape::Pairs, "Labels of the image.")
        .short(Short::Assignments)
        .like("{team: shop}"),
    honoured("services.*.build.cache_from", Shape::Texts, "Images whose layers may be used again.")
        .merged(UNIQUE)
        .like("[shop:cache]"),
    honoured("services.*.build.extra_hosts", Shape::Texts, "Lines for /etc/hosts during the build.")
        .short(Short::Hosts)
        .merged(UNIQUE)
        .like("[\"registry:10.0.0.5\"]"),
    honoured("services.*.build.network", Shape::Text, "The network of RUN steps.").like("host"),
    honoured("services.*.build.shm_size", Shape::Bytes, "The size of /dev/shm during the build.").like("64m"),
    honoured("services.*.build.no_cache", Shape::Boolean, "Leaves the layer cache unused."),
    honoured("services.*.build.pull", Shape::Boolean, "Pulls base images even when they are there."),
    honoured("services.*.build.tags", Shape::Texts, "Further tags of the image.")
        .merged(UNIQUE)
        .like("[\"shop:latest\"]"),
    not_yet("services.*.build.additional_contexts", Shape::Contexts, "Further named contexts.", "")
        .short(Short::Assignments)
        .like("{assets: ../assets}"),
    not_yet("services.*.build.cache_to", Shape::Texts, "Where the layer cache is exported to.", "")
        .like("[\"type=inline\"]"),
    not_yet("services.*.build.entitlements", Shape::Texts, "Rights that the build asks for.", "")
        .like("[network.host]"),
    not_yet("services.*.build.isolation", Shape::Text, "The isolation of the build, for Windows.", "")
        .like("hyperv"),
    not_yet(
        "services.*.build.no_cache_filter",
        Shape::Texts,
        "Stages that are built without cache.",
        "use `no_cache: true` for all stages",
    )
    .short(Short::One)
    .like("[install]"),
    not_yet(
        "services.*.build.platforms",
        Shape::Texts,
        "Platforms to build for.",
        "set `platform` of the service for a single one",
    )
    .like("[linux/amd64, linux/arm64]"),
    not_yet("services.*.build.privileged", Shape::Boolean, "A build with all privileges.", ""),
    not_yet("services.*.build.provenance", Shape::Plain, "Provenance attestation.", "").like("mode=max"),
    not_yet("services.*.build.sbom", Shape::Plain, "A bill of materials.", "").like("\"true\""),
    not_yet("services.*.build.secrets", Shape::List, "Secrets for RUN steps.", "").like("[token]"),
    honoured("services.*.build.secrets[]", Shape::Mapping, "A secret for RUN steps.")
        .short(Short::Source)
        .like("token"),
    honoured("services.*.build.secrets[].source", Shape::Text, "The key under `secrets`.").like("token"),
    honoured("services.*.build.secrets[].target", Shape::Text, "The id that RUN steps know it by.")
        .like("npm_token"),
    honoured("services.*.build.secrets[].uid", Shape::Text, "The owner's number.").like("\"1000\""),
    honoured("services.*.build.secrets[].gid", Shape::Text, "The group's number.").like("\"1000\""),
    honoured("services.*.build.secrets[].mode", Shape::Permissions, "Permission bits.").like("0400"),
    not_yet("services.*.build.ssh", Shape::Variables, "SSH agents and keys for RUN steps.", "")
        .short(Short::Assignments)
        .like("[default]"),
    not_yet("services.*.build.ulimits", Shape::Keyed, "Limits of RUN steps.", "").like("{nofile: 65535}"),
    honoured("services.*.build.ulimits.*", Shape::Mapping, "A limit.")
        .short(Short::Ulimit)
        .merged(Merge::Replace)
        .like("{soft: 1024, hard: 4096}"),
    honoured("services.*.build.ulimits.*.soft", Shape::Integer, "The limit that holds.").like("1024"),
    honoured("services.*.build.ulimits.*.hard", Shape::Integer, "The highest that may be asked for.")
        .like("4096"),
];

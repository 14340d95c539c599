//! The rows of builds.

use super::{Attribute, Identity, Merge, Shape, Short, honoured, ignored};

const UNIQUE: Merge = Merge::Unique(Identity::Value);

/// Why a secret of a build has no owner and mode of its own.
const MOUNT: &str = "the `RUN --mount=type=secret` of the Dockerfile says it";

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
    honoured("services.*.build.additional_contexts", Shape::Contexts, "Further named contexts.")
        .short(Short::Assignments)
        .like("{assets: ../assets}"),
    honoured("services.*.build.cache_to", Shape::Texts, "Where the layer cache is exported to.")
        .like("[\"type=inline\"]"),
    honoured("services.*.build.entitlements", Shape::Texts, "Rights that the build asks for.")
        .like("[network.host]"),
    ignored(
        "services.*.build.isolation",
        Shape::Text,
        "The isolation of the build, for Windows.",
        "only containers of Windows know it",
    )
    .like("hyperv"),
    honoured("services.*.build.no_cache_filter", Shape::Texts, "Stages that are built without cache.")
        .short(Short::One)
        .like("[install]"),
    honoured("services.*.build.platforms", Shape::Texts, "Platforms to build for.")
        .like("[linux/amd64, linux/arm64]"),
    honoured("services.*.build.privileged", Shape::Boolean, "A build with all privileges."),
    honoured("services.*.build.provenance", Shape::Plain, "Provenance attestation.").like("mode=max"),
    honoured("services.*.build.sbom", Shape::Plain, "A bill of materials.").like("\"true\""),
    honoured("services.*.build.secrets", Shape::List, "Secrets for RUN steps.").like("[token]"),
    honoured("services.*.build.secrets[]", Shape::Mapping, "A secret for RUN steps.")
        .short(Short::Source)
        .like("token"),
    honoured("services.*.build.secrets[].source", Shape::Text, "The key under `secrets`.").like("token"),
    honoured("services.*.build.secrets[].target", Shape::Text, "The id that RUN steps know it by.")
        .like("npm_token"),
    ignored("services.*.build.secrets[].uid", Shape::Text, "The owner's number.", MOUNT).like("\"1000\""),
    ignored("services.*.build.secrets[].gid", Shape::Text, "The group's number.", MOUNT).like("\"1000\""),
    ignored("services.*.build.secrets[].mode", Shape::Permissions, "Permission bits.", MOUNT).like("0400"),
    honoured("services.*.build.ssh", Shape::Variables, "SSH agents and keys for RUN steps.")
        .short(Short::Assignments)
        .like("[default]"),
    honoured("services.*.build.ulimits", Shape::Keyed, "Limits of RUN steps.").like("{nofile: 65535}"),
    honoured("services.*.build.ulimits.*", Shape::Mapping, "A limit.")
        .short(Short::Ulimit)
        .merged(Merge::Replace)
        .like("{soft: 1024, hard: 4096}"),
    honoured("services.*.build.ulimits.*.soft", Shape::Integer, "The limit that holds.").like("1024"),
    honoured("services.*.build.ulimits.*.hard", Shape::Integer, "The highest that may be asked for.")
        .like("4096"),
];

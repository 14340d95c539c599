//! The rows of the top level, of networks and of volumes.

use super::{Attribute, Identity, Merge, Shape, Short, honoured, no_effect, refused};

/// The top level, in the order in which it is written.
pub(super) const TOP: &[Attribute] = &[
    honoured("name", Shape::Text, "The project name.").like("shop"),
    no_effect(
        "version",
        "The version of an old file format.",
        "the Compose Specification has no versions any more; remove the line",
    ),
    honoured("services", Shape::Keyed, "The services by name.").like("{web: {image: nginx}}"),
    honoured("services.*", Shape::Mapping, "A service.").like("{image: nginx}"),
    honoured("networks", Shape::Keyed, "The networks by key.").like("{front: {}}"),
    honoured("networks.*", Shape::Mapping, "A network.").like("{internal: true}"),
    honoured("volumes", Shape::Keyed, "The volumes by key.").like("{data: {}}"),
    honoured("volumes.*", Shape::Mapping, "A volume.").like("{name: shop-data}"),
    refused("configs", "Configuration files.", "mount the file under `volumes` of the service"),
    honoured("include", Shape::List, "Other stack files, each with a directory and variables of its own.")
        .like("[monitoring/stack.yaml]"),
    honoured("include[]", Shape::Mapping, "One stack file, or several of which later ones win.")
        .short(Short::Field("path"))
        .like("{path: monitoring/stack.yaml}"),
    honoured("include[].path", Shape::Texts, "The files; relative to the directory of the including file.")
        .short(Short::One)
        .like("monitoring/stack.yaml"),
    honoured(
        "include[].project_directory",
        Shape::Path,
        "What its relative paths start at, in place of the directory of its first file.",
    )
    .like("monitoring"),
    honoured(
        "include[].env_file",
        Shape::Texts,
        "Files with variables for it, in place of `.env` of its directory.",
    )
    .short(Short::One)
    .like("monitoring/dev.env"),
    refused("models", "AI models.", ""),
    refused("secrets", "Secret files.", "mount the file under `volumes` of the service, read-only"),
];

/// What stands within networks and volumes.
pub(super) const ROWS: &[Attribute] = &[
    honoured("networks.*.name", Shape::Text, "The engine's name for it.").like("shop-front"),
    honoured("networks.*.external", Shape::Boolean, "Whether somebody else owns it.").short(Short::External),
    honoured("networks.*.driver", Shape::Text, "The driver.").like("bridge"),
    honoured("networks.*.driver_opts", Shape::Pairs, "Options of the driver.")
        .like("{com.docker.network.driver.mtu: 1400}"),
    honoured("networks.*.internal", Shape::Boolean, "Whether it has no way out."),
    honoured("networks.*.attachable", Shape::Boolean, "Whether other containers may join."),
    honoured("networks.*.enable_ipv6", Shape::Boolean, "Whether it has IPv6."),
    refused("networks.*.enable_ipv4", "Whether it has IPv4.", ""),
    honoured("networks.*.labels", Shape::Pairs, "Labels of the network.")
        .short(Short::Assignments)
        .like("{team: shop}"),
    honoured("networks.*.ipam", Shape::Mapping, "Its addresses.").like("{config: [{subnet: 172.28.0.0/16}]}"),
    honoured("networks.*.ipam.driver", Shape::Choice(&["default"]), "The driver of addresses.")
        .like("default"),
    refused("networks.*.ipam.options", "Options of the driver of addresses.", ""),
    honoured("networks.*.ipam.config", Shape::List, "Address ranges.")
        .merged(Merge::Unique(Identity::Field("subnet")))
        .like("[{subnet: 172.28.0.0/16}]"),
    honoured("networks.*.ipam.config[]", Shape::Mapping, "An address range.").like("{subnet: 172.28.0.0/16}"),
    honoured("networks.*.ipam.config[].subnet", Shape::Text, "The subnet.").like("172.28.0.0/16"),
    honoured("networks.*.ipam.config[].gateway", Shape::Text, "The gateway.").like("172.28.0.1"),
    honoured("networks.*.ipam.config[].ip_range", Shape::Text, "The part for containers.")
        .like("172.28.5.0/24"),
    refused("networks.*.ipam.config[].aux_addresses", "Addresses of other machines.", ""),
    honoured("volumes.*.name", Shape::Text, "The engine's name for it.").like("shop-data"),
    honoured("volumes.*.external", Shape::Boolean, "Whether somebody else owns it.").short(Short::External),
    honoured("volumes.*.driver", Shape::Text, "The driver.").like("local"),
    honoured("volumes.*.driver_opts", Shape::Pairs, "Options of the driver.").like("{type: nfs}"),
    honoured("volumes.*.labels", Shape::Pairs, "Labels of the volume.")
        .short(Short::Assignments)
        .like("{team: shop}"),
];

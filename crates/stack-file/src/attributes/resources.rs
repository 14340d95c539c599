//! The rows of the top level, and of networks, volumes, secrets, configs and models.

use super::{Attribute, Identity, Merge, Shape, Short, honoured, no_effect, not_yet, told};

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
    honoured("secrets", Shape::Keyed, "Secret files by key.").like("{token: {file: token.txt}}"),
    honoured("secrets.*", Shape::Mapping, "A secret file.").like("{file: token.txt}"),
    honoured("configs", Shape::Keyed, "Configuration files by key.").like("{app: {file: app.conf}}"),
    honoured("configs.*", Shape::Mapping, "A configuration file.").like("{file: app.conf}"),
    honoured("models", Shape::Keyed, "AI models by key.").like("{llm: {model: ai/smollm2}}"),
    honoured("models.*", Shape::Mapping, "An AI model.").like("{model: ai/smollm2}"),
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
];

/// What stands within networks, volumes, secrets, configs and models.
pub(super) const ROWS: &[Attribute] = &[
    honoured("networks.*.name", Shape::Text, "The engine's name for it.").like("shop-front"),
    honoured("networks.*.external", Shape::Boolean, "Whether somebody else owns it.").short(Short::External),
    honoured("networks.*.driver", Shape::Text, "The driver.").like("bridge"),
    honoured("networks.*.driver_opts", Shape::Pairs, "Options of the driver.")
        .like("{com.docker.network.driver.mtu: 1400}"),
    honoured("networks.*.internal", Shape::Boolean, "Whether it has no way out."),
    honoured("networks.*.attachable", Shape::Boolean, "Whether other containers may join."),
    honoured("networks.*.enable_ipv6", Shape::Boolean, "Whether it has IPv6."),
    honoured("networks.*.enable_ipv4", Shape::Boolean, "Whether it has IPv4."),
    honoured("networks.*.labels", Shape::Pairs, "Labels of the network.")
        .short(Short::Assignments)
        .like("{team: shop}"),
    honoured("networks.*.ipam", Shape::Mapping, "Its addresses.").like("{config: [{subnet: 172.28.0.0/16}]}"),
    honoured("networks.*.ipam.driver", Shape::Text, "The driver of addresses.").like("default"),
    honoured("networks.*.ipam.options", Shape::Pairs, "Options of the driver of addresses.")
        .like("{key: value}"),
    honoured("networks.*.ipam.config", Shape::List, "Address ranges.")
        .merged(Merge::Unique(Identity::Field("subnet")))
        .like("[{subnet: 172.28.0.0/16}]"),
    honoured("networks.*.ipam.config[]", Shape::Mapping, "An address range.").like("{subnet: 172.28.0.0/16}"),
    honoured("networks.*.ipam.config[].subnet", Shape::Text, "The subnet.").like("172.28.0.0/16"),
    honoured("networks.*.ipam.config[].gateway", Shape::Text, "The gateway.").like("172.28.0.1"),
    honoured("networks.*.ipam.config[].ip_range", Shape::Text, "The part for containers.")
        .like("172.28.5.0/24"),
    honoured("networks.*.ipam.config[].aux_addresses", Shape::Pairs, "Addresses of other machines.")
        .like("{printer: 172.28.1.5}"),
    honoured("volumes.*.name", Shape::Text, "The engine's name for it.").like("shop-data"),
    honoured("volumes.*.external", Shape::Boolean, "Whether somebody else owns it.").short(Short::External),
    honoured("volumes.*.driver", Shape::Text, "The driver.").like("local"),
    honoured("volumes.*.driver_opts", Shape::Pairs, "Options of the driver.").like("{type: nfs}"),
    honoured("volumes.*.labels", Shape::Pairs, "Labels of the volume.")
        .short(Short::Assignments)
        .like("{team: shop}"),
    honoured("secrets.*.name", Shape::Text, "The name under which it is known outside.").like("shop-token"),
    honoured("secrets.*.external", Shape::Boolean, "Whether somebody else owns it.").short(Short::External),
    honoured("secrets.*.file", Shape::Path, "The file with the content.").like("token.txt"),
    honoured("secrets.*.environment", Shape::Text, "The variable with the content.").like("TOKEN"),
    not_yet("secrets.*.driver", Shape::Text, "The driver that keeps it.", "").like("vault"),
    not_yet("secrets.*.driver_opts", Shape::Pairs, "Options of the driver.", "").like("{path: shop}"),
    told("secrets.*.labels", Shape::Pairs, "Labels of it in a cluster.")
        .short(Short::Assignments)
        .like("{team: shop}"),
    not_yet("secrets.*.template_driver", Shape::Text, "The driver that fills in templates.", "")
        .like("golang"),
    honoured("configs.*.name", Shape::Text, "The name under which it is known outside.").like("shop-app"),
    honoured("configs.*.external", Shape::Boolean, "Whether somebody else owns it.").short(Short::External),
    honoured("configs.*.file", Shape::Path, "The file with the content.").like("app.txt"),
    honoured("configs.*.environment", Shape::Text, "The variable with the content.").like("APP"),
    honoured("configs.*.content", Shape::Text, "The content itself.").like("\"key = 1\""),
    told("configs.*.labels", Shape::Pairs, "Labels of it in a cluster.")
        .short(Short::Assignments)
        .like("{team: shop}"),
    not_yet("configs.*.template_driver", Shape::Text, "The driver that fills in templates.", "")
        .like("golang"),
    honoured("models.*.name", Shape::Text, "Its name.").like("llm"),
    honoured("models.*.model", Shape::Text, "The model's reference.").like("ai/smollm2"),
    honoured("models.*.context_size", Shape::Integer, "The size of its context.").like("4096"),
    honoured("models.*.runtime_flags", Shape::Texts, "Flags of the program that runs it.")
        .like("[\"--temp\", \"0\"]"),
];

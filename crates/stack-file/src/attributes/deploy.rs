//! The rows of `deploy`.

use super::{Attribute, Shape, Short, honoured, ignored};

/// What stands within `services.*.deploy`, in the order in which it is written.
pub(super) const ROWS: &[Attribute] = &[
    honoured("services.*.deploy.mode", Shape::Text, "`replicated` is a fixed number of containers.")
        .like("replicated"),
    honoured("services.*.deploy.replicas", Shape::Count, "How many containers.").like("2"),
    honoured("services.*.deploy.resources", Shape::Mapping, "What the containers may use.")
        .like("{limits: {memory: 512m}}"),
    honoured("services.*.deploy.resources.limits", Shape::Mapping, "The most that they may use.")
        .like("{memory: 512m}"),
    honoured("services.*.deploy.resources.limits.cpus", Shape::Number, "The limit in processors.")
        .like("\"0.5\""),
    honoured("services.*.deploy.resources.limits.memory", Shape::Bytes, "The memory limit.").like("512m"),
    honoured("services.*.deploy.resources.limits.pids", Shape::Integer, "The limit of processes.")
        .like("200"),
    honoured("services.*.deploy.resources.reservations", Shape::Mapping, "What is kept free for them.")
        .like("{memory: 128m}"),
    honoured("services.*.deploy.resources.reservations.memory", Shape::Bytes, "The memory kept free.")
        .like("128m"),
    ignored(
        "services.*.deploy.resources.reservations.cpus",
        Shape::Number,
        "Processors kept free.",
        "one engine keeps no processors free",
    )
    .like("\"0.25\""),
    honoured("services.*.deploy.resources.reservations.devices", Shape::List, "Devices kept free.")
        .like("[{capabilities: [gpu]}]"),
    honoured("services.*.deploy.resources.reservations.devices[]", Shape::Mapping, "A request for devices.")
        .like("{capabilities: [gpu]}"),
    honoured(
        "services.*.deploy.resources.reservations.devices[].capabilities",
        Shape::Texts,
        "What they must be able to do.",
    )
    .like("[gpu]"),
    honoured("services.*.deploy.resources.reservations.devices[].count", Shape::Amount, "How many, or all.")
        .like("1"),
    honoured("services.*.deploy.resources.reservations.devices[].device_ids", Shape::Texts, "Which ones.")
        .like("[\"0\"]"),
    honoured("services.*.deploy.resources.reservations.devices[].driver", Shape::Text, "The driver.")
        .like("nvidia"),
    honoured(
        "services.*.deploy.resources.reservations.devices[].options",
        Shape::Pairs,
        "Options of the driver.",
    )
    .short(Short::Assignments)
    .like("{virtualization: \"false\"}"),
    ignored(
        "services.*.deploy.resources.reservations.generic_resources",
        Shape::List,
        "Other resources kept free.",
        "only a cluster counts such resources",
    )
    .like("[{discrete_resource_spec: {kind: SSD, value: 1}}]"),
    honoured(
        "services.*.deploy.resources.reservations.generic_resources[]",
        Shape::Mapping,
        "A resource of a kind.",
    )
    .like("{discrete_resource_spec: {kind: SSD, value: 1}}"),
    honoured(
        "services.*.deploy.resources.reservations.generic_resources[].discrete_resource_spec",
        Shape::Mapping,
        "A resource that is counted.",
    )
    .like("{kind: SSD, value: 1}"),
    honoured(
        "services.*.deploy.resources.reservations.generic_resources[].discrete_resource_spec.kind",
        Shape::Text,
        "The kind.",
    )
    .like("SSD"),
    honoured(
        "services.*.deploy.resources.reservations.generic_resources[].discrete_resource_spec.value",
        Shape::Integer,
        "How many.",
    )
    .like("1"),
    ignored(
        "services.*.deploy.endpoint_mode",
        Shape::Text,
        "How a cluster spreads connections.",
        "only a cluster spreads connections",
    )
    .like("vip"),
    ignored(
        "services.*.deploy.labels",
        Shape::Pairs,
        "Labels of a cluster's service.",
        "only a cluster has services to label; `labels` of the service are for its containers",
    )
    .short(Short::Assignments)
    .like("{team: shop}"),
    ignored(
        "services.*.deploy.placement",
        Shape::Mapping,
        "Where a cluster puts containers.",
        "only a cluster places containers",
    )
    .like("{constraints: [\"node.role==worker\"]}"),
    honoured("services.*.deploy.placement.constraints", Shape::Texts, "What a machine must fulfil.")
        .like("[\"node.role==worker\"]"),
    honoured("services.*.deploy.placement.preferences", Shape::List, "How containers are spread.")
        .like("[{spread: node.labels.zone}]"),
    honoured("services.*.deploy.placement.preferences[]", Shape::Mapping, "A preference.")
        .like("{spread: node.labels.zone}"),
    honoured("services.*.deploy.placement.preferences[].spread", Shape::Text, "The label to spread over.")
        .like("node.labels.zone"),
    honoured(
        "services.*.deploy.placement.max_replicas_per_node",
        Shape::Count,
        "The most containers on one machine.",
    )
    .like("1"),
    honoured("services.*.deploy.restart_policy", Shape::Mapping, "When containers are restarted.")
        .like("{condition: on-failure}"),
    honoured("services.*.deploy.restart_policy.condition", Shape::Text, "none, on-failure or any.")
        .like("on-failure"),
    ignored(
        "services.*.deploy.restart_policy.delay",
        Shape::Duration,
        "The time before a restart.",
        "an engine restarts after a time of its own",
    )
    .like("5s"),
    honoured("services.*.deploy.restart_policy.max_attempts", Shape::Count, "How often at most.").like("3"),
    ignored(
        "services.*.deploy.restart_policy.window",
        Shape::Duration,
        "How long it must run to count as started.",
        "an engine has a time of its own for it",
    )
    .like("1m"),
    honoured("services.*.deploy.rollback_config", Shape::Mapping, "How an update is undone.")
        .like("{parallelism: 1}"),
    honoured("services.*.deploy.rollback_config.parallelism", Shape::Count, "How many at a time; 0 is all.")
        .like("1"),
    honoured("services.*.deploy.rollback_config.delay", Shape::Duration, "The time between two of them.")
        .like("10s"),
    honoured(
        "services.*.deploy.rollback_config.failure_action",
        Shape::Choice(&["pause", "continue"]),
        "What follows a failure.",
    )
    .like("pause"),
    honoured("services.*.deploy.rollback_config.monitor", Shape::Duration, "How long a new one is watched.")
        .like("30s"),
    honoured(
        "services.*.deploy.rollback_config.max_failure_ratio",
        Shape::Number,
        "The share that may fail.",
    )
    .like("0.1"),
    honoured(
        "services.*.deploy.rollback_config.order",
        Shape::Choice(&["start-first", "stop-first"]),
        "Which goes first, the new or the old.",
    )
    .like("start-first"),
    honoured(
        "services.*.deploy.update_config",
        Shape::Mapping,
        "How running containers are replaced, one after the other.",
    )
    .like("{parallelism: 1}"),
    honoured("services.*.deploy.update_config.parallelism", Shape::Count, "How many at a time; 0 is all.")
        .like("1"),
    honoured("services.*.deploy.update_config.delay", Shape::Duration, "The time between two of them.")
        .like("10s"),
    honoured(
        "services.*.deploy.update_config.failure_action",
        Shape::Choice(&["pause", "continue", "rollback"]),
        "What follows a failure.",
    )
    .like("pause"),
    honoured("services.*.deploy.update_config.monitor", Shape::Duration, "How long a new one is watched.")
        .like("30s"),
    honoured("services.*.deploy.update_config.max_failure_ratio", Shape::Number, "The share that may fail.")
        .like("0.1"),
    honoured(
        "services.*.deploy.update_config.order",
        Shape::Choice(&["start-first", "stop-first"]),
        "Which goes first, the new or the old.",
    )
    .like("start-first"),
];

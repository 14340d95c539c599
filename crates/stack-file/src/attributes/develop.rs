//! The rows of what goes on beside a container: watching, hooks, models and providers.

use super::{Attribute, Merge, Shape, Short, honoured, not_yet, told};

/// What stands within `develop`, the hooks, `models` and `provider`, in the order in which it is written.
pub(super) const ROWS: &[Attribute] = &[
    told("services.*.develop", Shape::Mapping, "What `watch` does.").like("{watch: []}"),
    honoured("services.*.develop.watch", Shape::List, "What is watched.")
        .like("[{path: ./src, action: rebuild}]"),
    honoured("services.*.develop.watch[]", Shape::Mapping, "A path, and what follows a change.")
        .like("{path: ./src, action: rebuild}"),
    honoured("services.*.develop.watch[].path", Shape::Path, "The path.").like("./src"),
    honoured(
        "services.*.develop.watch[].action",
        Shape::Choice(&["rebuild", "sync", "restart", "sync+restart", "sync+exec"]),
        "What follows a change.",
    )
    .like("sync"),
    honoured("services.*.develop.watch[].target", Shape::Text, "Where files go in the container.")
        .like("/srv/src"),
    honoured("services.*.develop.watch[].include", Shape::Texts, "What is watched of the path.")
        .short(Short::One)
        .like("[\"*.js\"]"),
    honoured("services.*.develop.watch[].ignore", Shape::Texts, "What is not.")
        .short(Short::One)
        .like("[node_modules/]"),
    honoured(
        "services.*.develop.watch[].initial_sync",
        Shape::Boolean,
        "Whether files go over at the start.",
    ),
    honoured("services.*.develop.watch[].exec", Shape::Mapping, "What runs after files went over.")
        .like("{command: reload}"),
    honoured("services.*.develop.watch[].exec.command", Shape::Texts, "The command.")
        .short(Short::Words)
        .merged(Merge::Replace)
        .like("[\"/migrate\"]"),
    honoured("services.*.develop.watch[].exec.user", Shape::Text, "The user, by name or id.").like("root"),
    honoured("services.*.develop.watch[].exec.privileged", Shape::Boolean, "Gives all privileges."),
    honoured("services.*.develop.watch[].exec.working_dir", Shape::Text, "The working directory.")
        .like("/srv"),
    honoured("services.*.develop.watch[].exec.environment", Shape::Variables, "Variables of the command.")
        .short(Short::Assignments)
        .like("{LOG_LEVEL: info}"),
    honoured("services.*.post_start", Shape::List, "Commands after the start.").like("[{command: /migrate}]"),
    honoured("services.*.post_start[]", Shape::Mapping, "A command.").like("{command: /migrate}"),
    honoured("services.*.post_start[].command", Shape::Texts, "The command.")
        .short(Short::Words)
        .merged(Merge::Replace)
        .like("[\"/migrate\"]"),
    honoured("services.*.post_start[].user", Shape::Text, "The user, by name or id.").like("root"),
    honoured("services.*.post_start[].privileged", Shape::Boolean, "Gives all privileges."),
    honoured("services.*.post_start[].working_dir", Shape::Text, "The working directory.").like("/srv"),
    honoured("services.*.post_start[].environment", Shape::Variables, "Variables of the command.")
        .short(Short::Assignments)
        .like("{LOG_LEVEL: info}"),
    honoured("services.*.pre_stop", Shape::List, "Commands before the stop.").like("[{command: /migrate}]"),
    honoured("services.*.pre_stop[]", Shape::Mapping, "A command.").like("{command: /migrate}"),
    honoured("services.*.pre_stop[].command", Shape::Texts, "The command.")
        .short(Short::Words)
        .merged(Merge::Replace)
        .like("[\"/migrate\"]"),
    honoured("services.*.pre_stop[].user", Shape::Text, "The user, by name or id.").like("root"),
    honoured("services.*.pre_stop[].privileged", Shape::Boolean, "Gives all privileges."),
    honoured("services.*.pre_stop[].working_dir", Shape::Text, "The working directory.").like("/srv"),
    honoured("services.*.pre_stop[].environment", Shape::Variables, "Variables of the command.")
        .short(Short::Assignments)
        .like("{LOG_LEVEL: info}"),
    not_yet(
        "services.*.pre_start",
        Shape::List,
        "Commands before the start.",
        "use a service of its own, and `depends_on` with `service_completed_successfully`",
    )
    .like("[{command: /migrate}]"),
    honoured("services.*.pre_start[]", Shape::Mapping, "A command.").like("{command: /migrate}"),
    honoured("services.*.pre_start[].command", Shape::Texts, "The command.")
        .short(Short::Words)
        .merged(Merge::Replace)
        .like("[\"/migrate\"]"),
    honoured("services.*.pre_start[].user", Shape::Text, "The user, by name or id.").like("root"),
    honoured("services.*.pre_start[].privileged", Shape::Boolean, "Gives all privileges."),
    honoured("services.*.pre_start[].working_dir", Shape::Text, "The working directory.").like("/srv"),
    honoured("services.*.pre_start[].environment", Shape::Variables, "Variables of the command.")
        .short(Short::Assignments)
        .like("{LOG_LEVEL: info}"),
    honoured("services.*.pre_start[].image", Shape::Text, "The image it runs in; else that of the service.")
        .like("busybox"),
    honoured("services.*.pre_start[].per_replica", Shape::Boolean, "Whether it runs for each container."),
    honoured("services.*.models", Shape::Keyed, "AI models.").short(Short::Names).like("[llm]"),
    honoured("services.*.models.*", Shape::Mapping, "How the containers learn of a model.")
        .like("{endpoint_var: LLM_URL}"),
    honoured("services.*.models.*.endpoint_var", Shape::Text, "The variable for its address.")
        .like("LLM_URL"),
    honoured("services.*.models.*.model_var", Shape::Text, "The variable for its name.").like("LLM_MODEL"),
    honoured("services.*.provider", Shape::Mapping, "A service made by another program.")
        .like("{type: awesomecloud}"),
    honoured("services.*.provider.type", Shape::Text, "The program.").like("awesomecloud"),
    honoured("services.*.provider.options", Shape::Lists, "Options of the program.").like("{size: 10}"),
];

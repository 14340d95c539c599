//! The rows of services.

use super::{Attribute, Identity, Merge, Shape, Short, honoured, no_effect, refused};

const UNIQUE: Merge = Merge::Unique(Identity::Value);

const CONDITIONS: &[&str] = &["service_started", "service_healthy", "service_completed_successfully"];

/// `services.*` and everything below, in the order in which it is written.
pub(super) const ROWS: &[Attribute] = &[
    honoured("services.*.image", Shape::Text, "The image of the containers.").like("nginx:1.27"),
    honoured("services.*.build", Shape::Mapping, "How the image is built.").short(Short::Build).like("."),
    honoured("services.*.build.context", Shape::Path, "The directory that is sent to the build.").like("."),
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
    refused("services.*.build.additional_contexts", "Further named contexts.", ""),
    refused("services.*.build.cache_to", "Where the layer cache is exported to.", ""),
    refused("services.*.build.entitlements", "Rights that the build asks for.", ""),
    refused("services.*.build.isolation", "The isolation of the build, for Windows.", ""),
    refused(
        "services.*.build.no_cache_filter",
        "Stages that are built without cache.",
        "use `no_cache: true` for all stages",
    ),
    refused(
        "services.*.build.platforms",
        "Platforms to build for.",
        "set `platform` of the service for a single one",
    ),
    refused("services.*.build.privileged", "A build with all privileges.", ""),
    refused("services.*.build.provenance", "Provenance attestation.", ""),
    refused("services.*.build.sbom", "A bill of materials.", ""),
    refused("services.*.build.secrets", "Secrets for RUN steps.", ""),
    refused("services.*.build.ssh", "SSH agents for RUN steps.", ""),
    refused("services.*.build.ulimits", "Limits of RUN steps.", ""),
    honoured("services.*.command", Shape::Texts, "The command, in place of the image's.")
        .short(Short::Words)
        .merged(Merge::Replace)
        .like("[\"serve\", \"--port\", \"80\"]"),
    honoured("services.*.entrypoint", Shape::Texts, "The entry point, in place of the image's.")
        .short(Short::Words)
        .merged(Merge::Replace)
        .like("[\"/entrypoint.sh\"]"),
    honoured("services.*.environment", Shape::Variables, "Variables of the containers.")
        .short(Short::Assignments)
        .like("{LOG_LEVEL: info}"),
    honoured("services.*.env_file", Shape::List, "Files with variables for the containers.")
        .short(Short::EnvFiles)
        .merged(Merge::Unique(Identity::Field("path")))
        .like("[app.env]"),
    honoured("services.*.env_file[]", Shape::Mapping, "A file with variables.").like("{path: app.env}"),
    honoured("services.*.env_file[].path", Shape::Path, "The file.").like("app.env"),
    honoured("services.*.env_file[].format", Shape::Choice(&["raw"]), "`raw` takes lines as they are.")
        .like("raw"),
    honoured("services.*.env_file[].required", Shape::Boolean, "Whether the file must be there."),
    honoured("services.*.ports", Shape::List, "Ports published on the host.")
        .merged(Merge::Unique(Identity::Port))
        .like("[\"8080:80\"]"),
    honoured("services.*.ports[]", Shape::Mapping, "A published port.")
        .short(Short::Port)
        .like("\"8080:80\""),
    honoured("services.*.ports[].target", Shape::Count, "The port in the container.").like("80"),
    honoured("services.*.ports[].published", Shape::Text, "The port on the host, or a range.")
        .like("\"8080\""),
    honoured("services.*.ports[].host_ip", Shape::Text, "The address on the host.").like("127.0.0.1"),
    honoured("services.*.ports[].protocol", Shape::Choice(&["tcp", "udp", "sctp"]), "The protocol.")
        .like("udp"),
    honoured(
        "services.*.ports[].mode",
        Shape::Choice(&["ingress", "host"]),
        "The same on a single engine: the host's port.",
    )
    .like("host"),
    honoured("services.*.ports[].name", Shape::Text, "A name for readers.").like("http"),
    refused("services.*.ports[].app_protocol", "What is spoken over the port.", ""),
    honoured("services.*.expose", Shape::Texts, "Ports shown to other containers only.")
        .short(Short::Expose)
        .merged(UNIQUE)
        .like("[\"80\"]"),
    honoured("services.*.volumes", Shape::List, "What is mounted into the containers.")
        .merged(Merge::Unique(Identity::Field("target")))
        .like("[\"data:/var/lib/data\"]"),
    honoured("services.*.volumes[]", Shape::Mapping, "A mount.")
        .short(Short::Mount)
        .like("\"./html:/srv:ro\""),
    honoured("services.*.volumes[].type", Shape::Choice(&["bind", "volume", "tmpfs"]), "What is mounted.")
        .like("bind"),
    honoured("services.*.volumes[].source", Shape::Text, "A path of the host or the key of a volume.")
        .like("./html"),
    honoured("services.*.volumes[].target", Shape::Text, "The path in the container.").like("/srv"),
    honoured("services.*.volumes[].read_only", Shape::Boolean, "Whether the mount is read-only."),
    no_effect(
        "services.*.volumes[].consistency",
        "How strictly host and container agree.",
        "it has no effect on Linux engines",
    ),
    honoured("services.*.volumes[].bind", Shape::Mapping, "Options of a bind mount.")
        .like("{create_host_path: false}"),
    honoured("services.*.volumes[].bind.create_host_path", Shape::Boolean, "Whether a missing path is made."),
    honoured(
        "services.*.volumes[].bind.propagation",
        Shape::Choice(&["rprivate", "private", "rshared", "shared", "rslave", "slave"]),
        "How mounts below are passed on.",
    )
    .like("rslave"),
    honoured(
        "services.*.volumes[].bind.selinux",
        Shape::Choice(&["z", "Z"]),
        "SELinux label: z shared, Z private.",
    )
    .like("z"),
    refused("services.*.volumes[].bind.recursive", "How mounts below become read-only.", ""),
    honoured("services.*.volumes[].volume", Shape::Mapping, "Options of a volume mount.")
        .like("{nocopy: true}"),
    honoured(
        "services.*.volumes[].volume.nocopy",
        Shape::Boolean,
        "Leaves the image's files out of a new volume.",
    ),
    refused(
        "services.*.volumes[].volume.labels",
        "Labels of an anonymous volume.",
        "declare the volume under the top-level `volumes`",
    ),
    refused("services.*.volumes[].volume.subpath", "A directory within the volume.", ""),
    honoured("services.*.volumes[].tmpfs", Shape::Mapping, "Options of a tmpfs mount.").like("{size: 64m}"),
    honoured("services.*.volumes[].tmpfs.size", Shape::Bytes, "The size.").like("64m"),
    honoured("services.*.volumes[].tmpfs.mode", Shape::Count, "Permission bits.").like("0755"),
    refused("services.*.volumes[].image", "Options of an image mount.", ""),
    honoured("services.*.tmpfs", Shape::Texts, "Directories in memory.")
        .short(Short::One)
        .merged(Merge::Unique(Identity::BeforeColon))
        .like("[/run]"),
    honoured("services.*.networks", Shape::Keyed, "Networks that the containers join.")
        .short(Short::Names)
        .like("[front]"),
    honoured("services.*.networks.*", Shape::Mapping, "How the containers join a network.")
        .like("{aliases: [db]}"),
    honoured("services.*.networks.*.aliases", Shape::Texts, "Further names there.")
        .merged(UNIQUE)
        .like("[db]"),
    honoured("services.*.networks.*.ipv4_address", Shape::Text, "A fixed address.").like("172.20.0.10"),
    honoured("services.*.networks.*.ipv6_address", Shape::Text, "A fixed IPv6 address.").like("2001:db8::10"),
    honoured("services.*.networks.*.priority", Shape::Integer, "The highest is joined first.").like("10"),
    refused("services.*.networks.*.driver_opts", "Options of the driver for this container.", ""),
    refused("services.*.networks.*.gw_priority", "Which network is the way out.", ""),
    refused("services.*.networks.*.interface_name", "The name of the interface.", ""),
    refused("services.*.networks.*.link_local_ips", "Link-local addresses.", ""),
    refused("services.*.networks.*.mac_address", "A fixed MAC address.", ""),
    honoured("services.*.network_mode", Shape::Text, "host, none, bridge, service:NAME or container:NAME.")
        .like("host"),
    honoured("services.*.depends_on", Shape::Keyed, "Services that must be there first.")
        .short(Short::Names)
        .like("[db]"),
    honoured("services.*.depends_on.*", Shape::Mapping, "What is wanted of another service.")
        .like("{condition: service_healthy}"),
    honoured(
        "services.*.depends_on.*.condition",
        Shape::Choice(CONDITIONS),
        "The state that it must have reached.",
    )
    .like("service_healthy"),
    honoured("services.*.depends_on.*.restart", Shape::Boolean, "Restarts this service with the other."),
    honoured("services.*.depends_on.*.required", Shape::Boolean, "Whether the other must be there."),
    honoured("services.*.healthcheck", Shape::Mapping, "How the engine tells that a container works.")
        .like("{test: [\"CMD\", \"/server\", \"healthcheck\"]}"),
    honoured("services.*.healthcheck.test", Shape::Texts, "The probe.")
        .short(Short::Test)
        .merged(Merge::Replace)
        .like("[\"CMD\", \"redis-cli\", \"ping\"]"),
    honoured("services.*.healthcheck.interval", Shape::Duration, "The time between probes.").like("10s"),
    honoured("services.*.healthcheck.timeout", Shape::Duration, "The time that a probe may take.").like("3s"),
    honoured("services.*.healthcheck.retries", Shape::Count, "Failures in a row that make it unhealthy.")
        .like("3"),
    honoured(
        "services.*.healthcheck.start_period",
        Shape::Duration,
        "The time in which failures do not count.",
    )
    .like("30s"),
    honoured(
        "services.*.healthcheck.start_interval",
        Shape::Duration,
        "The time between probes at the start.",
    )
    .like("1s"),
    honoured("services.*.healthcheck.disable", Shape::Boolean, "Turns the image's check off."),
    honoured("services.*.restart", Shape::Text, "When the engine restarts a container.")
        .like("unless-stopped"),
    honoured("services.*.stop_grace_period", Shape::Duration, "How long a stop waits before the kill.")
        .like("25s"),
    honoured("services.*.stop_signal", Shape::Text, "The signal that stops a container.").like("SIGQUIT"),
    honoured("services.*.container_name", Shape::Text, "A fixed name for the only container.")
        .like("shop-db"),
    honoured("services.*.hostname", Shape::Text, "The host name inside.").like("db"),
    honoured("services.*.domainname", Shape::Text, "The domain name inside.").like("example.org"),
    honoured("services.*.labels", Shape::Pairs, "Labels of the containers.")
        .short(Short::Assignments)
        .like("{team: shop}"),
    honoured("services.*.annotations", Shape::Pairs, "Annotations for the runtime.")
        .short(Short::Assignments)
        .like("{note: text}"),
    honoured("services.*.working_dir", Shape::Text, "The working directory inside.").like("/srv"),
    honoured("services.*.user", Shape::Text, "The user, by name or id.").like("\"1000:1000\""),
    honoured("services.*.group_add", Shape::Texts, "Further groups.").merged(UNIQUE).like("[audio]"),
    honoured("services.*.init", Shape::Boolean, "Runs a small init as process 1."),
    honoured("services.*.read_only", Shape::Boolean, "Makes the root file system read-only."),
    honoured("services.*.tty", Shape::Boolean, "Gives the process a terminal."),
    honoured("services.*.stdin_open", Shape::Boolean, "Keeps standard input open."),
    honoured("services.*.privileged", Shape::Boolean, "Gives all privileges."),
    honoured("services.*.cap_add", Shape::Texts, "Capabilities added.").merged(UNIQUE).like("[NET_ADMIN]"),
    honoured("services.*.cap_drop", Shape::Texts, "Capabilities dropped.").merged(UNIQUE).like("[ALL]"),
    honoured("services.*.security_opt", Shape::Texts, "Security options.")
        .merged(UNIQUE)
        .like("[\"no-new-privileges:true\"]"),
    honoured("services.*.sysctls", Shape::Pairs, "Kernel parameters.")
        .short(Short::Assignments)
        .like("{net.core.somaxconn: 1024}"),
    honoured("services.*.ulimits", Shape::Keyed, "Limits of the processes.").like("{nofile: 65535}"),
    honoured("services.*.ulimits.*", Shape::Mapping, "A limit.")
        .short(Short::Ulimit)
        .merged(Merge::Replace)
        .like("{soft: 1024, hard: 4096}"),
    honoured("services.*.ulimits.*.soft", Shape::Integer, "The limit that holds.").like("1024"),
    honoured("services.*.ulimits.*.hard", Shape::Integer, "The highest that may be asked for.").like("4096"),
    honoured("services.*.extra_hosts", Shape::Texts, "Lines for /etc/hosts.")
        .short(Short::Hosts)
        .merged(UNIQUE)
        .like("[\"db:10.0.0.5\"]"),
    honoured("services.*.dns", Shape::Texts, "DNS servers.")
        .short(Short::One)
        .merged(UNIQUE)
        .like("[1.1.1.1]"),
    honoured("services.*.dns_opt", Shape::Texts, "DNS options.").merged(UNIQUE).like("[\"ndots:1\"]"),
    honoured("services.*.dns_search", Shape::Texts, "DNS search domains.")
        .short(Short::One)
        .merged(UNIQUE)
        .like("[example.org]"),
    honoured("services.*.shm_size", Shape::Bytes, "The size of /dev/shm.").like("64m"),
    honoured("services.*.mem_limit", Shape::Bytes, "The memory limit.").like("512m"),
    honoured("services.*.mem_reservation", Shape::Bytes, "The memory kept free.").like("128m"),
    honoured("services.*.cpus", Shape::Number, "The limit in processors.").like("1.5"),
    honoured("services.*.pids_limit", Shape::Integer, "The limit of processes; -1 for none.").like("200"),
    honoured("services.*.logging", Shape::Mapping, "Where logs go.")
        .merged(Merge::Logging)
        .like("{driver: json-file}"),
    honoured("services.*.logging.driver", Shape::Text, "The log driver.").like("json-file"),
    honoured("services.*.logging.options", Shape::Pairs, "Options of the log driver.")
        .like("{max-size: 10m}"),
    honoured(
        "services.*.pull_policy",
        Shape::Choice(&["always", "never", "missing", "if_not_present", "build"]),
        "When the image is pulled or built.",
    )
    .like("missing"),
    honoured("services.*.platform", Shape::Text, "The platform of the image.").like("linux/amd64"),
    honoured("services.*.scale", Shape::Count, "How many containers.").like("2"),
    honoured("services.*.profiles", Shape::Texts, "Profiles that enable the service.")
        .merged(UNIQUE)
        .like("[debug]"),
    honoured("services.*.deploy", Shape::Mapping, "How many containers, and what they may use.")
        .like("{replicas: 2}"),
    honoured("services.*.deploy.mode", Shape::Choice(&["replicated"]), "A fixed number of containers.")
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
    refused("services.*.deploy.resources.reservations.cpus", "Processors kept free.", ""),
    refused("services.*.deploy.resources.reservations.devices", "Devices kept free.", ""),
    refused("services.*.deploy.resources.reservations.generic_resources", "Other resources kept free.", ""),
    refused("services.*.deploy.endpoint_mode", "How a cluster spreads connections.", ""),
    refused(
        "services.*.deploy.labels",
        "Labels of a cluster's service.",
        "use `labels` of the service for its containers",
    ),
    refused("services.*.deploy.placement", "Where a cluster puts containers.", ""),
    refused(
        "services.*.deploy.restart_policy",
        "When containers are restarted.",
        "use `restart` of the service",
    ),
    refused("services.*.deploy.rollback_config", "How an update is undone.", ""),
    refused("services.*.deploy.update_config", "How an update goes on.", ""),
    refused("services.*.attach", "Whether `up` shows the logs.", ""),
    refused("services.*.blkio_config", "Limits of block devices.", ""),
    refused("services.*.cgroup", "The cgroup namespace.", ""),
    refused("services.*.cgroup_parent", "The cgroup above.", ""),
    refused("services.*.configs", "Files of the top-level `configs`.", "mount the file under `volumes`"),
    refused("services.*.cpu_count", "Processors, for Windows.", "use `cpus`"),
    refused("services.*.cpu_percent", "Share of the processors, for Windows.", "use `cpus`"),
    refused("services.*.cpu_period", "Period of the CPU limit.", "use `cpus`"),
    refused("services.*.cpu_quota", "Quota of the CPU limit.", "use `cpus`"),
    refused("services.*.cpu_rt_period", "Period for real-time scheduling.", ""),
    refused("services.*.cpu_rt_runtime", "Quota for real-time scheduling.", ""),
    refused("services.*.cpu_shares", "Weight against other containers.", "use `cpus`"),
    refused("services.*.cpuset", "Processors that may be used.", ""),
    refused("services.*.credential_spec", "Credentials, for Windows.", ""),
    refused("services.*.develop", "What `watch` does.", ""),
    refused("services.*.device_cgroup_rules", "Rules for devices.", ""),
    refused("services.*.devices", "Devices of the host.", ""),
    honoured("services.*.extends", Shape::Mapping, "A service whose settings this one starts from.")
        .short(Short::Field("service"))
        .like("{service: base}"),
    honoured("services.*.extends.service", Shape::Text, "The service.").like("base"),
    honoured("services.*.extends.file", Shape::Text, "The file of the service; without it, this file.")
        .like("base.yaml"),
    refused("services.*.external_links", "Links to containers outside.", "join a common external network"),
    refused("services.*.gpus", "Graphics processors.", ""),
    refused("services.*.ipc", "The IPC namespace.", ""),
    refused("services.*.isolation", "The isolation, for Windows.", ""),
    refused("services.*.label_file", "Files with labels.", "write them under `labels`"),
    refused(
        "services.*.links",
        "Links to other services.",
        "remove it: services on one network find each other by name; add `depends_on` for the order, `networks.NAME.aliases` for other names",
    ),
    refused("services.*.mac_address", "A fixed MAC address.", ""),
    refused("services.*.mem_swappiness", "How readily memory is swapped.", ""),
    refused("services.*.memswap_limit", "Limit of memory and swap.", ""),
    refused("services.*.models", "AI models.", ""),
    refused("services.*.oom_kill_disable", "Keeps the kernel from killing it.", ""),
    refused("services.*.oom_score_adj", "How early the kernel kills it.", ""),
    refused("services.*.pid", "The process namespace.", ""),
    refused("services.*.post_start", "Commands after the start.", ""),
    refused(
        "services.*.pre_start",
        "Commands before the start.",
        "use a service of its own, and `depends_on` with `service_completed_successfully`",
    ),
    refused("services.*.pre_stop", "Commands before the stop.", ""),
    refused("services.*.provider", "A service made by another program.", ""),
    refused("services.*.pull_refresh_after", "When an image is pulled again.", ""),
    refused("services.*.runtime", "The container runtime.", ""),
    refused(
        "services.*.secrets",
        "Files of the top-level `secrets`.",
        "mount the file under `volumes`, read-only",
    ),
    refused("services.*.storage_opt", "Options of the storage driver.", ""),
    refused(
        "services.*.use_api_socket",
        "Gives the container the engine's socket.",
        "mount the socket under `volumes`",
    ),
    refused("services.*.userns_mode", "The user namespace.", ""),
    refused("services.*.uts", "The UTS namespace.", ""),
    refused(
        "services.*.volumes_from",
        "Mounts of another container.",
        "mount a named volume in both services",
    ),
];

//! The rows of services.

use super::{Attribute, Identity, Merge, Shape, Short, honoured, ignored, told};

const UNIQUE: Merge = Merge::Unique(Identity::Value);

const CONDITIONS: &[&str] = &["service_started", "service_healthy", "service_completed_successfully"];

/// `services.*` and everything below, in the order in which it is written.
pub(super) const ROWS: &[Attribute] = &[
    honoured("services.*.image", Shape::Text, "The image of the containers.").like("nginx:1.27"),
    honoured("services.*.build", Shape::Mapping, "How the image is built.").short(Short::Build).like("."),
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
    told("services.*.ports[].mode", Shape::Text, "ingress or host: the host's port on a single engine.")
        .like("host"),
    told("services.*.ports[].name", Shape::Text, "A name for readers.").like("http"),
    told("services.*.ports[].app_protocol", Shape::Text, "What is spoken over the port.").like("http"),
    honoured("services.*.expose", Shape::Texts, "Ports shown to other containers only.")
        .short(Short::Expose)
        .merged(UNIQUE)
        .like("[\"80\"]"),
    honoured("services.*.volumes", Shape::List, "What is mounted into the containers.")
        .merged(Merge::Unique(Identity::Field("target")))
        .like("[\"data:/var/lib/data\"]"),
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
    honoured("services.*.networks.*.driver_opts", Shape::Pairs, "Options of the driver for this container.")
        .like("{com.docker.network.endpoint.ifname: eth9}"),
    honoured("services.*.networks.*.gw_priority", Shape::Integer, "Which network is the way out.").like("1"),
    honoured("services.*.networks.*.interface_name", Shape::Text, "The name of the interface.").like("eth9"),
    honoured("services.*.networks.*.link_local_ips", Shape::Texts, "Link-local addresses.")
        .merged(UNIQUE)
        .like("[169.254.8.8]"),
    honoured("services.*.networks.*.mac_address", Shape::Text, "A fixed MAC address.")
        .like("\"02:42:ac:11:00:02\""),
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
    honoured("services.*.label_file", Shape::Paths, "Files with labels; `labels` win.")
        .short(Short::One)
        .merged(UNIQUE)
        .like("[app.labels]"),
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
    honoured("services.*.mem_limit", Shape::Limit, "The memory limit.").like("512m"),
    honoured("services.*.mem_reservation", Shape::Bytes, "The memory kept free.").like("128m"),
    honoured("services.*.cpus", Shape::Number, "The limit in processors.").like("1.5"),
    honoured("services.*.pids_limit", Shape::Integer, "The limit of processes; -1 for none.").like("200"),
    honoured("services.*.logging", Shape::Mapping, "Where logs go.")
        .merged(Merge::Logging)
        .like("{driver: json-file}"),
    honoured("services.*.logging.driver", Shape::Text, "The log driver.").like("json-file"),
    honoured("services.*.logging.options", Shape::Pairs, "Options of the log driver.")
        .like("{max-size: 10m}"),
    honoured("services.*.pull_policy", Shape::Text, "When the image is pulled or built.").like("missing"),
    honoured("services.*.platform", Shape::Text, "The platform of the image.").like("linux/amd64"),
    honoured("services.*.scale", Shape::Count, "How many containers.").like("2"),
    honoured("services.*.profiles", Shape::Texts, "Profiles that enable the service.")
        .merged(UNIQUE)
        .like("[debug]"),
    honoured("services.*.deploy", Shape::Mapping, "How many containers, and what they may use.")
        .like("{replicas: 2}"),
    honoured("services.*.attach", Shape::Boolean, "Whether `up` shows the logs."),
    honoured("services.*.blkio_config", Shape::Mapping, "Limits of block devices.").like("{weight: 300}"),
    honoured("services.*.blkio_config.weight", Shape::Count, "The weight against other containers.")
        .like("300"),
    honoured("services.*.blkio_config.weight_device", Shape::List, "Weights by device.")
        .like("[{path: /dev/sda, weight: 400}]"),
    honoured("services.*.blkio_config.weight_device[]", Shape::Mapping, "A weight.")
        .like("{path: /dev/sda, weight: 400}"),
    honoured("services.*.blkio_config.weight_device[].path", Shape::Text, "The device.").like("/dev/sda"),
    honoured("services.*.blkio_config.weight_device[].weight", Shape::Count, "The weight.").like("400"),
    honoured("services.*.blkio_config.device_read_bps", Shape::List, "Bytes read a second.")
        .like("[{path: /dev/sda, rate: 12mb}]"),
    honoured("services.*.blkio_config.device_read_bps[]", Shape::Mapping, "A rate.")
        .like("{path: /dev/sda, rate: 12mb}"),
    honoured("services.*.blkio_config.device_read_bps[].path", Shape::Text, "The device.").like("/dev/sda"),
    honoured("services.*.blkio_config.device_read_bps[].rate", Shape::Bytes, "The rate.").like("12mb"),
    honoured("services.*.blkio_config.device_read_iops", Shape::List, "Reads a second.")
        .like("[{path: /dev/sda, rate: 120}]"),
    honoured("services.*.blkio_config.device_read_iops[]", Shape::Mapping, "A rate.")
        .like("{path: /dev/sda, rate: 120}"),
    honoured("services.*.blkio_config.device_read_iops[].path", Shape::Text, "The device.").like("/dev/sda"),
    honoured("services.*.blkio_config.device_read_iops[].rate", Shape::Bytes, "The rate.").like("120"),
    honoured("services.*.blkio_config.device_write_bps", Shape::List, "Bytes written a second.")
        .like("[{path: /dev/sda, rate: 12mb}]"),
    honoured("services.*.blkio_config.device_write_bps[]", Shape::Mapping, "A rate.")
        .like("{path: /dev/sda, rate: 12mb}"),
    honoured("services.*.blkio_config.device_write_bps[].path", Shape::Text, "The device.").like("/dev/sda"),
    honoured("services.*.blkio_config.device_write_bps[].rate", Shape::Bytes, "The rate.").like("12mb"),
    honoured("services.*.blkio_config.device_write_iops", Shape::List, "Writes a second.")
        .like("[{path: /dev/sda, rate: 120}]"),
    honoured("services.*.blkio_config.device_write_iops[]", Shape::Mapping, "A rate.")
        .like("{path: /dev/sda, rate: 120}"),
    honoured("services.*.blkio_config.device_write_iops[].path", Shape::Text, "The device.").like("/dev/sda"),
    honoured("services.*.blkio_config.device_write_iops[].rate", Shape::Bytes, "The rate.").like("120"),
    honoured("services.*.cgroup", Shape::Choice(&["host", "private"]), "The cgroup namespace.")
        .like("private"),
    honoured("services.*.cgroup_parent", Shape::Text, "The cgroup above.").like("m-executor"),
    honoured("services.*.cpu_count", Shape::Count, "Processors, for Windows.").like("2"),
    honoured("services.*.cpu_percent", Shape::Number, "Share of the processors, for Windows.").like("50"),
    honoured("services.*.cpu_period", Shape::Integer, "Period of the CPU limit.").like("100000"),
    honoured("services.*.cpu_quota", Shape::Integer, "Quota of the CPU limit.").like("50000"),
    honoured("services.*.cpu_rt_period", Shape::Integer, "Period for real-time scheduling.").like("1000000"),
    honoured("services.*.cpu_rt_runtime", Shape::Integer, "Quota for real-time scheduling.").like("950000"),
    honoured("services.*.cpu_shares", Shape::Integer, "Weight against other containers.").like("512"),
    honoured("services.*.cpuset", Shape::Text, "Processors that may be used.").like("0-3"),
    ignored(
        "services.*.credential_spec",
        Shape::Mapping,
        "Credentials, for Windows.",
        "engines on Windows alone know it",
    )
    .like("{file: spec.json}"),
    honoured("services.*.credential_spec.config", Shape::Text, "Where they are.").like("spec"),
    honoured("services.*.credential_spec.file", Shape::Text, "Where they are.").like("spec.json"),
    honoured("services.*.credential_spec.registry", Shape::Text, "Where they are.").like("spec"),
    honoured("services.*.device_cgroup_rules", Shape::Texts, "Rules for devices.").like("[\"c 1:3 mr\"]"),
    honoured("services.*.extends", Shape::Mapping, "A service whose settings this one starts from.")
        .short(Short::Field("service"))
        .like("{service: base}"),
    honoured("services.*.extends.service", Shape::Text, "The service.").like("base"),
    honoured("services.*.extends.file", Shape::Text, "The file of the service; without it, this file.")
        .like("base.yaml"),
    honoured("services.*.external_links", Shape::Texts, "Links to containers outside.").like("[db:database]"),
    honoured("services.*.ipc", Shape::Text, "The IPC namespace.").like("host"),
    honoured("services.*.isolation", Shape::Text, "The isolation, for Windows.").like("hyperv"),
    honoured("services.*.links", Shape::Texts, "Links to other services.").merged(UNIQUE).like("[db]"),
    honoured("services.*.mac_address", Shape::Text, "A fixed MAC address.").like("\"02:42:ac:11:00:02\""),
    honoured("services.*.mem_swappiness", Shape::Limit, "How readily memory is swapped.").like("60"),
    honoured("services.*.memswap_limit", Shape::Limit, "Limit of memory and swap.").like("1g"),
    honoured("services.*.oom_kill_disable", Shape::Boolean, "Keeps the kernel from killing it."),
    honoured("services.*.oom_score_adj", Shape::Integer, "How early the kernel kills it.").like("-500"),
    honoured("services.*.pid", Shape::Text, "The process namespace.").like("host"),
    honoured("services.*.pull_refresh_after", Shape::Text, "When an image is pulled again.").like("24h"),
    honoured("services.*.runtime", Shape::Text, "The container runtime.").like("runc"),
    honoured("services.*.storage_opt", Shape::Pairs, "Options of the storage driver.").like("{size: 10G}"),
    honoured(
        "services.*.use_api_socket",
        Shape::Boolean,
        "Gives the container the engine's socket, and this user's registry credentials.",
    ),
    honoured("services.*.userns_mode", Shape::Text, "The user namespace.").like("host"),
    honoured("services.*.uts", Shape::Text, "The UTS namespace.").like("host"),
    honoured("services.*.volumes_from", Shape::Texts, "Mounts of another container.").like("[data:ro]"),
];

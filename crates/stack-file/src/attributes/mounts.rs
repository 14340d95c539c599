//! The rows of what containers see of the host: mounts, files and devices.

use super::{Attribute, Identity, Merge, Shape, Short, honoured, told};

/// What stands within `services.*.volumes` and beside it, in the order in which it is written.
pub(super) const ROWS: &[Attribute] = &[
    honoured("services.*.volumes[]", Shape::Mapping, "A mount.")
        .short(Short::Mount)
        .like("\"./html:/srv:ro\""),
    honoured(
        "services.*.volumes[].type",
        Shape::Choice(&["bind", "volume", "tmpfs", "image", "npipe", "cluster"]),
        "What is mounted.",
    )
    .like("bind"),
    honoured("services.*.volumes[].source", Shape::Text, "A path of the host or the key of a volume.")
        .like("./html"),
    honoured("services.*.volumes[].target", Shape::Text, "The path in the container.").like("/srv"),
    honoured("services.*.volumes[].read_only", Shape::Boolean, "Whether the mount is read-only."),
    told(
        "services.*.volumes[].consistency",
        Shape::Text,
        "How strictly host and container agree; nothing on Linux.",
    )
    .like("cached"),
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
    honoured(
        "services.*.volumes[].bind.recursive",
        Shape::Choice(&["enabled", "disabled", "writable", "readonly"]),
        "How mounts below become read-only.",
    )
    .like("readonly"),
    honoured("services.*.volumes[].volume", Shape::Mapping, "Options of a volume mount.")
        .like("{nocopy: true}"),
    honoured(
        "services.*.volumes[].volume.nocopy",
        Shape::Boolean,
        "Leaves the image's files out of a new volume.",
    ),
    honoured("services.*.volumes[].volume.labels", Shape::Pairs, "Labels of an anonymous volume.")
        .short(Short::Assignments)
        .like("{team: shop}"),
    honoured("services.*.volumes[].volume.subpath", Shape::Text, "A directory within the volume.")
        .like("logs"),
    honoured("services.*.volumes[].tmpfs", Shape::Mapping, "Options of a tmpfs mount.").like("{size: 64m}"),
    honoured("services.*.volumes[].tmpfs.size", Shape::Bytes, "The size.").like("64m"),
    honoured("services.*.volumes[].tmpfs.mode", Shape::Count, "Permission bits.").like("0755"),
    honoured("services.*.volumes[].image", Shape::Mapping, "Options of an image mount.")
        .like("{subpath: srv}"),
    honoured("services.*.volumes[].image.subpath", Shape::Text, "A directory within the image.").like("srv"),
    honoured("services.*.configs", Shape::List, "Files of the top-level `configs`.")
        .merged(Merge::Unique(Identity::Mount))
        .like("[app.conf]"),
    honoured("services.*.configs[]", Shape::Mapping, "A mounted file.").short(Short::Source).like("app.conf"),
    honoured("services.*.configs[].source", Shape::Text, "The key under `configs`.").like("app.conf"),
    honoured("services.*.configs[].target", Shape::Text, "The path in the container.").like("/etc/app.conf"),
    honoured("services.*.configs[].uid", Shape::Text, "The owner's number.").like("\"1000\""),
    honoured("services.*.configs[].gid", Shape::Text, "The group's number.").like("\"1000\""),
    honoured("services.*.configs[].mode", Shape::Permissions, "Permission bits.").like("0440"),
    honoured("services.*.secrets", Shape::List, "Files of the top-level `secrets`.")
        .merged(Merge::Unique(Identity::Mount))
        .like("[token]"),
    honoured("services.*.secrets[]", Shape::Mapping, "A mounted file.").short(Short::Source).like("token"),
    honoured("services.*.secrets[].source", Shape::Text, "The key under `secrets`.").like("token"),
    honoured("services.*.secrets[].target", Shape::Text, "The path in the container.")
        .like("/run/secrets/token"),
    honoured("services.*.secrets[].uid", Shape::Text, "The owner's number.").like("\"1000\""),
    honoured("services.*.secrets[].gid", Shape::Text, "The group's number.").like("\"1000\""),
    honoured("services.*.secrets[].mode", Shape::Permissions, "Permission bits.").like("0440"),
    honoured("services.*.devices", Shape::List, "Devices of the host.")
        .merged(Merge::Unique(Identity::Field("target")))
        .like("[\"/dev/ttyUSB0\"]"),
    honoured("services.*.devices[]", Shape::Mapping, "A device.").short(Short::Device).like("/dev/ttyUSB0"),
    honoured("services.*.devices[].source", Shape::Text, "The device of the host.").like("/dev/ttyUSB0"),
    honoured("services.*.devices[].target", Shape::Text, "The path in the container.").like("/dev/ttyUSB0"),
    honoured("services.*.devices[].permissions", Shape::Text, "Read, write, make: r, w and m.").like("rwm"),
    honoured("services.*.gpus", Shape::List, "Graphics processors.").short(Short::Gpus).like("all"),
    honoured("services.*.gpus[]", Shape::Mapping, "A request for graphics processors.").like("{count: 1}"),
    honoured("services.*.gpus[].capabilities", Shape::Texts, "What they must be able to do.").like("[gpu]"),
    honoured("services.*.gpus[].count", Shape::Amount, "How many, or all.").like("1"),
    honoured("services.*.gpus[].device_ids", Shape::Texts, "Which ones.").like("[\"0\"]"),
    honoured("services.*.gpus[].driver", Shape::Text, "The driver.").like("nvidia"),
    honoured("services.*.gpus[].options", Shape::Pairs, "Options of the driver.")
        .short(Short::Assignments)
        .like("{virtualization: \"false\"}"),
];

//! What engines refuse, in our words: engines hand on texts of many programs, and a text is
//! all there is to tell them apart by.

/// A refusal that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong, a lower-case fragment.
    pub cause: String,
    /// What to do next.
    pub next: &'static str,
    /// The attributes of the resource that may ask for it, the likeliest first, as
    /// `deploy.resources`; empty when it is none in particular.
    pub attributes: &'static [&'static str],
}

/// One row of the table: a text that has all of `has` means `cause`. Engines do not agree with
/// each other on upper and lower case, so that is nothing to go by.
struct Row {
    has: &'static [&'static str],
    /// What the text names, between these two; it takes the place of `{}`. A text that names
    /// nothing is not meant.
    name: Option<(&'static str, &'static str)>,
    cause: &'static str,
    next: &'static str,
    attributes: &'static [&'static str],
}

const PROGRAM: &[&str] = &["entrypoint", "command", "image"];
const CPUS: &[&str] = &["cpus", "deploy.resources.limits.cpus", "cpuset"];
const MEMORY: &[&str] = &["mem_limit", "deploy.resources.limits.memory", "mem_reservation", "memswap_limit"];
const DEVICES: &[&str] = &["gpus", "deploy.resources.reservations.devices", "devices"];

/// The first row that fits holds.
const TABLE: &[Row] = &[
    // The program.
    Row {
        has: &["executable file not found in"],
        name: Some(("exec: \"", "\"")),
        cause: "the image has no program {}",
        next: "correct the command or the entrypoint, or take an image that has it",
        attributes: PROGRAM,
    },
    Row {
        has: &["exec: \"", "no such file or directory"],
        name: Some(("exec: \"", "\"")),
        cause: "the image has no file {}",
        next: "correct the command or the entrypoint, or take an image that has it",
        attributes: PROGRAM,
    },
    Row {
        has: &["exec: \"", "permission denied"],
        name: Some(("exec: \"", "\"")),
        cause: "{} may not be executed: it has no permission for that, or is a folder",
        next: "make it executable where the image is built: chmod +x",
        attributes: PROGRAM,
    },
    Row {
        has: &["exec format error"],
        name: None,
        cause: "the program is not for this machine: built for another processor, or a script without its #! line",
        next: "take an image for the engine's platform, or begin the script with #!/bin/sh",
        attributes: PROGRAM,
    },
    Row {
        has: &["exec ", ": no such file or directory"],
        name: Some(("exec ", ":")),
        cause: "{} cannot be run: its interpreter, or a library that loads it, is not in the image",
        next: "see its #! line, also for Windows line ends, or take an image that has the interpreter",
        attributes: PROGRAM,
    },
    Row {
        has: &["Cannot mkdir: ", " is not a directory"],
        name: Some(("Cannot mkdir: ", " is not")),
        cause: "the working directory {} is a file",
        next: "correct working_dir",
        attributes: &["working_dir"],
    },
    Row {
        has: &["no matching entries in passwd file"],
        name: Some(("unable to find user ", ":")),
        cause: "the image has no user {}",
        next: "correct the user, or give it as a number, as 1000:1000",
        attributes: &["user"],
    },
    Row {
        has: &["no matching entries in group file"],
        name: Some(("nable to find group ", ":")),
        cause: "the image has no group {}",
        next: "correct the group, or give it as a number",
        attributes: &["group_add", "user"],
    },
    // Mounts.
    Row {
        has: &["bind source path does not exist"],
        name: Some(("bind source path does not exist: ", "\n")),
        cause: "there is no {} on the engine's machine to mount",
        next: "make it, correct the source, or let the engine make a folder with bind.create_host_path: true",
        attributes: &["volumes"],
    },
    Row {
        has: &["Are you trying to mount a directory onto a file"],
        name: Some(("mounting \"", "\"")),
        cause: "{} cannot be mounted there: one of the two is a folder, the other a file",
        next: "mount a file on a file, a folder on a folder; a source that was missing was made as a folder",
        attributes: &["volumes", "configs", "secrets"],
    },
    Row {
        has: &["Duplicate mount point: "],
        name: Some(("Duplicate mount point: ", "\n")),
        cause: "two mounts have the same target {}",
        next: "take one of them out",
        attributes: &["volumes", "tmpfs"],
    },
    Row {
        has: &["mount path must be absolute"],
        name: Some(("invalid mount path: '", "'")),
        cause: "the target {} of a mount is not absolute",
        next: "begin the target with /",
        attributes: &["volumes", "tmpfs"],
    },
    Row {
        has: &["path escapes from parent"],
        name: Some(("statat ", ":")),
        cause: "a mount lies below /{}, a link of the image, and this engine copies no files into such a container",
        next: "mount it below what the link leads to, as /run in place of /var/run; in place of use_api_socket, mount the socket yourself",
        attributes: &["use_api_socket", "volumes"],
    },
    Row {
        has: &["is not shared from the host"],
        name: None,
        cause: "the engine's machine does not share this path with its containers",
        next: "share it in the settings of Docker Desktop, or mount another",
        attributes: &["volumes"],
    },
    Row {
        has: &["failed to mount local volume"],
        name: Some(("failed to mount local volume: mount ", ",")),
        cause: "the volume cannot be mounted: {}",
        next: "see whether its driver_opts are right and what they name can be reached",
        attributes: &["volumes"],
    },
    Row {
        has: &["error looking up volume plugin "],
        name: Some(("error looking up volume plugin ", ":")),
        cause: "the engine has no volume driver {}",
        next: "correct the driver, or install its plugin: docker plugin install",
        attributes: &["driver", "volumes"],
    },
    // Devices and limits.
    Row {
        has: &["error gathering device information while adding custom device"],
        name: Some(("custom device \"", "\"")),
        cause: "there is no device {} on the engine's machine",
        next: "correct the device, or connect it",
        attributes: &["devices"],
    },
    Row {
        has: &["could not select device driver"],
        name: None,
        cause: "the engine has no driver for the graphics processor or device that is asked for",
        next: "install the device's container toolkit on the engine's machine, or do not ask for the device",
        attributes: DEVICES,
    },
    Row {
        has: &["Range of CPUs is from"],
        name: Some(("as there are only ", " CPUs")),
        cause: "more processors are asked for than the engine has: {}",
        next: "lower the limit",
        attributes: CPUS,
    },
    Row {
        has: &["Requested CPUs are not available"],
        name: Some((" - requested ", "\n")),
        cause: "the processors that are asked for are not there: {}",
        next: "correct cpuset",
        attributes: &["cpuset"],
    },
    Row {
        has: &["Minimum memory limit allowed is"],
        name: Some(("allowed is ", "\n")),
        cause: "the memory limit is too low: the engine allows {} at least",
        next: "raise the limit",
        attributes: MEMORY,
    },
    Row {
        has: &["Minimum memory limit can not be less than memory reservation limit"],
        name: None,
        cause: "the memory limit is lower than the memory that is reserved",
        next: "raise mem_limit, or lower mem_reservation",
        attributes: MEMORY,
    },
    Row {
        has: &["memoryswap limit should be larger than memory limit"],
        name: None,
        cause: "the limit of memory and swap together is lower than that of memory",
        next: "raise memswap_limit to mem_limit at least",
        attributes: &["memswap_limit"],
    },
    Row {
        has: &["container init was OOM-killed"],
        name: None,
        cause: "the memory limit is too low even for the start",
        next: "raise the limit",
        attributes: MEMORY,
    },
    Row {
        has: &["rlimit"],
        name: None,
        cause: "a limit of ulimits cannot be set",
        next: "lower it: nobody gets more than the engine itself has, and soft is never above hard",
        attributes: &["ulimits"],
    },
    // The runtime, the kernel, the log.
    Row {
        has: &["Unknown runtime specified "],
        name: Some(("Unknown runtime specified ", "\n")),
        cause: "the engine has no runtime {}",
        next: "take the runtime out, or install it on the engine's machine: docker info lists those that are there",
        attributes: &["runtime"],
    },
    Row {
        has: &["unknown or invalid runtime name: "],
        name: Some(("invalid runtime name: ", "\n")),
        cause: "the engine has no runtime {}",
        next: "take the runtime out, or install it on the engine's machine: docker info lists those that are there",
        attributes: &["runtime"],
    },
    Row {
        has: &["error looking up logging plugin "],
        name: Some(("error looking up logging plugin ", ":")),
        cause: "the engine has no log driver {}",
        next: "take another driver, as json-file, or install the plugin: docker plugin install",
        attributes: &["logging.driver", "logging"],
    },
    Row {
        has: &["failed to initialize logging driver"],
        name: None,
        cause: "the log driver cannot be started",
        next: "see whether the place that it sends to can be reached, or take another driver",
        attributes: &["logging"],
    },
    Row {
        has: &["unknown log opt '"],
        name: Some(("unknown log opt '", "'")),
        cause: "the log driver does not know the option {}",
        next: "correct the options of logging",
        attributes: &["logging.options", "logging"],
    },
    Row {
        has: &["unknown capability"],
        name: Some(("capability: \"", "\"")),
        cause: "there is no capability {}",
        next: "correct it: man 7 capabilities lists them",
        attributes: &["cap_add", "cap_drop"],
    },
    Row {
        has: &["open /proc/sys/", "no such file or directory"],
        name: Some(("open /proc/sys/", ":")),
        cause: "the engine's kernel has no parameter {}",
        next: "correct sysctls, or load the kernel module that has it",
        attributes: &["sysctls"],
    },
    Row {
        has: &["is not in a separate kernel namespace"],
        name: Some(("sysctl \"", "\"")),
        cause: "the kernel parameter {} holds for the whole machine and cannot be set for one container",
        next: "take it out, and set it on the engine's machine",
        attributes: &["sysctls"],
    },
    Row {
        has: &["ecoding seccomp profile failed"],
        name: None,
        cause: "the seccomp profile is no valid profile",
        next: "correct the file that security_opt names",
        attributes: &["security_opt"],
    },
    Row {
        has: &["apparmor"],
        name: None,
        cause: "the AppArmor profile cannot be applied",
        next: "load it on the engine's machine, or take it out of security_opt",
        attributes: &["security_opt"],
    },
    // Networks.
    Row {
        has: &["user specified IP address is supported"],
        name: None,
        cause: "a fixed address needs a network with a subnet of its own",
        next: "give the network a subnet in ipam.config, or leave the address to the engine",
        attributes: &["networks"],
    },
    Row {
        has: &["It does not belong to any of this network's subnets"],
        name: Some(("Invalid address ", ":")),
        cause: "the address {} lies in none of the network's subnets",
        next: "take an address out of the network's subnet",
        attributes: &["networks"],
    },
    Row {
        has: &["no configured subnet or ip-range contain the IP address"],
        name: Some(("contain the IP address ", "\n")),
        cause: "the address {} lies in none of the network's subnets",
        next: "take an address out of the network's subnet",
        attributes: &["networks"],
    },
    Row {
        has: &["no configured subnet contains IP address"],
        name: Some(("contains IP address ", "\n")),
        cause: "the address {} lies in none of the network's subnets",
        next: "take an address out of the network's subnet",
        attributes: &["networks"],
    },
    Row {
        has: &["could not find an available", "address pool"],
        name: None,
        cause: "the engine has no address range left for another network",
        next: "remove networks that nothing uses: docker network prune; or give the network a subnet in ipam.config",
        attributes: &[],
    },
    Row {
        has: &["all predefined address pools have been fully subnetted"],
        name: None,
        cause: "the engine has no address range left for another network",
        next: "remove networks that nothing uses: docker network prune; or give the network a subnet in ipam.config",
        attributes: &[],
    },
    Row {
        has: &["invalid CIDR address"],
        name: Some(("invalid CIDR address: ", "\n")),
        cause: "{} is no subnet",
        next: "write it as an address and the bits of its network, as 10.20.0.0/24",
        attributes: &["ipam"],
    },
    Row {
        has: &["no matching subnet for"],
        name: Some(("no matching subnet for ", "\n")),
        cause: "no subnet of the network has the {}",
        next: "correct ipam.config: the address must lie in the subnet",
        attributes: &["ipam"],
    },
    Row {
        has: &["is not a swarm manager"],
        name: None,
        cause: "a network of this kind needs a Swarm, and the engine is in none",
        next: "take the driver bridge, or make a Swarm: docker swarm init",
        attributes: &["driver"],
    },
    Row {
        has: &["invalid subinterface vlan name"],
        name: Some(("vlan name ", ",")),
        cause: "the engine's machine has no network interface {}",
        next: "correct driver_opts.parent: ip link lists the interfaces",
        attributes: &["driver_opts.parent", "driver_opts", "driver"],
    },
    Row {
        has: &["plugin \"", "\" not found"],
        name: Some(("plugin \"", "\"")),
        cause: "the engine has no driver {}",
        next: "correct the driver, or install its plugin: docker plugin install",
        attributes: &["driver"],
    },
    Row {
        has: &["cannot join network of a non running container"],
        name: None,
        cause: "the container whose network it shares does not run",
        next: "see why that one does not run",
        attributes: &["network_mode"],
    },
    Row {
        has: &["No such container: "],
        name: Some(("No such container: ", "\n")),
        cause: "there is no container {}",
        next: "start it first, or correct its name",
        attributes: &["network_mode", "pid", "ipc", "volumes_from"],
    },
    Row {
        has: &["network ", " not found"],
        name: Some(("network ", " not found")),
        cause: "there is no network {}",
        next: "make it, or correct its name",
        attributes: &["networks", "network_mode"],
    },
    Row {
        has: &["could not find bridge "],
        name: Some(("could not find bridge ", ":")),
        cause: "the engine's network bridge {} is gone from its machine",
        next: "restart the engine, so that it makes its bridge anew; stackctl doctor looks for it",
        attributes: &[],
    },
    Row {
        has: &["iptables failed"],
        name: None,
        cause: "the engine cannot set up its firewall",
        next: "restart the engine, so that it makes its chains of iptables anew",
        attributes: &[],
    },
    // The machine.
    Row {
        has: &["no space left on device"],
        name: None,
        cause: "the engine's disk is full",
        next: "free space: docker system df shows what takes it",
        attributes: &[],
    },
    Row {
        has: &["no matching manifest for"],
        name: Some(("no matching manifest for ", " in the")),
        cause: "the image is not made for {}",
        next: "take an image that is, or ask for another platform",
        attributes: &["platform", "image"],
    },
    Row {
        has: &["no match for platform in manifest"],
        name: None,
        cause: "the image is not made for this platform",
        next: "take an image that is, or ask for another platform",
        attributes: &["platform", "image"],
    },
];

/// What a text of an engine means; `None` for one that is not known.
#[must_use]
pub fn known(message: &str) -> Option<Refusal> {
    let told = message.to_ascii_lowercase();
    // The places in both texts are the same.
    let place =
        |part: &str, from: usize| Some(from + told.get(from..)?.find(part.to_ascii_lowercase().as_str())?);
    TABLE.iter().find_map(|row| {
        if !row.has.iter().all(|part| place(part, 0).is_some()) {
            return None;
        }
        let name = match row.name {
            Some((before, after)) => {
                let begin = place(before, 0)? + before.len();
                message[begin..place(after, begin).unwrap_or(message.len())].trim()
            }
            None => "",
        };
        Some(Refusal { cause: row.cause.replace("{}", name), next: row.next, attributes: row.attributes })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_engines_say_is_known_by_its_words() {
        for (message, cause) in [
            (
                "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: \"nosuch\": executable file not found in $PATH: unknown",
                "the image has no program nosuch",
            ),
            (
                "OCI runtime create failed: exec: \"/no/such\": stat /no/such: no such file or directory: unknown",
                "the image has no file /no/such",
            ),
            (
                "OCI runtime create failed: exec: \"/tmp\": permission denied: unknown",
                "/tmp may not be executed: it has no permission for that, or is a folder",
            ),
            (
                "exec /script: no such file or directory",
                "/script cannot be run: its interpreter, or a library that loads it, is not in the image",
            ),
            (
                "unable to find user nobodyx: no matching entries in passwd file",
                "the image has no user nobodyx",
            ),
            (
                "Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
                "more processors are asked for than the engine has: 2",
            ),
            (
                "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
                "more processors are asked for than the engine has: 2",
            ),
            (
                "invalid config for network net: invalid endpoint settings:\nno configured subnet or ip-range contain the IP address 10.98.0.3",
                "the address 10.98.0.3 lies in none of the network's subnets",
            ),
            (
                "mkdirat var/run: statat var/run: path escapes from parent",
                "a mount lies below /var/run, a link of the image, and this engine copies no files into such a container",
            ),
            (
                "Requested CPUs are not available - requested 777, available: 0-1",
                "the processors that are asked for are not there: 777, available: 0-1",
            ),
            (
                "Minimum memory limit allowed is 6MB",
                "the memory limit is too low: the engine allows 6MB at least",
            ),
            (
                "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
                "the engine has no address range left for another network",
            ),
            (
                "open /proc/sys/net/nope: no such file or directory: unknown",
                "the engine's kernel has no parameter net/nope",
            ),
            (
                "failed to create endpoint x on network bridge: adding interface veth1 to bridge docker0 failed: could not find bridge docker0: route ip+net: no such network interface",
                "the engine's network bridge docker0 is gone from its machine",
            ),
            (
                "no matching manifest for linux/arm/v7 in the manifest list entries",
                "the image is not made for linux/arm/v7",
            ),
        ] {
            assert_eq!(known(message).map(|known| known.cause).as_deref(), Some(cause), "{message}");
        }
        assert_eq!(known("something that nobody has seen before"), None);
    }

    #[test]
    fn every_row_says_what_to_do() {
        for row in TABLE {
            assert!(!row.next.is_empty() && !row.cause.is_empty() && !row.has.is_empty());
            assert_eq!(row.cause.contains("{}"), row.name.is_some(), "{}", row.cause);
        }
    }
}

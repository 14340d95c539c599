//! The column of the table that says what Kubernetes does not honour, and why or what to do
//! instead. It follows what a pod of Kubernetes can be told.

/// Why Kubernetes does nothing with an attribute; `None` for one that it honours.
pub(super) fn refusal(path: &str) -> Option<&'static str> {
    ROWS.iter().find(|(row, _)| *row == path).map(|(_, why)| *why)
}

const NODES: &str = "the nodes decide";
const NETWORK: &str = "all pods are on the network of the cluster, which gives addresses itself";

/// Rows by their path. What stands below a row is part of it.
pub(super) const ROWS: &[(&str, &str)] = &[
    ("services.*.attach", "logs are fetched with `kubectl logs`"),
    ("services.*.blkio_config", "it has no limits of disks"),
    ("services.*.cgroup", NODES),
    ("services.*.cgroup_parent", NODES),
    (
        "services.*.container_name",
        "it names pods itself: where others use this name, add it to `aliases` of a network",
    ),
    ("services.*.cpu_count", "use `deploy.resources.limits.cpus`"),
    ("services.*.cpu_percent", "use `deploy.resources.limits.cpus`"),
    ("services.*.cpu_rt_period", "it has no real-time scheduling"),
    ("services.*.cpu_rt_runtime", "it has no real-time scheduling"),
    ("services.*.cpuset", NODES),
    ("services.*.credential_spec", "containers of Windows are not written"),
    ("services.*.depends_on.*.restart", "a pod does not start again with another"),
    ("services.*.device_cgroup_rules", "devices are given by plugins of the cluster"),
    ("services.*.devices", "devices are given by plugins of the cluster"),
    ("services.*.domainname", "pods are in the domain of the cluster"),
    ("services.*.external_links", "name the other service as it is known in the cluster"),
    ("services.*.isolation", "containers of Windows are not written"),
    ("services.*.logging", "the nodes collect what containers write"),
    ("services.*.mac_address", NETWORK),
    ("services.*.mem_swappiness", NODES),
    ("services.*.memswap_limit", NODES),
    ("services.*.models", "run the model as a service of its own, and give its address as a variable"),
    ("services.*.networks.*.driver_opts", NETWORK),
    ("services.*.networks.*.gw_priority", NETWORK),
    ("services.*.networks.*.interface_name", NETWORK),
    ("services.*.networks.*.ipv4_address", NETWORK),
    ("services.*.networks.*.ipv6_address", NETWORK),
    ("services.*.networks.*.link_local_ips", NETWORK),
    ("services.*.networks.*.mac_address", NETWORK),
    ("services.*.networks.*.priority", NETWORK),
    ("services.*.oom_kill_disable", "use `deploy.resources.limits.memory`"),
    ("services.*.oom_score_adj", "it follows from requests and limits of memory"),
    ("services.*.pids_limit", NODES),
    (
        "services.*.pre_start",
        "use a service of its own, and `depends_on` with `service_completed_successfully`",
    ),
    ("services.*.provider", "make it with a tool of the cluster, and give its address as a variable"),
    ("services.*.runtime", "runtimes are classes of the cluster: set `runtimeClassName` with an overlay"),
    ("services.*.storage_opt", NODES),
    ("services.*.ulimits", NODES),
    ("services.*.use_api_socket", "nodes have no socket of an engine to give"),
    ("services.*.configs[].uid", "files belong to root: give the mode 0444, which is the default"),
    ("services.*.configs[].gid", "files belong to root: give the mode 0444, which is the default"),
    ("services.*.secrets[].uid", "files belong to root: give the mode 0444, which is the default"),
    ("services.*.secrets[].gid", "files belong to root: give the mode 0444, which is the default"),
    ("services.*.volumes[].bind.selinux", NODES),
    ("services.*.volumes[].tmpfs.mode", "directories in memory are open to all users of the pod"),
    ("services.*.volumes[].volume.labels", "what has no name is part of the pod"),
    ("services.*.deploy.resources.limits.pids", NODES),
    (
        "services.*.deploy.resources.reservations.generic_resources",
        "set them as `resources` of the container with an overlay",
    ),
    ("services.*.deploy.restart_policy.delay", "it waits longer after each restart, by a time of its own"),
    ("services.*.deploy.restart_policy.window", "it counts restarts by a time of its own"),
    ("services.*.deploy.rollback_config", "`kubectl rollout undo` goes back as an update goes forth"),
    ("services.*.deploy.update_config.max_failure_ratio", "a rollout stands still at the first failure"),
    ("networks.*.attachable", "all pods are on the network of the cluster"),
    ("networks.*.driver", "all pods are on the network of the cluster"),
    ("networks.*.driver_opts", "all pods are on the network of the cluster"),
    ("networks.*.enable_ipv4", "all pods are on the network of the cluster"),
    ("networks.*.enable_ipv6", "all pods are on the network of the cluster"),
    ("networks.*.external", "all pods are on the network of the cluster: nothing is closed off on this one"),
    ("networks.*.ipam", NETWORK),
    ("secrets.*.driver", "drivers are those of a cluster: keep the secret in Kubernetes, as `external`"),
    ("secrets.*.driver_opts", "drivers are those of a cluster: keep the secret in Kubernetes, as `external`"),
    ("secrets.*.template_driver", "fill it in before: Kubernetes takes contents as they are"),
    ("configs.*.template_driver", "fill it in before: Kubernetes takes contents as they are"),
    ("models", "run the model as a service of its own, and give its address as a variable"),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::ROWS;

    #[test]
    fn every_row_of_the_column_is_one_of_the_table_and_stands_once() {
        let rows: HashSet<_> = super::super::table().map(|row| row.path).collect();
        let mut seen = HashSet::new();
        for (path, why) in ROWS {
            assert!(rows.contains(path), "{path} has no row");
            assert!(seen.insert(path), "{path} stands twice");
            assert!(!why.is_empty() && !why.ends_with('.'), "{path}: {why}");
        }
    }
}

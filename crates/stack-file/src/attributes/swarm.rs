//! The column of the table that says what Swarm does not honour, and why or what to do
//! instead. It follows what a service of a swarm can be told over the Engine's API.

/// Why Swarm does nothing with an attribute; `None` for one that it honours.
pub(super) fn refusal(path: &str) -> Option<&'static str> {
    ROWS.iter().find(|(row, _)| *row == path).map(|(_, why)| *why)
}

/// Rows by their path. What stands below a row is part of it.
pub(super) const ROWS: &[(&str, &str)] = &[
    ("services.*.annotations", "its containers have labels alone"),
    ("services.*.attach", "its logs are fetched, not attached to"),
    ("services.*.blkio_config", "it has no limits of disks"),
    ("services.*.cgroup", "the nodes decide"),
    ("services.*.cgroup_parent", "the nodes decide"),
    ("services.*.container_name", "it names the containers itself: other services use the service's name"),
    ("services.*.cpu_count", "use `deploy.resources.limits.cpus`"),
    ("services.*.cpu_percent", "use `deploy.resources.limits.cpus`"),
    ("services.*.cpu_period", "use `deploy.resources.limits.cpus`"),
    ("services.*.cpu_quota", "use `deploy.resources.limits.cpus`"),
    ("services.*.cpu_rt_period", "use `deploy.resources.limits.cpus`"),
    ("services.*.cpu_rt_runtime", "use `deploy.resources.limits.cpus`"),
    ("services.*.cpu_shares", "use `deploy.resources.reservations.cpus`"),
    ("services.*.cpuset", "use `deploy.resources.limits.cpus`"),
    ("services.*.device_cgroup_rules", "its containers get no devices"),
    ("services.*.devices", "its containers get no devices"),
    ("services.*.domainname", "use `hostname`"),
    ("services.*.external_links", "use a network that both are on"),
    ("services.*.gpus", "use `deploy.resources.reservations.generic_resources`"),
    ("services.*.ipc", "a task shares nothing with others"),
    ("services.*.links", "use a network that both are on"),
    ("services.*.mac_address", "it gives addresses itself"),
    ("services.*.mem_swappiness", "the nodes decide"),
    ("services.*.memswap_limit", "the nodes decide"),
    ("services.*.models", "it runs containers alone"),
    (
        "services.*.network_mode",
        "put the service on networks; `networks: [host]` with an external `host` is the node's",
    ),
    ("services.*.networks.*.gw_priority", "it gives addresses itself"),
    ("services.*.networks.*.interface_name", "it names interfaces itself"),
    ("services.*.networks.*.ipv4_address", "it gives addresses itself"),
    ("services.*.networks.*.ipv6_address", "it gives addresses itself"),
    ("services.*.networks.*.link_local_ips", "it gives addresses itself"),
    ("services.*.networks.*.mac_address", "it gives addresses itself"),
    ("services.*.networks.*.priority", "it joins networks in its own order"),
    ("services.*.oom_kill_disable", "use `deploy.resources.limits.memory`"),
    ("services.*.pid", "a task shares nothing with others"),
    ("services.*.platform", "use `deploy.placement.constraints`"),
    ("services.*.ports[].host_ip", "ports are published on every address of a node"),
    ("services.*.post_start", "no one runs commands in its tasks: start them from the entry point"),
    ("services.*.pre_start", "no one runs commands before its tasks: start them from the entry point"),
    ("services.*.pre_stop", "no one runs commands in its tasks: handle the stop signal"),
    ("services.*.privileged", "use `cap_add`"),
    ("services.*.provider", "it runs containers alone"),
    ("services.*.runtime", "the nodes decide"),
    ("services.*.storage_opt", "the nodes decide"),
    ("services.*.use_api_socket", "mount the socket, on a manager"),
    ("services.*.userns_mode", "the nodes decide"),
    ("services.*.uts", "a task shares nothing with others"),
    ("services.*.volumes_from", "name the volumes in both services"),
    ("services.*.deploy.resources.reservations.devices", "use `generic_resources`"),
    ("networks.*.enable_ipv4", "its networks have IPv4"),
    ("models", "it runs containers alone"),
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

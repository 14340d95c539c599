//! Asks an engine what it is and how it is.

use bollard::query_parameters::ListNetworksOptions;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::checkup::{Checkup, CredentialsCheckup, Pool, Subnet, room, usual_pools};
use crate::docker::{DockerEngine, answered};
use crate::engine::EngineError;
use crate::image::credentials;

impl DockerEngine {
    /// What the engine tells of itself and its machine.
    ///
    /// # Errors
    /// When the engine refuses or is lost.
    pub async fn checkup(&self) -> Result<Checkup, EngineError> {
        let asked = OffsetDateTime::now_utc();
        let info = self.docker.info().await.map_err(answered)?;
        let took = OffsetDateTime::now_utc() - asked;
        let networks = self.docker.list_networks(None::<ListNetworksOptions>).await.map_err(answered)?;
        let bridges: Vec<(String, String)> = (networks.iter())
            .filter(|network| network.driver.as_deref() == Some("bridge"))
            .filter_map(|network| {
                let named = network.options.as_ref()?.get("com.docker.network.bridge.name").cloned();
                // A bridge without a name of its own has one made of the network's id.
                let named = named.or_else(|| Some(format!("br-{}", network.id.as_ref()?.get(..12)?)));
                Some((named?, network.name.clone()?))
            })
            .collect();
        let taken: Vec<Subnet> = (networks.into_iter())
            .filter_map(|network| network.ipam?.config)
            .flatten()
            .filter_map(|config| Subnet::parse(&config.subnet?))
            .collect();
        let told = info.default_address_pools.unwrap_or_default();
        let pools: Vec<Pool> = (told.into_iter())
            .filter_map(|pool| {
                Some(Pool { base: Subnet::parse(&pool.base?)?, bits: u8::try_from(pool.size?).ok()? })
            })
            .collect();
        let pools = if pools.is_empty() { usual_pools() } else { pools };
        let missing = [
            (info.memory_limit, "memory"),
            (info.swap_limit, "swap"),
            (info.cpu_cfs_quota, "processor time"),
            (info.pids_limit, "processes"),
        ];
        let clock = info.system_time.and_then(|text| OffsetDateTime::parse(&text, &Rfc3339).ok());
        let milliseconds =
            |time: time::Duration| i64::try_from(time.whole_milliseconds()).unwrap_or(i64::MAX);
        let swarm = info.swarm.and_then(|swarm| swarm.local_node_state).map(|state| state.to_string());
        let options = info.security_options.unwrap_or_default();
        Ok(Checkup {
            version: info.server_version.unwrap_or_default(),
            api: self.connection.api_version,
            system: info.operating_system.unwrap_or_default(),
            kernel: info.kernel_version.unwrap_or_default(),
            processors: info.ncpu.and_then(|count| u32::try_from(count).ok()).unwrap_or_default(),
            memory: info.mem_total.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default(),
            storage: info.driver.unwrap_or_default(),
            root: info.docker_root_dir.unwrap_or_default(),
            cgroups: info.cgroup_version.and_then(|version| version.to_string().parse().ok()),
            cgroup_driver: info.cgroup_driver.map(|driver| driver.to_string()).unwrap_or_default(),
            missing_limits: missing
                .into_iter()
                .filter(|(there, _)| *there == Some(false))
                .map(|(_, name)| name)
                .collect(),
            // An engine that does not tell is not one whose machine does not forward.
            forwards: info.ipv4_forwarding != Some(false),
            rootless: options.iter().any(|option| option.contains("name=rootless")),
            clock_ahead: clock.map(|clock| milliseconds(clock - (asked + took / 2))),
            clock_error: milliseconds(took / 2),
            swarm: swarm.as_deref() == Some("active"),
            networks: room(&pools, &taken),
            bridges,
            warnings: info.warnings.unwrap_or_default(),
        })
    }
}

/// Whether docker's configuration can be read, and whether the programs that it names for
/// credentials answer. No secret is asked for.
pub async fn credentials_checkup() -> CredentialsCheckup {
    tokio::task::spawn_blocking(credentials::checkup).await.unwrap_or_default()
}

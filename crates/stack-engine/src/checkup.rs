//! What an engine tells of itself and its machine, for those who look for what is wrong.

use std::net::Ipv4Addr;

/// What an engine tells of itself and its machine.
#[derive(Clone, Debug, Default)]
pub struct Checkup {
    /// The version of the engine, as `20.10.24`.
    pub version: String,
    /// The newest API that is spoken with it, major and minor.
    pub api: (u32, u32),
    /// The system of its machine, as `Debian GNU/Linux 12`.
    pub system: String,
    /// The kernel of its machine.
    pub kernel: String,
    /// Processors.
    pub processors: u32,
    /// Memory of its machine, bytes.
    pub memory: u64,
    /// How it stores images and containers, as `overlay2`.
    pub storage: String,
    /// Where it keeps everything, on its machine.
    pub root: String,
    /// The version of cgroups, 1 or 2, where it tells.
    pub cgroups: Option<u8>,
    /// Who manages them, as `systemd`.
    pub cgroup_driver: String,
    /// The limits that it cannot keep, as `memory`.
    pub missing_limits: Vec<&'static str>,
    /// Whether its machine forwards packets, without which published ports lead nowhere.
    pub forwards: bool,
    /// Whether its user is not root.
    pub rootless: bool,
    /// How far its clock is ahead of ours, milliseconds; `None` where it does not tell.
    pub clock_ahead: Option<i64>,
    /// Half the time that asking took, milliseconds: the clock is not known better.
    pub clock_error: i64,
    /// Whether it is part of a Swarm.
    pub swarm: bool,
    /// How many networks its address pools have room for, and how many of these places are taken.
    pub networks: (u64, u64),
    /// The interfaces of its machine that its networks are on, each with the name of the network.
    pub bridges: Vec<(String, String)>,
    /// What it warns of itself.
    pub warnings: Vec<String>,
}

/// A range of addresses that networks are cut from, each with `bits` bits of network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The range.
    pub base: Subnet,
    /// The bits of each network.
    pub bits: u8,
}

/// A range of IPv4 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    address: u32,
    bits: u8,
}

impl Subnet {
    /// Reads `10.0.0.0/8`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let bits: u8 = bits.parse().ok().filter(|bits| *bits <= 32)?;
        Some(Self { address: u32::from(address.parse::<Ipv4Addr>().ok()?) & mask(bits), bits })
    }

    /// Whether any address is in both.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        let mask = mask(self.bits.min(other.bits));
        self.address & mask == other.address & mask
    }
}

fn mask(bits: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0)
}

/// The pools of an engine that was not told any.
#[must_use]
pub fn usual_pools() -> Vec<Pool> {
    let pool = |base: &str, bits| Subnet::parse(base).map(|base| Pool { base, bits });
    [
        ("172.17.0.0/16", 16),
        ("172.18.0.0/16", 16),
        ("172.19.0.0/16", 16),
        ("172.20.0.0/14", 16),
        ("172.24.0.0/14", 16),
        ("172.28.0.0/14", 16),
        ("192.168.0.0/16", 20),
    ]
    .into_iter()
    .filter_map(|(base, bits)| pool(base, bits))
    .collect()
}

/// How many networks there is room for in `pools`, and how many of these places overlap with one of
/// the networks that there are.
#[must_use]
pub fn room(pools: &[Pool], taken: &[Subnet]) -> (u64, u64) {
    let (mut places, mut occupied) = (0, 0);
    for pool in pools {
        let here = 1_u64 << u32::from(pool.bits.saturating_sub(pool.base.bits)).min(32);
        places += here;
        let mut used: u64 = 0;
        for network in taken.iter().filter(|network| network.overlaps(pool.base)) {
            // A wider network than a place takes several of them.
            used += 1_u64 << u32::from(pool.bits.saturating_sub(network.bits.max(pool.base.bits))).min(32);
        }
        occupied += used.min(here);
    }
    (places, occupied)
}

/// What is known of the programs that keep credentials for registries.
#[derive(Clone, Debug, Default)]
pub struct CredentialsCheckup {
    /// What is wrong with docker's configuration, if anything.
    pub fault: Option<String>,
    /// Registries whose credentials stand in the configuration itself.
    pub plain: Vec<String>,
    /// The helper programs, each with the number of registries that it knows, or why it does not work.
    pub helpers: Vec<(String, Result<usize, String>)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        Subnet::parse(text).expect("a subnet")
    }

    #[test]
    fn an_engine_that_was_told_nothing_has_room_for_31_networks() {
        assert_eq!(room(&usual_pools(), &[]), (31, 0));
        let taken = [subnet("172.17.0.0/16"), subnet("172.21.0.0/16"), subnet("192.168.16.0/20")];
        assert_eq!(room(&usual_pools(), &taken), (31, 3));
        assert_eq!(room(&usual_pools(), &[subnet("10.0.0.0/8")]), (31, 0));
        // A network of a person's own may take several places.
        assert_eq!(room(&usual_pools(), &[subnet("192.168.0.0/18")]), (31, 4));
    }

    #[test]
    fn subnets_are_read_and_compared() {
        assert_eq!(Subnet::parse("fd00::/64"), None);
        assert_eq!(Subnet::parse("10.0.0.0/33"), None);
        assert!(subnet("10.0.0.0/8").overlaps(subnet("10.1.2.0/24")));
        assert!(!subnet("10.0.0.0/16").overlaps(subnet("10.1.0.0/16")));
        assert!(subnet("0.0.0.0/0").overlaps(subnet("10.1.0.0/16")));
    }
}

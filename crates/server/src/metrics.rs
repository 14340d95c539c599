//! What is counted and measured, in the format of OpenMetrics. Durations are
//! histograms, so that those of several instances can be added up.

use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// Upper bounds of the buckets of all durations, in seconds.
const BUCKETS: [f64; 14] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// A command and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CommandLabels {
    /// The name of the command.
    pub t: &'static str,
    /// `ok`, or the code of the error.
    pub outcome: &'static str,
}

/// A close code.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CodeLabels {
    /// The code.
    pub code: u16,
}

/// What came of a recovery.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ResultLabels {
    /// `recovered`, or `document` where the missed events were no longer there.
    pub result: &'static str,
}

/// Why a room was compared with the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CauseLabels {
    /// `hole` in the notices, or found by a `check`.
    pub cause: &'static str,
}

/// Everything that an instance counts.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Connections that are open; set when metrics are asked for.
    pub connections: Gauge,
    /// Rooms that are held; set when metrics are asked for.
    pub held: Gauge,
    /// Members that all rooms have here; set when metrics are asked for.
    pub members: Gauge,
    /// Rooms that have been joined.
    pub joins: Counter,
    /// Commands by name and outcome.
    pub commands: Family<CommandLabels, Counter>,
    /// From the frame of a command to its reply.
    pub command_seconds: Histogram,
    /// Frames given to connections.
    pub deliveries: Counter,
    /// Bytes that wait for slow clients; set when metrics are asked for.
    pub queue_bytes: Gauge,
    /// Connections closed because they read too slowly.
    pub slow_closes: Counter,
    /// Connections that this side closed, by code.
    pub closes: Family<CodeLabels, Counter>,
    /// Joins with a position, by result.
    pub recoveries: Family<ResultLabels, Counter>,
    /// Events that the notices left out, by what found them.
    pub gaps: Family<CauseLabels, Counter>,
    /// Reductions tried again on a newer document.
    pub cas_retries: Counter,
    /// Writes refused because of the document's version.
    pub cas_conflicts: Counter,
    /// Whether the store answers; set when metrics are asked for.
    pub redis_up: Gauge,
    /// From a script's call to its answer.
    pub redis_seconds: Histogram,
    /// Connections to Redis made anew.
    pub redis_reconnects: Counter,
    /// From a write, by the writer's clock, to the notice of it here, by this one's.
    pub pubsub_lag_seconds: Histogram,
    /// Rooms whose history has started anew.
    pub epoch_rotations: Counter,
    /// Members that were gone without a word.
    pub presence_sweeps: Counter,
    /// Whether the instance is about to end; set when metrics are asked for.
    pub draining: Gauge,
}

fn seconds() -> Histogram {
    Histogram::new(BUCKETS)
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("rooms");
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "Version of the server", build);
        let metrics = Self {
            registry: Registry::default(),
            connections: Gauge::default(),
            held: Gauge::default(),
            members: Gauge::default(),
            joins: Counter::default(),
            commands: Family::default(),
            command_seconds: seconds(),
            deliveries: Counter::default(),
            queue_bytes: Gauge::default(),
            slow_closes: Counter::default(),
            closes: Family::default(),
            recoveries: Family::default(),
            gaps: Family::default(),
            cas_retries: Counter::default(),
            cas_conflicts: Counter::default(),
            redis_up: Gauge::default(),
            redis_seconds: seconds(),
            redis_reconnects: Counter::default(),
            pubsub_lag_seconds: seconds(),
            epoch_rotations: Counter::default(),
            presence_sweeps: Counter::default(),
            draining: Gauge::default(),
        };
        registry.register("connections", "Open connections", metrics.connections.clone());
        registry.register("held", "Rooms that are held", metrics.held.clone());
        registry.register("members", "Members of all rooms here", metrics.members.clone());
        registry.register("joins", "Rooms joined", metrics.joins.clone());
        registry.register("commands", "Commands by name and outcome", metrics.commands.clone());
        registry.register_with_unit(
            "command",
            "From a command to its reply",
            Unit::Seconds,
            metrics.command_seconds.clone(),
        );
        registry.register("deliveries", "Frames given to connections", metrics.deliveries.clone());
        registry.register_with_unit(
            "queue",
            "Bytes that wait for slow clients",
            Unit::Bytes,
            metrics.queue_bytes.clone(),
        );
        registry.register("slow_closes", "Connections closed as too slow", metrics.slow_closes.clone());
        registry.register("closes", "Connections closed by this side", metrics.closes.clone());
        registry.register("recoveries", "Joins with a position", metrics.recoveries.clone());
        registry.register("gaps", "Events that the notices left out", metrics.gaps.clone());
        registry.register("cas_retries", "Reductions tried again", metrics.cas_retries.clone());
        registry.register("cas_conflicts", "Writes for another version", metrics.cas_conflicts.clone());
        registry.register("redis_up", "Whether the store answers", metrics.redis_up.clone());
        registry.register_with_unit(
            "redis",
            "From a script's call to its answer",
            Unit::Seconds,
            metrics.redis_seconds.clone(),
        );
        registry.register("redis_reconnects", "Connections made anew", metrics.redis_reconnects.clone());
        registry.register_with_unit(
            "pubsub_lag",
            "From a write to the notice of it",
            Unit::Seconds,
            metrics.pubsub_lag_seconds.clone(),
        );
        registry.register("epoch_rotations", "Histories started anew", metrics.epoch_rotations.clone());
        registry.register("presence_sweeps", "Members gone without a word", metrics.presence_sweeps.clone());
        registry.register("draining", "Whether the instance is about to end", metrics.draining.clone());
        Self { registry, ..metrics }
    }
}

impl Metrics {
    /// Counts a command.
    pub(crate) fn command(&self, t: &'static str, outcome: &'static str, took: std::time::Duration) {
        self.commands.get_or_create(&CommandLabels { t, outcome }).inc();
        self.command_seconds.observe(took.as_secs_f64());
    }

    /// Counts a connection that this side has closed.
    pub(crate) fn close(&self, close: crate::protocol::Close) {
        if close == crate::protocol::Close::Slow {
            self.slow_closes.inc();
        }
        self.closes.get_or_create(&CodeLabels { code: close.code() }).inc();
    }

    /// All of it as text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_promised_name_is_there() {
        let metrics = Metrics::default();
        metrics.command("set", "conflict", std::time::Duration::from_millis(3));
        metrics.close(crate::protocol::Close::Slow);
        metrics.recoveries.get_or_create(&ResultLabels { result: "recovered" }).inc();
        metrics.gaps.get_or_create(&CauseLabels { cause: "hole" }).inc();
        let text = metrics.text();
        for line in [
            "rooms_build_info{version=",
            "rooms_connections 0",
            "rooms_joins_total 0",
            "rooms_commands_total{t=\"set\",outcome=\"conflict\"} 1",
            "rooms_command_seconds_bucket{le=\"0.005\"} 1",
            "rooms_deliveries_total 0",
            "rooms_queue_bytes 0",
            "rooms_slow_closes_total 1",
            "rooms_closes_total{code=\"4102\"} 1",
            "rooms_recoveries_total{result=\"recovered\"} 1",
            "rooms_gaps_total{cause=\"hole\"} 1",
            "rooms_cas_retries_total 0",
            "rooms_cas_conflicts_total 0",
            "rooms_redis_up 0",
            "rooms_redis_seconds_count 0",
            "rooms_redis_reconnects_total 0",
            "rooms_pubsub_lag_seconds_count 0",
            "rooms_epoch_rotations_total 0",
            "rooms_presence_sweeps_total 0",
            "rooms_draining 0",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
